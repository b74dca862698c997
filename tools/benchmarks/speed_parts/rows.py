"""Figures that were measured, and the files they are written to."""

from __future__ import annotations

import csv
import io
import json
import platform
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import torch

from napari_dinoprompt.core.io.atomic import open_atomically

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Row:
    """One figure.

    Attributes
    ----------
    part : str
        Part of the benchmark, such as ``"extraction"``.
    tool : str
        Who was measured: ``"ours"``, ``"peer"``, or how ours was set.
    quantity : str
    value : float
    unit : str
    side : int
        Of the square image in pixels; 0 where there is none.
    upscale : float
    precision : str
    runs : int
        How many runs the value is the median of.
    """

    part: str
    tool: str
    quantity: str
    value: float
    unit: str
    side: int = 0
    upscale: float = 1.0
    precision: str = "fp32"
    runs: int = 1


def machine(device: torch.device) -> dict[str, object]:
    """Describe what the figures were measured on.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    dict
    """
    about: dict[str, object] = {
        "processor": _processor(),
        "cores": psutil.cpu_count(logical=False),
        "threads": torch.get_num_threads(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "load_at_start": psutil.getloadavg()[0],
        "python": platform.python_version(),
        "torch": torch.__version__,
        "device": str(device),
    }
    if device.type == "cuda":
        about["card"] = torch.cuda.get_device_name(device)
    return about


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if "model name" in line]
    return names[0] if names else platform.processor()


def write_rows(
    folder: Path, rows: Sequence[Row], about: Mapping[str, object], command: str
) -> None:
    """Write speed.csv, speed.json and speed.md.

    Parameters
    ----------
    folder : Path
    rows : sequence of Row
    about : mapping
        Of the machine.
    command : str
        What was typed.
    """
    table = io.StringIO()
    writer = csv.DictWriter(table, [field.name for field in fields(Row)])
    writer.writeheader()
    writer.writerows(asdict(row) for row in rows)
    found = {
        "machine": dict(about),
        "command": command,
        "rows": [asdict(row) for row in rows],
    }
    texts = {
        "speed.csv": table.getvalue(),
        "speed.json": json.dumps(found, indent=1),
        "speed.md": _markdown(rows, about, command),
    }
    for name, text in texts.items():
        with open_atomically(folder / name) as file:
            file.write(text.encode())


def _markdown(rows: Sequence[Row], about: Mapping[str, object], command: str) -> str:
    lines = ["# Speed", "", f"`{command}`", ""]
    lines += [f"- {name}: {value}" for name, value in about.items()]
    for part in dict.fromkeys(row.part for row in rows):
        lines += ["", f"## {part}", "", *_table([r for r in rows if r.part == part])]
    return "\n".join([*lines, ""])


def fill_document(path: Path, rows: Sequence[Row]) -> None:
    """Put the tables into a document, between ``<!-- part -->`` and ``<!-- end -->``.

    Parameters
    ----------
    path : Path
        Markdown; parts that it has no place for are left out.
    rows : sequence of Row
    """
    text = path.read_text("utf-8")
    for part in dict.fromkeys(row.part for row in rows):
        begin, end = f"<!-- {part} -->\n", "<!-- end -->"
        before, found, after = text.partition(begin)
        _, closed, rest = after.partition(end)
        if found and closed:
            table = "\n".join(_table([row for row in rows if row.part == part]))
            text = f"{before}{begin}\n{table}\n\n{end}{rest}"
    with open_atomically(path) as file:
        file.write(text.encode())


def _table(rows: Sequence[Row]) -> list[str]:
    """Show each tool on each image as a line, and each quantity as a column."""
    quantities = list(dict.fromkeys(row.quantity for row in rows))
    lines: dict[tuple[str, str], dict[str, str]] = {}
    for row in rows:
        image = f"{row.side}²" if row.side else ""
        image += f", upscale {row.upscale:g}" if row.upscale != 1 else ""
        image += f", {row.precision}" if row.precision != "fp32" else ""
        unit = f" {row.unit}" if row.unit else ""
        cells = lines.setdefault((image, row.tool), {})
        cells[row.quantity] = f"{_show(row.value)}{unit}"
    return [
        "| image | who | " + " | ".join(quantities) + " |",
        "| --- " * (2 + len(quantities)) + "|",
        *(
            f"| {image} | {tool} | "
            + " | ".join(cells.get(one, "") for one in quantities)
            + " |"
            for (image, tool), cells in lines.items()
        ),
    ]


def _show(value: float) -> str:
    return (
        f"{value:.0f}" if abs(value) >= 100 or value == round(value) else f"{value:.3g}"
    )
