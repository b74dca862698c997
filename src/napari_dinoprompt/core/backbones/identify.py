"""Which model a checkpoint holds, told by the names and shapes of its tensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_dinoprompt.core.backbones import vit
from napari_dinoprompt.core.backbones.checkpoints import fit_weights, read_checkpoint
from napari_dinoprompt.core.backbones.layouts import Weights, to_timm_layout
from napari_dinoprompt.core.backbones.weights import PUBLISHED, find_checkpoint
from napari_dinoprompt.core.errors import CheckpointError, InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

# What timm calls networks of a width; others are looked for among all.
_SIZES = {
    192: "tiny",
    384: "small",
    768: "base",
    1024: "large",
    1280: "huge",
    1536: "giant",
}
_NAMED = 3


def identify_checkpoint(path: str | Path) -> str:
    """Tell which backbone a checkpoint holds the weights of.

    Of a safetensors file only the header is read.

    Parameters
    ----------
    path : str or Path
        A safetensors or PyTorch file, or a folder that holds it.

    Returns
    -------
    str
        Its name as `load_backbone` takes it, such as ``"dinov2-small"``.

    Raises
    ------
    CheckpointError
        If the file cannot be read, or fits no model or several: what it holds is said.
    WeightsNotFoundError
        If a folder holds no weights, or several files of them.
    """
    file = find_checkpoint(Path(path))
    tensors = read_checkpoint(file, values=False)
    try:
        weights = to_timm_layout(tensors)
    except (RuntimeError, LookupError) as error:
        msg = f"The checkpoint {file} is in no layout that is known."
        raise CheckpointError(msg) from error
    patches = weights.get("patch_embed.proj.weight")
    if patches is None or patches.ndim != 4:
        first = ", ".join(sorted(tensors)[:_NAMED])
        msg = (
            f"The checkpoint {file} holds no vision transformer that is known by its "
            f"tensors ({first}, …); name its model as backbone if timm has it."
        )
        raise CheckpointError(msg)
    width, side = patches.shape[0], patches.shape[3]
    likely = (name for name in PUBLISHED if _is_like(vit.timm_name(name), width, side))
    fitting = [n for n in (*_named_after(file), *likely) if _fits(n, weights)][:1]
    fitting = fitting or [name for name in _others(width, side) if _fits(name, weights)]
    if len(fitting) == 1:
        return fitting[0]
    blocks = {name.split(".")[1] for name in weights if name.startswith("blocks.")}
    some = " and ".join(fitting[:_NAMED]) or "no model of timm that is known by shapes"
    more = f" and {len(fitting) - _NAMED} more" if len(fitting) > _NAMED else ""
    msg = (
        f"The checkpoint {file} holds a vision transformer of {width} features, "
        f"{len(blocks)} blocks, patch {side}, which fits {some}{more}; type its name "
        "as backbone."
    )
    raise CheckpointError(msg)


def _named_after(file: Path) -> Iterator[str]:
    """Go through the models that a file, or its folder, is named after."""
    published = {
        title: name
        for name, weights in PUBLISHED.items()
        for title in (weights.timm_name, weights.timm_name.partition(".")[0])
    }
    # In the Hugging Face cache a file lies two folders below that of its repository.
    for stem in (file.stem, file.parent.name, file.parent.parent.parent.name):
        try:
            name = vit.timm_name(f"timm:{stem.rpartition('--')[2]}")
        except InputError:
            continue
        yield published.get(name, f"timm:{name}")


def _is_like(timm_name: str, width: int, side: int) -> bool:
    """Tell whether the name of a model allows a width and patch."""
    return f"patch{side}" in timm_name and _SIZES.get(width, "") in timm_name


def _others(width: int, side: int) -> list[str]:
    """Name timm's models that may have a width and patch; the plainest first."""
    names = sorted(vit.import_timm().list_models(), key=len)
    return [f"timm:{name}" for name in names if _is_like(name, width, side)]


def _fits(name: str, weights: Weights) -> bool:
    """Tell whether weights are of a model, all of them."""
    try:
        with torch.device("meta"):
            model, classifier = vit.create_network(name)
    except InputError:
        return False
    own = {key: value.shape for key, value in model.state_dict().items()}
    fitted = fit_weights(weights, model, classifier)
    return {key: value.shape for key, value in fitted.items()} == own
