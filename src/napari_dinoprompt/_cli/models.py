"""`dinoprompt models`: the backbones, where their weights are, what runs here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from napari_dinoprompt.core.errors import WeightsNotFoundError
from napari_dinoprompt.core.weights.search import (
    DINOV2_SIZES,
    FOLDERS_VARIABLE,
    describe_size,
    dinov2_weights,
    find_dinov2,
    hub_cache_folder,
    torch_hub_folder,
    weights_folders,
)

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from rich.console import Console

__all__ = ["ModelRow", "get_model", "list_models", "show_models"]

DINOV2_PATCH = 14
DINOV2_DIMENSIONS = {"small": 384, "base": 768, "large": 1024, "giant": 1536}


@dataclass(frozen=True)
class ModelRow:
    """A backbone as it is listed.

    Attributes
    ----------
    name : str
    dimension, patch : int
        Length of a vector; canvas pixels per cell.
    licence : str
    weights : Path or None
        Where they are; None if they are not on this machine.
    """

    name: str
    dimension: int
    patch: int
    licence: str
    weights: Path | None


def list_models() -> list[ModelRow]:
    """Look for the weights of every DINOv2 model, with registers and without.

    Returns
    -------
    list of ModelRow
    """
    return [
        ModelRow(
            name=f"dinov2-{size}{variant}",
            dimension=DINOV2_DIMENSIONS[size],
            patch=DINOV2_PATCH,
            licence="Apache-2.0",
            weights=_find(f"dinov2-{size}{variant}"),
        )
        for size in DINOV2_SIZES
        for variant in ("", "-plain")
    ]


def _find(name: str) -> Path | None:
    try:
        return find_dinov2(name)
    except WeightsNotFoundError:
        return None


def show_models(console: Console) -> None:
    """Print the backbones, the places of their weights and the device."""
    from napari_dinoprompt.core.backbones import load_backbone
    from napari_dinoprompt.core.devices import choose_device, choose_precision

    rows = list_models()
    table = Table(title="Backbones", title_justify="left")
    table.add_column("backbone", no_wrap=True)
    table.add_column("features", justify="right")
    table.add_column("patch", justify="right")
    table.add_column("licence")
    table.add_column("runs here")
    table.add_column("weights", overflow="fold")
    device = choose_device("auto")
    dtype = choose_precision("auto", device)
    room = _memory(device)
    bank = load_backbone("filterbank").info
    table.add_row(
        *(bank.name, str(bank.dimension), str(bank.patch), "BSD-3-Clause"),
        *("yes", "needs none"),
    )
    for row in rows:
        stated = dinov2_weights(row.name).size
        here = Text(f"not here, {describe_size(stated)}", style="dim")
        if row.weights is not None:
            here = Text(str(row.weights))
        runs = "yes" if row.weights is not None else "once here"
        if stated * dtype.itemsize // 4 > room:
            runs = "too large"
        size = (str(row.dimension), str(row.patch))
        table.add_row(row.name, *size, row.licence, runs, here)
    console.print(table)
    _show_places(rows, console)
    number_format = str(dtype).removeprefix("torch.")
    console.print(
        f"This machine computes on {device} with {number_format} and "
        f"{describe_size(room)} of memory.",
        soft_wrap=True,
    )
    console.print(
        "-plain is DINOv2 as first published, the others have registers. "
        "timm:NAME is any other vision transformer of timm."
    )


def _show_places(rows: list[ModelRow], console: Console) -> None:
    missing = [row.name for row in rows if row.weights is None]
    if not missing:
        return
    example = dinov2_weights(missing[0])
    lines = [
        f"Get weights with 'dinoprompt models --get {missing[0]}'. They are looked for "
        "in these places, or given with --checkpoint:",
        *(f"  {folder} ({FOLDERS_VARIABLE})" for folder in weights_folders()),
        f"  {hub_cache_folder()} (Hugging Face cache, where --get puts them), for "
        f"example {example.hub_id}",
        f"  {torch_hub_folder()} (torch hub), for example {example.meta_file}",
    ]
    if not weights_folders():
        lines.insert(1, f"  folders named by {FOLDERS_VARIABLE} (none now)")
    for line in lines:
        console.print(line, soft_wrap=True)


def _memory(device: torch.device) -> int:
    """Return the memory in bytes that a network on a device can have."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    import psutil

    return int(psutil.virtual_memory().total)


def get_model(name: str) -> None:
    """Fetch the weights of a model, and tell where from, where to and how large.

    Parameters
    ----------
    name : str
        A DINOv2 backbone.

    Raises
    ------
    DinopromptError
        If there is no such model, or it cannot be fetched.
    KeyboardInterrupt
        If the user stopped it; what was received is kept, and said.
    """
    from napari_dinoprompt._cli.messages import results_console, say, side_console
    from napari_dinoprompt._cli.progress import follow, transfer_bar
    from napari_dinoprompt.core.weights.fetch import fetch_weights, partial_file
    from napari_dinoprompt.core.weights.hub_file import ask_hub

    weights = dinov2_weights(name)
    there = _find(name)
    if there is not None:
        results_console().print(f"{name} is here: {there}", soft_wrap=True)
        return
    console = side_console()
    file = ask_hub(weights)
    say(
        f"getting {name} ({describe_size(file.size)}, Apache-2.0) from {file.endpoint} "
        f"into {hub_cache_folder()}.",
        console,
    )
    try:
        path = follow(fetch_weights(name), name, console, transfer_bar)
    except KeyboardInterrupt:
        part = partial_file(file)
        kept = describe_size(part.stat().st_size if part.exists() else 0)
        say(
            f"stopped. {kept} of {describe_size(file.size)} are kept; the same command "
            "goes on from there.",
            console,
        )
        raise
    results_console().print(f"{name} is here: {path}", soft_wrap=True)
