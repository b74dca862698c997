"""The prompt study: the tables of docs/prompt-study.md.

python tools/benchmarks/prompt_study.py --data DATA --output study-tables

With weights: --backbone timm:NAME --checkpoint FILE --block 5. Each part can be run
on its own with --parts. Prompts are clicks, or with --placed random anywhere inside
objects; the files say which.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).parent))

from programs import backbone_of, data_of, exit_code, quality_parser
from study_parts.cases import find_cases
from study_parts.curves import curves_rows, threshold_rows, timing_rows
from study_parts.planted import planted_rows
from study_parts.settings import resolution_rows

import napari_dinoprompt as dp

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_dinoprompt.core.backbones.base import Backbone

PARTS = ("timing", "curves", "planted", "resolution", "threshold")


def write_tables(folder: Path, name: str, rows: Sequence[dict[str, object]]) -> None:
    """Write rows as CSV and as Markdown."""
    folder.mkdir(parents=True, exist_ok=True)
    keys = list(rows[0])
    with (folder / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, keys)
        writer.writeheader()
        writer.writerows(rows)
    lines = [
        "| " + " | ".join(keys) + " |",
        "| " + " | ".join("---" for _ in keys) + " |",
    ]
    lines += [
        "| " + " | ".join(str(row.get(key, "")) for key in keys) + " |" for row in rows
    ]
    (folder / f"{name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


@exit_code
def main(words: Sequence[str] | None = None) -> None:
    """Compute the tables."""
    parser = quality_parser(__doc__, "study-tables")
    parser.add_argument("--each", type=int, default=1, help="planes of each set")
    parser.add_argument("--only", default="", help="images whose name holds this")
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    asked = parser.parse_args(words)
    backbone = backbone_of(asked)
    cases = [
        one
        for one in find_cases(data_of(asked), asked.each, asked.placed)
        if asked.only in one.name
    ]
    label = f"{asked.backbone.replace(':', '_')}_{asked.placed}"
    for part in asked.parts:
        started = time.perf_counter()
        rows: list[dict[str, object]] = []
        suffix = f"_{asked.only.replace('/', '_')}" if asked.only else ""
        if part == "timing":
            rows = timing_rows(backbone)
        for case in cases if part != "timing" else ():
            if part == "curves":
                rows += curves_rows(case, backbone, asked.orders)
            elif part == "planted":
                rows += planted_rows(case, backbone)
            elif part == "threshold":
                rows += threshold_rows(case, backbone)
            else:
                rows += resolution_rows(case, _all(backbone))
            # After each image: a long run that is stopped leaves what it has.
            write_tables(asked.output, f"{part}_{label}{suffix}", rows)
        if part == "timing":
            write_tables(asked.output, f"{part}_{label}", rows)
        print(f"{part}: {time.perf_counter() - started:.0f} s", flush=True)


def _all(backbone: Backbone) -> list[Backbone]:
    first = dp.load_backbone("filterbank")
    return [first] if backbone.info == first.info else [first, backbone]


if __name__ == "__main__":
    sys.exit(main())
