"""Where the weights of a backbone are, or would be. Imports no network code."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from napari_dinoprompt.core.errors import InputError, WeightsNotFoundError

# Environment variable that names folders with weights.
FOLDERS_VARIABLE = "DINOPROMPT_WEIGHTS"
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")
_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".ckpt")
_DIMENSIONS = {"small": 384, "base": 768, "large": 1024, "giant": 1536}
_DINOV3_LICENCE = (
    "DINOv3 License, Meta's own: "
    "https://ai.meta.com/resources/models-and-libraries/dinov3-license/"
)


@dataclass(frozen=True)
class PublishedWeights:
    """One model that is known by a name of its own, here and at its publishers.

    Attributes
    ----------
    name : str
        As `load_backbone` takes it, such as ``"dinov2-small"``.
    timm_name : str
        Architecture and tag in timm; also the name of its repository on the hub.
    meta_file : str
        Name of Meta's own file, as torch's hub stores it.
    patch : int
        Side of a patch in pixels.
    dimension : int
        Length of a patch's vector.
    parameters : int
        Numbers in timm's state dict.
    licence : str
        Of the weights, in one line: its name, and after a comma what to know of it.
    """

    name: str
    timm_name: str
    meta_file: str
    patch: int
    dimension: int
    parameters: int
    licence: str

    @property
    def hub_id(self) -> str:
        """Repository on the Hugging Face hub."""
        return f"timm/{self.timm_name}"

    @property
    def size(self) -> int:
        """Bytes of its weights, about; what the hub says is exact."""
        return 4 * self.parameters

    @property
    def files(self) -> tuple[str, ...]:
        """Names under which people keep the file, besides timm's with the tag."""
        return f"{self.timm_name.partition('.')[0]}.safetensors", self.meta_file


def _dinov2(size: str, parameters: int, registers: str = "") -> PublishedWeights:
    name = f"dinov2-{size}" if registers else f"dinov2-{size}-plain"
    timm_name = f"vit_{size}_patch14{registers}_dinov2.lvd142m"
    file = f"dinov2_vit{size[0]}14{registers}_pretrain.pth"
    width = _DIMENSIONS[size]
    return PublishedWeights(name, timm_name, file, 14, width, parameters, "Apache-2.0")


def _dinov3(size: str, parameters: int, digits: str) -> PublishedWeights:
    name, timm_name = f"dinov3-{size}", f"vit_{size}_patch16_dinov3.lvd1689m"
    file = f"dinov3_vit{size[0]}16_pretrain_lvd1689m-{digits}.pth"
    width, licence = _DIMENSIONS[size], _DINOV3_LICENCE
    return PublishedWeights(name, timm_name, file, 16, width, parameters, licence)


# The models that have names of their own; those of choice first. Parameters were
# counted once on models built on the meta device; a test counts again.
PUBLISHED = {
    one.name: one
    for one in (
        _dinov2("small", 22_057_344, "_reg4"),
        _dinov2("base", 86_582_016, "_reg4"),
        _dinov2("large", 304_370_688, "_reg4"),
        _dinov2("giant", 1_136_483_840, "_reg4"),
        _dinov3("small", 21_586_944, "08c60483"),
        _dinov3("base", 85_641_216, "73cec8be"),
        _dinov3("large", 303_079_424, "8aa4cbdd"),
        _dinov2("small", 22_056_192),
        _dinov2("base", 86_579_712),
        _dinov2("large", 304_367_616),
        _dinov2("giant", 1_136_479_232),
    )
}


def is_published(name: str) -> bool:
    """Tell whether a name is that of a model with weights that can be fetched."""
    return name in PUBLISHED


def published_weights(name: str) -> PublishedWeights:
    """Resolve the name of a DINOv2 or DINOv3 backbone."""
    if name not in PUBLISHED:
        msg = f"Unknown backbone {name!r}; choose one of {', '.join(PUBLISHED)}."
        raise InputError(msg)
    return PUBLISHED[name]


def find_published(name: str, folder: str | Path | None = None) -> Path:
    """Find the weights of a DINOv2 or DINOv3 backbone on this machine."""
    weights = published_weights(name)
    return find_weights(name, weights.hub_id, weights.files, folder)


def is_here(name: str, folder: str | Path | None = None) -> bool:
    """Tell whether the weights of a backbone are here, as far as it is published.

    For others timm, which takes seconds to import, would have to be asked.
    """
    if not is_published(name):
        return True
    try:
        find_published(name, folder)
    except WeightsNotFoundError:
        return False
    return True


