"""Vision transformers from timm: DINOv2, DINOv3 and any other with patch tokens.

DINOv2: Oquab et al., TMLR 2024; registers: Darcet et al., ICLR 2024; DINOv3: Siméoni
et al., 2025.

This is the one place that imports timm, because of a crash. timm imports torchvision
and with it triton, whose library carries an LLVM of its own. In a viewer that has drawn
with Mesa, another LLVM is loaded already, and on Linux the dynamic linker mixes the
two: the process dies. Binding triton's symbols to its own libraries first
(RTLD_DEEPBIND) keeps them apart.
"""

from __future__ import annotations

import copy
import math
import os
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import torch

from napari_dinoprompt.core.errors import InputError, first_line
from napari_dinoprompt.core.tiling.tiles import TilePlan, plan_overlapping

from .base import BackboneInfo, Scoring
from .checkpoints import hash_weights, load_weights
from .weights import (
    find_checkpoint,
    find_weights,
    hub_address,
    is_published,
    published_weights,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from types import ModuleType

    from napari_dinoprompt.core.tiling.cache import TileCache


# Where cells are smaller, similarities are fitted to the light this far around.
_GUIDE_PIXELS = 8
# As few tiles as cover the plane. Measured, more overlap brings nothing: see
# docs/quality.md.
_OVERLAP = 0
# Tokens near the border of a tile lack context on one side: what tiles share counts
# less the nearer it lies to the border, up to a quarter of the tile.
_RAMP = 0.25
_CUDA_BATCH = 64
# Of the memory that is free, since the features have to go somewhere too.
_SHARE_OF_FREE = 0.5
# What a block holds of a token at once, in vectors: queries, keys and values, the
# hidden layer of four, the sums, each twice.
_WIDTHS_PER_TOKEN = 20


def import_timm() -> ModuleType:
    """Import timm, with ``timm.data``, in a way that survives a running viewer."""
    if "timm" not in sys.modules and sys.platform == "linux":
        _load_triton()
    import timm.data

    return timm


def _load_triton() -> None:
    """Load triton by itself, before torch does; where it is of no use, do without.

    Sub-packages with compiled code load with the package. Older ones cannot be
    imported where setuptools is missing, and timm then works without them.
    """
    with _deep_binding(), suppress(ImportError):
        import triton  # noqa: F401


@contextmanager
def _deep_binding() -> Iterator[None]:
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_DEEPBIND)
    try:
        yield
    finally:
        sys.setdlopenflags(flags)


