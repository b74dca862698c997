"""Which model a checkpoint holds, told by the names and shapes of its tensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_dinoprompt.core.backbones import vit
from napari_dinoprompt.core.backbones.checkpoints import fit_weights, read_checkpoint
from napari_dinoprompt.core.backbones.layouts import Weights, unify_layout
from napari_dinoprompt.core.backbones.weights import PUBLISHED, find_checkpoint
from napari_dinoprompt.core.errors import (
    CheckpointError,
    DinopromptError,
    InputError,
    first_line,
)

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
_PATCHES = "patch_embed.proj.weight"


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
    weights = _read_shapes(file)
    fitting = _fitting(file, weights)
    if len(fitting) == 1:
        return fitting[0]
    msg = (
        f"The checkpoint {file} holds {_describe(weights)}, which fits "
        f"{_some(fitting) or 'no model that is known by its shapes'}; type the name of "
        "its model as backbone."
    )
    raise CheckpointError(msg)


def describe_other(name: str, checkpoint: Path) -> str:
    """Say whose weights a checkpoint holds that is not a backbone's; "" if unknown."""
    try:
        file = find_checkpoint(checkpoint)
        fitting = _fitting(file, _read_shapes(file))
    except DinopromptError:
        return ""
    if not fitting or name in fitting:
        return ""
    return f"{file} does not hold the weights of {name}; this is {_some(fitting)}."


def _read_shapes(file: Path) -> Weights:
    try:
        return unify_layout(read_checkpoint(file, values=False))
    except (RuntimeError, ValueError) as error:
        msg = f"The checkpoint {file} is in no known layout. {first_line(error)}"
        raise CheckpointError(msg) from error


def _some(names: list[str]) -> str:
    """Name the first few models."""
    more = [f"{len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return " or ".join([*names[:_NAMED], *more])


def _describe(weights: Weights) -> str:
    if _PATCHES not in weights:
        return f"tensors such as {', '.join(sorted(weights)[:_NAMED])}"
    width, *_, side = weights[_PATCHES].shape
    blocks = {name.split(".")[1] for name in weights if name.startswith("blocks.")}
    return (
        f"a vision transformer of {width} features, {len(blocks)} blocks, patch {side}"
    )


def _fitting(file: Path, weights: Weights) -> list[str]:
    """Name the models whose weights these are; one alone if names tell."""
    width, *_, side = weights.get(_PATCHES, torch.empty(0, 0)).shape
    published = [
        name
        for name, one in PUBLISHED.items()
        if (one.dimension, one.patch) == (width, side)
    ]
    first = [*_named_after(file), *published]
    alone = [name for name in first if _fits(name, weights)][:1]
    return alone or [name for name in _others(width, side) if _fits(name, weights)]


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


def _others(width: int, side: int) -> list[str]:
    """Name timm's models that may have a width and patch; the plainest first."""
    found = vit.import_timm().list_models(f"*{_SIZES.get(width, '')}*patch{side}*")
    return [f"timm:{name}" for name in sorted(found, key=len)]


def _fits(name: str, weights: Weights) -> bool:
    """Tell whether weights are of a model: all of them, and none is to be resampled."""
    try:
        with torch.device("meta"):
            model, classifier = vit.create_network(name)
        own = {key: value.shape for key, value in model.state_dict().items()}
        # Meta's models with registers have one position more than timm's.
        extra = "register_tokens" in weights and "pos_embed" in weights
        for key, more in ((_PATCHES, 0), ("pos_embed", int(extra))):
            if key in own and weights[key].shape[1] - more != own[key][1]:
                return False
        fitted = fit_weights(weights, model, classifier)
    except (InputError, RuntimeError, ValueError, LookupError, AttributeError):
        return False
    return {key: value.shape for key, value in fitted.items()} == own