def find_weights(
    name: str, hub_id: str, files: tuple[str, ...], folder: str | Path | None = None
) -> Path:
    """Find the weights of a network on this machine.

    Looks in the folders that the user named, then in the Hugging Face cache, then for
    Meta's file in torch's hub cache.

    Returns a safetensors or PyTorch file. A WeightsNotFoundError names all places.
    """
    folders = weights_folders(folder)
    metas = [torch_hub_folder() / file for file in files if file.endswith(".pth")]
    found = _find(hub_id, files, folders) or _hub_cached(hub_id)
    found = found or next((meta for meta in metas if meta.is_file()), None)
    if found is not None:
        return found
    by_hand = (
        f"put {hub_id.rpartition('/')[2]}.safetensors into a folder that "
        f"{FOLDERS_VARIABLE} or the preferences name, or give the file as checkpoint; "
        "the backbone 'filterbank' works now, without weights."
    )
    fetch = f"You can {by_hand}"
    if is_published(name):
        size = describe_size(published_weights(name).size)
        get = f"'dinoprompt models --get {name}' or the dock's button"
        fetch = f"Fetch them ({size}) with {get}, or {by_hand}"
    also = "".join(f" and for {meta}" for meta in metas)
    raise WeightsNotFoundError(
        f"The weights of {name} are not on this machine. Looked for "
        f"{hub_id}/{_HUB_FILES[0]} in {_places(folders)}{also}. {fetch}"
    )


def find_checkpoint(
    checkpoint: Path, hub_id: str | None = None, files: tuple[str, ...] = ()
) -> Path:
    """Return the file that was named, or the one in a folder that was named.

    By the names of its model, if that is known, else the only one.
    """
    if not checkpoint.is_dir():
        return checkpoint
    found = None if hub_id is None else _find(hub_id, files, (checkpoint,))
    if found is not None:
        return found
    there = [checkpoint / file for file in _HUB_FILES]
    there = [file for file in there if file.is_file()][:1] or [
        file for file in checkpoint.iterdir() if file.suffix in _SUFFIXES
    ]
    if len(there) == 1:
        return there[0]
    several = "several files of weights" if there else "no weights"
    wanted = "" if hub_id is None else f", no {hub_id.rpartition('/')[2]}.safetensors"
    msg = f"The folder {checkpoint} holds {several}{wanted}; name the file itself."
    raise WeightsNotFoundError(msg)


def hub_address(hub_id: str, endpoint: str | None = None) -> str:
    """Return where a hub has the weights of a model; nobody is asked."""
    from huggingface_hub import hf_hub_url

    return hf_hub_url(hub_id, _HUB_FILES[0], endpoint=endpoint)


def weights_folders(folder: str | Path | None = None) -> tuple[Path, ...]:
    """Return the folders that the user named.

    Those of ``DINOPROMPT_WEIGHTS`` first.
    """
    named = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    named.append(str(folder or ""))
    return tuple(dict.fromkeys(Path(one).expanduser() for one in named if one.strip()))


def describe_missing(name: str, used: str) -> str:
    """Say that the weights of a backbone are not here, and what is used instead."""
    instead = f"; {used} is used instead" if used != name else ""
    return f"The weights of {name} are not on this machine{instead}."


def describe_size(size: int) -> str:
    """Write a number of bytes as users read it, such as ``88 MB``."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


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


def _find(
    hub_id: str, files: tuple[str, ...], folders: tuple[Path, ...]
) -> Path | None:
    """Look into folders for a model of the hub, under other names too."""
    name = hub_id.rpartition("/")[2]
    names = (f"{name}.safetensors", *(f"{name}/{file}" for file in _HUB_FILES), *files)
    for folder in folders:
        there = (folder / one for one in names)
        found = next((file for file in there if file.is_file()), None)
        found = found or _hub_cached(hub_id, folder)
        if found is not None:
            return found
    return None


def _places(folders: tuple[Path, ...]) -> str:
    named = "".join(f"{folder}, " for folder in folders)
    return f"{named}the Hugging Face cache ({hub_cache_folder()})"


def _hub_cached(hub_id: str, folder: Path | None = None) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    for file in _HUB_FILES:
        found = try_to_load_from_cache(hub_id, file, cache_dir=folder)
        if isinstance(found, str):
            return Path(found)
    return None
