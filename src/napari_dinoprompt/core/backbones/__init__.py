"""Backbones by name."""

from __future__ import annotations

from pathlib import Path

from napari_dinoprompt.core.backbones.base import Backbone, BackboneInfo, Scoring
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.weights import DINOV2_SIZES

__all__ = ["Backbone", "BackboneInfo", "Scoring", "backbone_names", "load_backbone"]

FILTERBANK = "filterbank"


def backbone_names() -> tuple[str, ...]:
    """Return the names that are offered; ``timm:<name>`` adds any other."""
    return (*(f"dinov2-{size}" for size in DINOV2_SIZES), FILTERBANK)


def load_backbone(
    name: str,
    *,
    checkpoint: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    block: int | None = None,
) -> Backbone:
    """Load a backbone; nothing is downloaded.

    Parameters
    ----------
    name : str
        ``dinov2-small|base|large|giant`` (``-plain`` appended: without registers),
        ``timm:<name>`` for any other timm vision transformer, or ``filterbank``.
    checkpoint : str or Path, optional
        Weights, a safetensors or PyTorch file; else the caches of this machine are
        searched.
    device : {"auto", "cuda", "mps", "cpu"}
    precision : {"auto", "fp32", "bf16", "fp16"}
        Of networks; the filter bank always computes in fp32.
    block : int, optional
        Transformer block counted from 0, negative from the end; the last by default.

    Returns
    -------
    Backbone

    Raises
    ------
    InputError
        If a name or option does not exist, or does not apply to the backbone.
    WeightsNotFoundError
        If the weights are not on this machine.
    CheckpointError
        If the file is damaged or another model's.
    """
    from napari_dinoprompt.core.devices import choose_device, choose_precision

    where = choose_device(device)
    dtype = choose_precision(precision, where)
    if name == FILTERBANK:
        if checkpoint is not None or block is not None:
            msg = "The filter bank has neither weights nor blocks."
            raise InputError(msg)
        from napari_dinoprompt.core.backbones.filterbank import FilterBank

        return FilterBank(where)
    path = None if checkpoint is None else Path(checkpoint)
    from napari_dinoprompt.core.backbones import vit

    if name.startswith("timm:"):
        load = vit.load_timm
    elif name.startswith("dinov2-"):
        load = vit.load_dinov2
    else:
        names = ", ".join(backbone_names())
        msg = f"Unknown backbone {name!r}; choose {names} or timm:<name>."
        raise InputError(msg)
    return load(name, checkpoint=path, block=block, device=where, dtype=dtype)
