"""Backbones by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_dinoprompt.core.errors import CheckpointError, InputError

from .weights import PUBLISHED, hub_address, is_here, is_published, published_weights

if TYPE_CHECKING:
    from .base import Backbone, BackboneInfo

FILTERBANK = "filterbank"
# The backbone of choice wherever its weights are.
CHOICE = "dinov2-small"


def backbone_names() -> tuple[str, ...]:
    """Return the names that are offered; ``timm:<name>`` adds any other."""
    offered = (name for name in PUBLISHED if not name.endswith("-plain"))
    return (*offered, FILTERBANK)


def default_backbone(weights_folder: str | Path | None = None) -> str:
    """Return the backbone of choice on this machine.

    ``"dinov2-small"`` if its weights are here, else ``"filterbank"``.
    """
    return CHOICE if is_here(CHOICE, weights_folder) else FILTERBANK


def weights_address(name: str) -> str:
    """Return where the weights of a backbone are published; "" where that is unknown.

    Of a model of timm's timm knows, which takes seconds to import.
    """
    if is_published(name):
        return hub_address(published_weights(name).hub_id)
    from .vit import published_address

    return published_address(name)


def load_backbone(
    name: str,
    *,
    checkpoint: str | Path | None = None,
    weights_folder: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    block: int | None = None,
    cache_gigabytes: float | None = None,
) -> Backbone:
    """Load a backbone; nothing is downloaded.

    Parameters
    ----------
    name : str
        ``dinov2-small|base|large|giant`` (``-plain`` appended: without registers),
        ``dinov3-small|base|large``, ``timm:<name>`` for any other timm vision
        transformer, or ``filterbank``.
    checkpoint : str or Path, optional
        Weights, a safetensors or PyTorch file or a folder that holds it, in the
        layout of timm, Meta or Hugging Face; else they are looked for on this machine.
        `identify_checkpoint` tells whose they are.
    weights_folder : str or Path, optional
        A folder to look in, after those that the environment variable
        ``DINOPROMPT_WEIGHTS`` names and before the caches of this machine.
    device : {"auto", "cuda", "mps", "cpu"}
    precision : {"auto", "fp32", "bf16", "fp16"}
        Of networks; the filter bank always computes in fp32.
    block : int, optional
        Transformer block counted from 0, negative from the end; the last by default.
    cache_gigabytes : float, optional
        Disk space for what a network has computed, so that an image that is opened
        again need not be computed again; 0 keeps nothing. By default 10, or what the
        environment variable ``DINOPROMPT_CACHE_GB`` says.

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

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> backbone = dp.load_backbone("filterbank")
    >>> backbone.info.name, backbone.info.dimension
    ('filterbank', 30)
    """
    from .devices import choose_device, choose_precision

    where = choose_device(device)
    dtype = choose_precision(precision, where)
    if name == FILTERBANK:
        if checkpoint is not None or block is not None:
            raise InputError("The filter bank has neither weights nor blocks.")
        from .filterbank import FilterBank

        return FilterBank(where)
    if not _is_network(name):
        names = ", ".join(backbone_names())
        raise InputError(f"Unknown backbone {name!r}; choose {names} or timm:<name>.")
    from napari_dinoprompt.core.tiling.cache import open_cache

    from .vit import load_vit

    # Before the network, which takes its time: it may be named wrongly.
    cache = open_cache(cache_gigabytes)
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None:
        from .identify import check_tag

        check_tag(name, path)
    try:
        network = load_vit(
            name,
            checkpoint=path,
            weights_folder=weights_folder,
            block=block,
            device=where,
            dtype=dtype,
        )
    except CheckpointError as error:
        from .identify import describe_other

        msg = (path and describe_other(name, path)) or str(error)
        raise CheckpointError(msg) from error
    return replace(network, cache=cache)


def _is_network(name: str) -> bool:
    return is_published(name) or name.startswith("timm:")


@dataclass(frozen=True)
class BackboneChoice:
    """Everything that decides which backbone is loaded, as `load_backbone` takes it."""

    name: str
    checkpoint: str | None = None
    device: str = "auto"
    precision: str = "auto"
    weights_folder: str | None = None
    cache_gigabytes: float | None = None
    block: int | None = None

    @property
    def layer(self) -> str:
        """The backbone and its block: to each other's features a threshold is none."""
        return self.name if self.block is None else f"{self.name} block {self.block}"

    def fitting(self, info: BackboneInfo) -> BackboneChoice:
        """Choose the backbone of a reference, loaded as this one is."""
        return replace(
            self,
            name=info.name,
            # A file of weights is one model's.
            checkpoint=self.checkpoint if self.name == info.name else None,
            block=info.block if info.block >= 0 else None,
        )

    def count_blocks(self) -> int | None:
        """Count the transformer blocks; None of what has none. Needs no weights."""
        if not _is_network(self.name):
            return None
        from .vit import empty_network

        blocks: Any = empty_network(self.name)[0].blocks
        return len(blocks)

    def load(self) -> Backbone:
        """Load the backbone; errors as `load_backbone`."""
        return load_backbone(**vars(self))
