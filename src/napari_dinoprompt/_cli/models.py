"""`dinoprompt models`: the backbones, where their weights are, what runs here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from napari_dinoprompt.core.errors import WeightsNotFoundError
from napari_dinoprompt.core.weights import (
    DINOV2_SIZES,
    dinov2_weights,
    find_dinov2,
    hub_cache_folder,
    torch_hub_folder,
)

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

__all__ = ["ModelRow", "list_models", "show_models"]

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
    table = Table("backbone", title="Backbones", title_justify="left")
    table.add_column("features", justify="right")
    table.add_column("patch", justify="right")
    table.add_column("licence")
    table.add_column("weights", overflow="fold")
    bank = load_backbone("filterbank").info
    table.add_row(
        bank.name, str(bank.dimension), str(bank.patch), "BSD-3-Clause", "needs none"
    )
    for row in rows:
        here = Text("not here", style="dim")
        if row.weights is not None:
            here = Text(str(row.weights))
        size = (str(row.dimension), str(row.patch))
        table.add_row(row.name, *size, row.licence, here)
    console.print(table)
    _show_places(rows, console)
    device = choose_device("auto")
    number_format = str(choose_precision("auto", device)).removeprefix("torch.")
    console.print(f"This machine computes on {device} with {number_format}.")
    console.print(
        "-plain is DINOv2 as first published, the others have registers. "
        "timm:NAME is any other vision transformer of timm."
    )


def _show_places(rows: list[ModelRow], console: Console) -> None:
    missing = [row.name for row in rows if row.weights is None]
    if not missing:
        return
    example = dinov2_weights(missing[0])
    lines = (
        "Weights are looked for in these places, or given with --checkpoint:",
        f"  {hub_cache_folder()} (Hugging Face cache), for example {example.hub_id}",
        f"  {torch_hub_folder()} (torch hub), for example {example.meta_file}",
    )
    for line in lines:
        console.print(line, soft_wrap=True)
