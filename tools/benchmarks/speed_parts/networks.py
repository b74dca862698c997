"""The network that is timed, and ways to set it up."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch

from napari_dinoprompt.core.backbones.devices import choose_device, choose_precision
from napari_dinoprompt.core.backbones.load import load_backbone
from napari_dinoprompt.core.backbones.vit import (
    VisionTransformer,
    import_timm,
    wrap_model,
)
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.tiling.tiles import TilePlan, plan_overlapping

if TYPE_CHECKING:
    from pathlib import Path


RANDOM = "random"
"""DINOv2-small's architecture with random weights: as fast, and needs no weights."""
_ARCHITECTURE = "vit_small_patch14_reg4_dinov2"


@dataclass(frozen=True)
class NetworkChoice:
    """Which network; `RANDOM`, or as `load_backbone` takes it.

    Attributes
    ----------
    name : str
    checkpoint : Path or None
    block : int or None
    device : str
    """

    name: str = RANDOM
    checkpoint: Path | None = None
    block: int | None = None
    device: str = "auto"

    def load(self, precision: str = "fp32") -> VisionTransformer:
        """Load the network, without a cache.

        Parameters
        ----------
        precision : {"fp32", "half", "bf16", "fp16"}
            "half" is what the product takes on this device, bf16 on a CPU.

        Returns
        -------
        VisionTransformer

        Raises
        ------
        DinopromptError
            If it is no transformer, or its weights are not here.
        """
        device = choose_device(self.device)
        if precision == "half":
            precision = "auto" if device.type == "cuda" else "bf16"
        if self.name == RANDOM:
            return wrap_model(
                "dinov2-small with random weights",
                _random_model(),
                block=self.block,
                device=device,
                dtype=choose_precision(precision, device),
            )
        found = load_backbone(
            self.name,
            checkpoint=self.checkpoint,
            block=self.block,
            device=self.device,
            precision=precision,
            cache_gigabytes=0,
        )
        if not isinstance(found, VisionTransformer):
            msg = f"{self.name} is no transformer; the speed of one is measured."
            raise InputError(msg)
        return found


def _random_model() -> torch.nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model: torch.nn.Module = import_timm().create_model(
            _ARCHITECTURE, pretrained=False, num_classes=0
        )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            # timm starts these at 1e-5, where blocks do nothing.
            if name.endswith(".gamma"):
                parameter.fill_(1.0)
    return model


@dataclass(frozen=True, eq=False)
class Overlapping(VisionTransformer):
    """Tiles that share at least some cells."""

    least: int = 0

    def plan(self, grid: tuple[int, int]) -> TilePlan:
        """Cut a grid of cells into tiles of the trained size, as few as will do."""
        ramp = VisionTransformer.plan(self, grid).ramp
        return plan_overlapping(grid, size=self.tile, overlap=self.least, ramp=ramp)


def overlapping(backbone: VisionTransformer, least: int) -> VisionTransformer:
    """Return the same network with tiles that share at least so many cells."""
    return Overlapping(**_fields_of(backbone), least=least)


class KeptWhole(VisionTransformer):
    """Tokens kept in single precision, to compare with."""

    @property
    def kept_as(self) -> torch.dtype:
        """Single precision."""
        return torch.float32


def rewrap(
    kind: type[VisionTransformer], backbone: VisionTransformer
) -> VisionTransformer:
    """Return the same network as another kind of backbone.

    Parameters
    ----------
    kind : type
        Such as `KeptWhole`.
    backbone : VisionTransformer

    Returns
    -------
    VisionTransformer
        It shares the model.
    """
    return kind(**_fields_of(backbone))


def _fields_of(backbone: VisionTransformer) -> dict[str, Any]:
    return {field.name: getattr(backbone, field.name) for field in fields(backbone)}
