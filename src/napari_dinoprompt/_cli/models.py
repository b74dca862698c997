"""`dinoprompt models`: the backbones, where their weights are, what runs here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .console import follow, results_console, say, tell

if TYPE_CHECKING:
    from pathlib import Path

    import torch


def models(
    get: Annotated[
        str | None,
        typer.Option(
            help="Download the weights of dinov2-small, -base, -large or -giant, or "
            "dinov3-small, -base or -large, into the Hugging Face cache. Ctrl-C stops; "
            "the same command goes on.",
            metavar="NAME",
        ),
    ] = None,
) -> None:
    """List the backbones, where their weights are, and what runs on this machine.

    Nothing is downloaded without --get.
    """
    if get is not None:
        _get_model(get)
    else:
        _show_models()


def _find(name: str) -> Path | None:
    from napari_dinoprompt.core.backbones.weights import find_published
    from napari_dinoprompt.core.errors import WeightsNotFoundError

    try:
        return find_published(name)
    except WeightsNotFoundError:
        return None


def _show_models() -> None:
    """Print the backbones, the places of their weights and the device."""
    from rich.table import Table
    from rich.text import Text

    from napari_dinoprompt.core.backbones.devices import choose_device, choose_precision
    from napari_dinoprompt.core.backbones.load import load_backbone
    from napari_dinoprompt.core.backbones.weights import PUBLISHED, describe_size

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
    missing = []
    for name, weights in PUBLISHED.items():
        path = _find(name)
        runs, here = "yes", Text(str(path))
        if path is None:
            missing.append(name)
            runs = "once here"
            here = Text(f"not here, {describe_size(weights.size)}", style="dim")
        if weights.size * dtype.itemsize // 4 > room:
            runs = "too large"
        sizes = (str(weights.dimension), str(weights.patch))
        licence = weights.licence.partition(",")[0]
        table.add_row(name, *sizes, licence, runs, here)
    results_console().print(table)
    if missing:
        _show_places(missing[0])
    number_format = str(dtype).removeprefix("torch.")
    tell(
        f"This machine computes on {device} with {number_format} and "
        f"{describe_size(room)} of memory."
    )
    results_console().print(
        "-plain is DINOv2 as first published, the others have registers. DINOv3 is "
        f"under the {PUBLISHED['dinov3-small'].licence}. timm:NAME is any other vision "
        "transformer of timm."
    )


def _show_places(name: str) -> None:
    """Print where the weights of a model are looked for."""
    from napari_dinoprompt.core.backbones.weights import (
        FOLDERS_VARIABLE,
        hub_cache_folder,
        published_weights,
        torch_hub_folder,
        weights_folders,
    )

    example = published_weights(name)
    tell(
        f"Get weights with 'dinoprompt models --get {name}'. They are looked for "
        "in these places, or given with --checkpoint:"
    )
    folders = weights_folders()
    for folder in folders:
        tell(f"  {folder} ({FOLDERS_VARIABLE})")
    if not folders:
        tell(f"  folders named by {FOLDERS_VARIABLE} (none now)")
    tell(
        f"  {hub_cache_folder()} (Hugging Face cache, where --get puts them), for "
        f"example {example.hub_id}"
    )
    tell(f"  {torch_hub_folder()} (torch hub), for example {example.meta_file}")


def _memory(device: torch.device) -> int:
    """Return the memory in bytes that a network on a device can have."""
    if device.type == "cuda":
        import torch

        return int(torch.cuda.get_device_properties(device).total_memory)
    import psutil

    return int(psutil.virtual_memory().total)


def _get_model(name: str) -> None:
    """Fetch the weights of a model, and tell where from, where to and how large."""
    from napari_dinoprompt.core.backbones.download import (
        ask_hub,
        fetch_weights,
        partial_file,
    )
    from napari_dinoprompt.core.backbones.load import weights_address
    from napari_dinoprompt.core.backbones.weights import (
        describe_size,
        hub_cache_folder,
        published_weights,
    )
    from napari_dinoprompt.core.errors import FetchError

    weights = published_weights(name)
    there = _find(name)
    if there is None:
        try:
            file = ask_hub(weights)
        except FetchError as error:
            raise FetchError(f"{error} It is at {weights_address(name)}") from error
        whole = describe_size(file.size)
        say(
            f"getting {name} ({whole}, {weights.licence}) from {file.endpoint} "
            f"into {hub_cache_folder()}."
        )
        try:
            there = follow(fetch_weights(name), name, of_bytes=True)
        except KeyboardInterrupt:
            part = partial_file(file)
            kept = describe_size(part.stat().st_size if part.exists() else 0)
            say(
                f"stopped. {kept} of {whole} are kept; the same command goes on from "
                "there."
            )
            raise
    tell(f"{name} is here: {there}")
