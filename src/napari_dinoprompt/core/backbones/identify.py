"""Which model a checkpoint holds, told by the names and shapes of its tensors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from napari_dinoprompt.core.errors import CheckpointError, DinopromptError, InputError

from .checkpoints import fit_weights, read_checkpoint
from .vit import empty_network, import_timm, timm_name
from .weights import PUBLISHED, find_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .layouts import Weights

# What timm calls networks of a width; others are looked for among all.
_SIZES = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge"}
_NAMED = 3
_PATCHES = "patch_embed.proj.weight"
_LATER_BLOCK = re.compile(r"blocks\.[1-9]")
# By what timm calls them, with tag and without.
_PUBLISHED_AS = {
    title: name
    for name, weights in PUBLISHED.items()
    for title in (weights.timm_name, weights.timm_name.partition(".")[0])
}


def identify_checkpoint(path: str | Path, likely: str | None = None) -> str:
    """Tell which backbone a checkpoint holds the weights of.

    Of a safetensors file only the header is read.

    Parameters
    ----------
    path : str or Path
        A safetensors or PyTorch file, or a folder that holds it.
    likely : str, optional
        A backbone that is meant if it fits, whichever others do; or if none does.

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
    fitting = _fitting(file, weights, likely) or ([likely] if likely else [])
    if len(fitting) == 1:
        return fitting[0]
    raise CheckpointError(
        f"The checkpoint {file} holds {_describe(weights)}, which fits "
        f"{' or '.join(fitting) or 'no model that is known by its shapes'}; "
        "type the name of its model as backbone."
    )


def describe_other(name: str, checkpoint: Path) -> str:
    """Say whose weights a checkpoint holds that is not a backbone's; "" if unknown."""
    try:
        file = find_checkpoint(checkpoint)
        weights = read_checkpoint(file, values=False)
    except DinopromptError:
        return ""
    fitting = [] if _fits(name, weights) else _fitting(file, weights)
    if not fitting:
        return ""
    this = " or ".join(fitting)
    return f"{file} does not hold the weights of {name}; this is {this}."


def check_tag(name: str, checkpoint: Path) -> None:
    """Refuse a file named after a model whose images were scaled in another way.

    Shapes are the same: nothing else would tell.
    """
    tagged = _tagged(find_checkpoint(checkpoint), [name])
    if tagged and _scaling(name) not in map(_scaling, tagged):
        raise CheckpointError(
            f"{checkpoint} is named after {' or '.join(tagged)}, not {name}: type that "
            "name as backbone, or rename the file."
        )


def _scaling(name: str) -> tuple[object, object] | None:
    known = import_timm().get_pretrained_cfg(timm_name(name))
    return None if known is None else (tuple(known.mean), tuple(known.std))


def _describe(weights: Weights) -> str:
    if _PATCHES not in weights:
        return f"tensors such as {', '.join(sorted(weights)[:_NAMED])}"
    width, *_, side = weights[_PATCHES].shape
    depth = _depth(weights)
    return f"a vision transformer of {width} features, {depth} blocks, patch {side}"


def _depth(weights: Weights) -> int:
    return len({name.split(".")[1] for name in weights if name.startswith("blocks.")})


def _fitting(file: Path, weights: Weights, likely: str | None = None) -> list[str]:
    """Name a few models whose weights these are; one alone if names tell."""
    width, *_, side = weights.get(_PATCHES, torch.empty(0, 0)).shape
    published = (
        name
        for name, one in PUBLISHED.items()
        if (one.dimension, one.patch) == (width, side)
    )
    named = [*([likely] if likely else ()), *_named_after(file), *published]
    for name in named:
        if _fits(name, weights):
            return _tagged(file, [name]) or [name]
    others = (name for name in _others(width, side) if _may_fit(name, weights))
    fitting = [name for name in others if _fits(name, weights)]
    return _tagged(file, fitting) or fitting[:_NAMED]


def _titles(file: Path) -> Iterator[str]:
    """Go through what a file and its folders are called; others write dashes."""
    yield file.stem.replace("-", "_")
    yield file.parent.name.replace("-", "_")
    # In the hub's cache a file lies deep in its repository.
    if file.parent.parent.name == "snapshots":
        yield file.parents[2].name.rpartition("--")[2].replace("-", "_")


def _named_after(file: Path) -> Iterator[str]:
    """Go through the models that a file, or its folder, is named after."""
    for title in _titles(file):
        try:
            name = timm_name(f"timm:{title}")
        except InputError:
            continue
        yield _PUBLISHED_AS.get(name, f"timm:{name}")


def _tagged(file: Path, names: list[str]) -> list[str]:
    """Name models with the longest of timm's tags that is a word of a file's name.

    Those of one architecture differ in how their images were scaled.
    """
    bases = {timm_name(name).partition(".")[0] for name in names}
    tags = [one.partition(".") for one in import_timm().list_pretrained()]
    tags = [one for one in tags if one[0] in bases]
    for title in _titles(file):
        words = f"_{title.replace('.', '_')}_".lower()
        found = [tag for tag in tags if f"_{tag[2].lower()}_" in words]
        longest = max((len(tag) for _, _, tag in found), default=0)
        if found:
            full = ["".join(one) for one in found if len(one[2]) == longest]
            return [_PUBLISHED_AS.get(name, f"timm:{name}") for name in full]
    return []


def _others(width: int, side: int) -> list[str]:
    """Name timm's models that may have a width and patch; the plainest first."""
    found = import_timm().list_models(f"*{_SIZES.get(width, '')}*patch{side}*")
    return [f"timm:{name}" for name in sorted(found, key=len)]


def _may_fit(name: str, weights: Weights) -> bool:
    """Tell whether weights are a model's up to the first block; all take long."""
    first = {key: one for key, one in weights.items() if not _LATER_BLOCK.match(key)}
    try:
        return _holds(*empty_network(name, depth=1), first)
    except InputError as error:
        # One with settings for each block timm builds with all of them only; what it
        # can build is none that can be used.
        every = error.__cause__ is not None
        return every and _fits(name, weights, depth=_depth(weights))


def _fits(name: str, weights: Weights, **options: int) -> bool:
    """Tell whether weights are of a model: all of them, and none is to be resampled."""
    try:
        return _holds(*empty_network(name, **options), weights)
    except InputError:
        return False


def _holds(
    model: torch.nn.Module, classifier: tuple[str, ...], weights: Weights
) -> bool:
    own = {key: value.shape for key, value in model.state_dict().items()}
    try:
        # Meta's models with registers have one position more than timm's.
        more = "register_tokens" in weights
        for key, axis, extra in ((_PATCHES, -1, 0), ("pos_embed", 1, more)):
            if key in own and weights[key].shape[axis] - extra != own[key][axis]:
                return False
        fitted = fit_weights(weights, model, classifier)
    except (RuntimeError, ValueError, LookupError, AttributeError):
        return False
    return {key: value.shape for key, value in fitted.items()} == own
