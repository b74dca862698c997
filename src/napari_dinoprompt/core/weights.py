"""Where the weights of a backbone are, or would be. Imports no network code."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from napari_dinoprompt.core.errors import InputError, WeightsNotFoundError

__all__ = [
    "DINOV2_SIZES",
    "Dinov2Weights",
    "dinov2_weights",
    "find_dinov2",
    "find_timm",
]

DINOV2_SIZES = ("small", "base", "large", "giant")
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True)
class Dinov2Weights:
    """Names of one DINOv2 model, here and at its publishers.

    Attributes
    ----------
    name : str
        As `load_backbone` takes it, such as ``"dinov2-small"``.
    timm_name : str
        Architecture and tag in timm; also the name of its repository on the hub.
    meta_file : str
        Name of Meta's own file, as torch's hub stores it.
    """

    name: str
    timm_name: str
    meta_file: str

    @property
    def hub_id(self) -> str:
        """Repository on the Hugging Face hub."""
        return f"timm/{self.timm_name}"


def dinov2_weights(name: str) -> Dinov2Weights:
    """Resolve the name of a DINOv2 backbone.

    Parameters
    ----------
    name : str
        ``dinov2-small|base|large|giant``; with registers (Darcet et al., ICLR 2024),
        or as first published with ``-plain`` appended.

    Returns
    -------
    Dinov2Weights

    Raises
    ------
    InputError
        If there is no such model.
    """
    size, _, variant = name.removeprefix("dinov2-").partition("-")
    if (
        not name.startswith("dinov2-")
        or size not in DINOV2_SIZES
        or variant not in ("", "plain")
    ):
        sizes = ", ".join(f"dinov2-{size}" for size in DINOV2_SIZES)
        msg = f"Unknown backbone {name!r}; DINOv2 comes as {sizes}, each also -plain."
        raise InputError(msg)
    letter = size[0]
    if variant == "plain":
        return Dinov2Weights(
            name,
            f"vit_{size}_patch14_dinov2.lvd142m",
            f"dinov2_vit{letter}14_pretrain.pth",
        )
    return Dinov2Weights(
        name,
        f"vit_{size}_patch14_reg4_dinov2.lvd142m",
        f"dinov2_vit{letter}14_reg4_pretrain.pth",
    )


def find_dinov2(name: str) -> Path:
    """Find the weights of a DINOv2 backbone on this machine.

    Looks in the Hugging Face cache, then for Meta's file in torch's hub cache.

    Parameters
    ----------
    name : str
        As `dinov2_weights`.

    Returns
    -------
    Path
        A safetensors or PyTorch file.

    Raises
    ------
    InputError
        If there is no such model.
    WeightsNotFoundError
        If the file is in neither place; the message names both.
    """
    weights = dinov2_weights(name)
    cached = _hub_cached(weights.hub_id)
    if cached is not None:
        return cached
    meta = torch_hub_folder() / weights.meta_file
    if meta.is_file():
        return meta
    msg = (
        f"The weights of {name} are not on this machine. Looked for "
        f"{weights.hub_id}/{_HUB_FILES[0]} in the Hugging Face cache "
        f"({hub_cache_folder()}) and for {meta}. Put one of them there or give the "
        "file as checkpoint; the backbone 'filterbank' works without weights."
    )
    raise WeightsNotFoundError(msg)


def find_timm(hub_id: str, name: str) -> Path:
    """Find the weights of another timm model in the Hugging Face cache.

    Parameters
    ----------
    hub_id : str
        Repository on the hub, such as ``"timm/vit_tiny_patch16_224.augreg_in21k"``.
    name : str
        The backbone, for the message.

    Returns
    -------
    Path

    Raises
    ------
    WeightsNotFoundError
        If they are not there.
    """
    cached = _hub_cached(hub_id)
    if cached is None:
        msg = (
            f"The weights of {name} are not on this machine. Looked for "
            f"{hub_id}/{_HUB_FILES[0]} in the Hugging Face cache "
            f"({hub_cache_folder()}). Give the file as checkpoint; the backbone "
            "'filterbank' works without weights."
        )
        raise WeightsNotFoundError(msg)
    return cached


def hub_cache_folder() -> Path:
    """Return the folder in which the Hugging Face hub keeps models."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def torch_hub_folder() -> Path:
    """Return the folder in which torch's hub keeps checkpoints.

    The rule is torch's own; asking torch would import it, and the dock asks before
    it is needed.
    """
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("TORCH_HOME") or str(Path(cache) / "torch")
    return Path(home).expanduser() / "hub" / "checkpoints"


def _hub_cached(hub_id: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    for file in _HUB_FILES:
        found = try_to_load_from_cache(hub_id, file)
        if isinstance(found, str):
            return Path(found)
    return None