@dataclass(frozen=True, eq=False)
class VisionTransformer:
    """Patch tokens of one block of a vision transformer, after its final norm.

    Attributes
    ----------
    model : torch.nn.Module
        A timm vision transformer in evaluation mode.
    info : BackboneInfo
    scoring : {"plain", "centred", "standardised"}
    tile : int
        Side in cells of the square input that the network was trained on.
    mean, std : (3, 1, 1) tensors of float32
        Of the training images, per channel.
    dtype : torch.dtype
        Number format of the products; weights and sums are in single precision.
    device : torch.device
    cache : TileCache or None
        Where tokens are kept on disk.
    """

    model: torch.nn.Module
    info: BackboneInfo
    scoring: Scoring
    tile: int
    mean: torch.Tensor
    std: torch.Tensor
    dtype: torch.dtype
    device: torch.device
    cache: TileCache | None = None

    @property
    def kept_as(self) -> torch.dtype:
        """Half precision: tokens say no more, and are many."""
        return torch.float16

    def on(self, device: torch.device) -> VisionTransformer:
        """Return a copy of the network on another device, in single precision.

        It is the way out of a card that is too small; a CPU is slow in half precision.
        """
        # Each weight is moved on its own: the full card has no room for a copy.
        moved: dict[int, torch.Tensor] = {}
        for weight in self.model.parameters():
            there = weight.detach().to(device=device, dtype=torch.float32)
            moved[id(weight)] = torch.nn.Parameter(there, requires_grad=False)
        for values in self.model.buffers():
            moved[id(values)] = values.to(device)
        model = copy.deepcopy(self.model, moved)
        model = model.to(device=device, dtype=torch.float32)
        return replace(
            self,
            model=model,
            mean=self.mean.to(device),
            std=self.std.to(device),
            dtype=torch.float32,
            device=device,
        )

    def guide_radius(self, cell: float) -> int:
        """One cell or eight pixels: tokens of an enlarged image are still blurred.

        They see far beyond their patch, so that cells of a few pixels hold no edges
        of that width.
        """
        return max(1, round(_GUIDE_PIXELS / cell))

    @property
    def batch_size(self) -> int:
        """Several tiles fill a GPU; a CPU is full with one, and stops sooner."""
        if self.device.type != "cuda":
            return 1
        free = torch.cuda.mem_get_info(self.device)[0]
        width = self.info.dimension * _WIDTHS_PER_TOKEN * self.dtype.itemsize
        fits = int(_SHARE_OF_FREE * free) // (self.tile**2 * width)
        return max(1, min(fits, _CUDA_BATCH))

    def plan(self, grid: tuple[int, int]) -> TilePlan:
        """Cut a grid of cells into tiles of the trained size, as few as cover it."""
        ramp = math.ceil(self.tile * _RAMP)
        return plan_overlapping(grid, size=self.tile, overlap=_OVERLAP, ramp=ramp)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Compute the patch tokens of tiles.

        batch: (B, 3, h, w) float32, RGB in [0, 1], of the trained size. Returns (B, h /
        patch, w / patch, D) float32.
        """
        with torch.inference_mode():
            pixels = batch.to(self.device, non_blocking=True)
            pixels = (pixels - self.mean) / self.std
            # timm's method, which torch.nn.Module does not know.
            forward: Callable[..., list[torch.Tensor]]
            forward = self.model.forward_intermediates  # type: ignore[assignment]
            # Products in half precision, sums and norms in single: a stream of tokens
            # that is rounded at every block would move masks by more than a hundredth.
            halving = torch.autocast(
                self.device.type, self.dtype, enabled=self.dtype != torch.float32
            )
            with halving:
                (tokens,) = forward(
                    pixels,
                    indices=[self.info.block],
                    norm=True,
                    stop_early=True,
                    intermediates_only=True,
                )
            return tokens.float().permute(0, 2, 3, 1)


def load_vit(
    name: str,
    *,
    checkpoint: Path | None,
    weights_folder: str | Path | None = None,
    block: int | None,
    device: torch.device,
    dtype: torch.dtype,
) -> VisionTransformer:
    """Load a network, published or ``timm:<name>``, as `load_backbone` does."""
    # Before its weights are looked for: it may be none that can be used.
    empty_network(name)
    if checkpoint is None:
        path = locate_weights(name, weights_folder)
    else:
        path = find_checkpoint(checkpoint, *_known_as(name))
    model, classifier = create_network(name)
    load_weights(model, path, name=name, classifier=classifier)
    return wrap_model(name, model, block=block, device=device, dtype=dtype)


def locate_weights(name: str, folder: str | Path | None = None) -> Path:
    """Find the weights of a network, published or ``timm:<name>``, on this machine."""
    return find_weights(name, *_known_as(name), folder)


def _known_as(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the repository of a network on the hub, and other names of its file."""
    if is_published(name):
        weights = published_weights(name)
        return weights.hub_id, weights.files
    architecture = timm_name(name)
    found = _pretrained_config(architecture).get("hf_hub_id")
    # Who does not know of timm's tags names a file as the model.
    return str(found or architecture), (f"{name.removeprefix('timm:')}.safetensors",)


def published_address(name: str) -> str:
    """Return where timm says that the weights of a network are, or ""."""
    config = _pretrained_config(timm_name(name))
    hub_id = config.get("hf_hub_id")
    return hub_address(hub_id) if hub_id else str(config.get("url") or "")


