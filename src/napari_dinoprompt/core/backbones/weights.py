"""Where the weights of a backbone are, or would be. Imports no network code."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from napari_dinoprompt.core.errors import InputError, WeightsNotFoundError

DINOV2_SIZES = ("small", "base", "large", "giant")
FOLDERS_VARIABLE = "DINOPROMPT_WEIGHTS"
"""Environment variable that names folders with weights."""
# Numbers in timm's state dict, with registers and without. Counted once on models built
# on the meta device; a test counts again. Files have four bytes for each.
_PARAMETERS = {
    "small": (22_057_344, 22_056_192),
    "base": (86_582_016, 86_579_712),
    "large": (304_370_688, 304_367_616),
    "giant": (1_136_483_840, 1_136_479_232),
}
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

    @property
    def size(self) -> int:
        """Bytes of its weights, about; what the hub says is exact."""
        _, size, *variant = self.name.split("-")
        return 4 * _PARAMETERS[size][bool(variant)]


def dinov2_weights(name: str) -> Dinov2Weights:
    """Resolve the name of a DINOv2 backbone; ``-plain`` has no registers."""
    size, _, variant = name.removeprefix("dinov2-").partition("-")
    if (
        not name.startswith("dinov2-")
        or size not in DINOV2_SIZES
        or variant not in ("", "plain")
    ):
        sizes = ", ".join(f"dinov2-{size}" for size in DINOV2_SIZES)
        msg = f"Unknown backbone {name!r}; DINOv2 comes as {sizes}, each also -plain."
        raise InputError(msg)
    registers = "" if variant else "_reg4"
    return Dinov2Weights(
        name,
        f"vit_{size}_patch14{registers}_dinov2.lvd142m",
        f"dinov2_vit{size[0]}14{registers}_pretrain.pth",
    )


def is_dinov2(name: str) -> bool:
    """Tell whether `dinov2_weights` knows a name."""
    try:
        dinov2_weights(name)
    except InputError:
        return False
    return True


def find_dinov2(name: str, folder: str | Path | None = None) -> Path:
    """Find the weights of a DINOv2 backbone on this machine.

    Looks in the folders that the user named, then in the Hugging Face cache, then for
    Meta's file in torch's hub cache.

    Returns a safetensors or PyTorch file. A WeightsNotFoundError names all places.
    """
    weights = dinov2_weights(name)
    folders = weights_folders(folder)
    meta = torch_hub_folder() / weights.meta_file
    found = _find(weights.hub_id, weights.meta_file, folders)
    found = found or _hub_cached(weights.hub_id) or (meta if meta.is_file() else None)
    if found is not None:
        return found
    msg = (
        f"The weights of {name} are not on this machine. Looked for "
        f"{weights.hub_id}/{_HUB_FILES[0]} in {_places(folders)} and for {meta}. "
        f"Fetch them ({describe_size(weights.size)}) with 'dinoprompt models --get "
        f"{name}' or the dock's button, {how_by_hand(weights.timm_name)}"
    )
    raise WeightsNotFoundError(msg)


def find_timm(hub_id: str, name: str, folder: str | Path | None = None) -> Path:
    """Find the weights of another timm model."""
    folders = weights_folders(folder)
    found = _find(hub_id, None, folders) or _hub_cached(hub_id)
    if found is None:
        msg = (
            f"The weights of {name} are not on this machine. Looked for "
            f"{hub_id}/{_HUB_FILES[0]} in {_places(folders)}. You can "
            f"{how_by_hand(hub_id.rpartition('/')[2]).removeprefix('or ')}"
        )
        raise WeightsNotFoundError(msg)
    return found


def find_checkpoint(checkpoint: Path, hub_id: str, meta_file: str | None) -> Path:
    """Return the file that was named, or the one in a folder that was named."""
    if not checkpoint.is_dir():
        return checkpoint
    found = _find(hub_id, meta_file, (checkpoint,))
    if found is None:
        name = hub_id.rpartition("/")[2]
        meta = "" if meta_file is None else f" or {meta_file}"
        msg = f"The folder {checkpoint} holds no {name}.safetensors{meta}."
        raise WeightsNotFoundError(msg)
    return found


def how_by_hand(timm_name: str) -> str:
    """Say, as the end of a sentence, what to do without the hub."""
    return (
        f"or put {timm_name}.safetensors into a folder that {FOLDERS_VARIABLE} or the "
        "preferences name, or give the file as checkpoint; the backbone 'filterbank' "
        "works now, without weights."
    )


def weights_folders(folder: str | Path | None = None) -> tuple[Path, ...]:
    """Return the folders that the user named.

    Those of ``DINOPROMPT_WEIGHTS`` first.
    """
    named = os.environ.get(FOLDERS_VARIABLE, "").split(os.pathsep)
    named.append(str(folder or ""))
    return tuple(dict.fromkeys(Path(one).expanduser() for one in named if one.strip()))


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


def _find(hub_id: str, meta_file: str | None, folders: tuple[Path, ...]) -> Path | None:
    """Look into folders."""
    name = hub_id.rpartition("/")[2]
    for folder in folders:
        files = [folder / f"{name}.safetensors"]
        files += [folder / name / file for file in _HUB_FILES]
        if meta_file is not None:
            files.append(folder / meta_file)
        found = next((file for file in files if file.is_file()), None)
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
