"""Which model a checkpoint holds, told by the names and shapes of its tensors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_dinoprompt.core.backbones.checkpoints import fit_weights, read_checkpoint
from napari_dinoprompt.core.backbones.vit import (
    empty_network,
    import_timm,
    timm_name,
)
from napari_dinoprompt.core.backbones.weights import PUBLISHED, find_checkpoint
from napari_dinoprompt.core.errors import (
    CheckpointError,
    DinopromptError,
    InputError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_dinoprompt.core.backbones.layouts import Weights

# What timm calls networks of a width; others are looked for among all.
_SIZES = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge"}
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

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> try:
    ...     dp.identify_checkpoint("missing.pth")
    ... except dp.DinopromptError as error:
    ...     print(error)
    There is no checkpoint file missing.pth.
    """
    file = find_checkpoint(Path(path))
    weights = read_checkpoint(file, values=False)
    fitting = _fitting(file, weights)
    if len(fitting) == 1:
        return fitting[0]
    msg = (
        f"The checkpoint {file} holds {_describe(weights)}, which fits "
        f"{' or '.join(fitting[:_NAMED]) or 'no model that is known by its shapes'}; "
        "type the name of its model as backbone."
    )
    raise CheckpointError(msg)


def describe_other(name: str, checkpoint: Path) -> str:
    """Say whose weights a checkpoint holds that is not a backbone's; "" if unknown."""
    try:
        file = find_checkpoint(checkpoint)
        fitting = _fitting(file, read_checkpoint(file, values=False))
    except DinopromptError:
        return ""
    if not fitting or name in fitting:
        return ""
    this = " or ".join(fitting[:_NAMED])
    return f"{file} does not hold the weights of {name}; this is {this}."


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
    # Others write dashes; in the hub's cache a file lies deep in its repository.
    for stem in (file.stem, file.parent.name, file.parent.parent.parent.name):
        try:
            name = timm_name(f"timm:{stem.rpartition('--')[2].replace('-', '_')}")
        except InputError:
            continue
        yield published.get(name, f"timm:{name}")


def _others(width: int, side: int) -> list[str]:
    """Name timm's models that may have a width and patch; the plainest first."""
    found = import_timm().list_models(f"*{_SIZES.get(width, '')}*patch{side}*")
    return [f"timm:{name}" for name in sorted(found, key=len)]


def _fits(name: str, weights: Weights) -> bool:
    """Tell whether weights are of a model: all of them, and none is to be resampled."""
    try:
        model, classifier = empty_network(name)
        own = {key: value.shape for key, value in model.state_dict().items()}
        # Meta's models with registers have one position more than timm's.
        more = "register_tokens" in weights
        for key, axis, extra in ((_PATCHES, -1, 0), ("pos_embed", 1, more)):
            if key in own and weights[key].shape[axis] - extra != own[key][axis]:
                return False
        fitted = fit_weights(weights, model, classifier)
    except (InputError, RuntimeError, ValueError, LookupError, AttributeError):
        return False
    return {key: value.shape for key, value in fitted.items()} == own