def check_published(name: str, path: Path) -> None:
    """Check that a safetensors file holds a published model; no value is read."""
    model, classifier = empty_network(name)
    load_weights(model, path, name=name, classifier=classifier)


def timm_name(name: str) -> str:
    """Return what timm calls a backbone now; one that it does not know is refused."""
    if is_published(name):
        return published_weights(name).timm_name
    timm = import_timm()
    given = name.removeprefix("timm:")
    base, _, tag = given.partition(".")
    if renamed := timm.models.get_deprecated_models().get(base):
        return str(renamed)
    if not tag and timm.is_model(base):
        # At once: lists take time to sort.
        return given
    of_base = f"{base}.*" if tag and timm.is_model(base) else ""
    known = timm.list_models(of_base, include_tags=bool(of_base))
    if given not in known:
        near = get_close_matches(given, known, n=3) or ["vit_small_patch16_224"]
        like = " or ".join(f"timm:{one}" for one in near)
        msg = f"timm has no model {given!r}; choose another, such as {like}."
        raise InputError(msg)
    return given


def empty_network(name: str, **more: int) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """Build a model without values; one that cannot be used is refused."""
    try:
        with torch.device("meta"):
            return create_network(name, **more)
    except InputError:
        raise
    # Some of timm's models cannot be built without classifier, or by name alone.
    except Exception as error:
        msg = f"timm cannot build {name} ({first_line(error)}); choose another model."
        raise InputError(msg) from error


def create_network(name: str, **more: int) -> tuple[torch.nn.Module, tuple[str, ...]]:
    """Build a model without classifier, and name the classifier's layers.

    With timm's options, such as another depth.
    """
    architecture = timm_name(name)
    model = import_timm().create_model(architecture, num_classes=0, **more)
    _patch_side(name, model)
    classifier = _pretrained_config(architecture).get("classifier") or ()
    names = (classifier,) if isinstance(classifier, str) else tuple(classifier)
    return model, names


def _patch_side(name: str, model: torch.nn.Module) -> int:
    """Return the side of a model's patches; one without square patches is refused."""
    patch_embed = getattr(model, "patch_embed", None)
    patch = getattr(patch_embed, "patch_size", None)
    if (
        not isinstance(patch, tuple)
        or patch[0] != patch[1]
        # A convolutional network stands before the patches of a hybrid.
        or hasattr(patch_embed, "backbone")
        or getattr(model, "blocks", None) is None
        or not hasattr(model, "forward_intermediates")
    ):
        raise InputError(
            f"{name} is not a vision transformer with square patches; choose one such "
            "as timm:vit_small_patch16_224."
        )
    return int(patch[0])


def wrap_model(
    name: str,
    model: torch.nn.Module,
    *,
    block: int | None,
    device: torch.device,
    dtype: torch.dtype,
) -> VisionTransformer:
    """Make a backbone of a timm model that holds its weights."""
    timm = import_timm()
    config = timm.data.resolve_model_data_config(model)
    patch = _patch_side(name, model)
    blocks: Any = model.blocks
    depth = len(blocks)
    index = depth - 1 if block is None else block + depth if block < 0 else block
    if not 0 <= index < depth:
        msg = f"{name} has blocks 0 to {depth - 1}; there is no block {block}."
        raise InputError(msg)
    dimension: Any = model.num_features
    weights_hash = hash_weights(model.state_dict())
    model = model.eval().requires_grad_(False).to(device=device, dtype=torch.float32)
    return VisionTransformer(
        model=model,
        info=BackboneInfo(name, index, patch, int(dimension), weights_hash),
        scoring="centred",
        tile=int(config["input_size"][1]) // patch,
        mean=torch.tensor(config["mean"], device=device).view(3, 1, 1),
        std=torch.tensor(config["std"], device=device).view(3, 1, 1),
        dtype=dtype,
        device=device,
    )


def _pretrained_config(architecture: str) -> Mapping[str, Any]:
    found = import_timm().get_pretrained_cfg(architecture, allow_unregistered=True)
    config: Mapping[str, Any] = {} if found is None else found.to_dict()
    return config
