"""What every backbone offers, and how it is described in a reference."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import torch

    from napari_dinoprompt.core.tiling.cache import TileCache
    from napari_dinoprompt.core.tiling.tiles import TilePlan


# What the statistics of the source do to a vector before the cosine: nothing,
# subtract the mean, or subtract the mean and divide by the scale.
Scoring = Literal["plain", "centred", "standardised"]


@dataclass(frozen=True)
class BackboneInfo:
    """The identity of a backbone: vectors compare only if all of it agrees.

    Attributes
    ----------
    name : str
        As `load_backbone` takes it, such as ``"dinov2-small"`` or ``"filterbank"``.
    block : int
        Transformer block that the tokens come from, counted from 0; -1 where there
        are no blocks.
    patch : int
        Canvas pixels per cell.
    dimension : int
        Length of a vector.
    weights_hash : str
        Hash of the weights, or the version of the filters.
    """

    name: str
    block: int
    patch: int
    dimension: int
    weights_hash: str

    def __str__(self) -> str:
        block = "" if self.block < 0 else f", block {self.block}"
        return f"{self.name}{block} ({self.dimension} features)"


class Backbone(Protocol):
    """Turns crops of the canvas into vectors, one per patch."""

    @property
    def info(self) -> BackboneInfo:
        """The identity that is stored in references."""
        ...

    @property
    def scoring(self) -> Scoring:
        """The scoring that suits these features."""
        ...

    def guide_radius(self, cell: float) -> int:
        """Tell how far similarities are fitted to the light around a pixel.

        In cells.
        """
        ...

    @property
    def device(self) -> torch.device:
        """Where the backbone computes."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """Number format of the computation."""
        ...

    @property
    def kept_as(self) -> torch.dtype:
        """Number format in which vectors are kept."""
        ...

    @property
    def cache(self) -> TileCache | None:
        """Where vectors are kept on disk; None if they are not."""
        ...

    @property
    def batch_size(self) -> int:
        """How many tiles to compute at once, as memory is now."""
        ...

    def on(self, device: torch.device) -> Backbone:
        """Return the same backbone on another device."""
        ...

    def plan(self, grid: tuple[int, int]) -> TilePlan:
        """Cut a grid of cells into tiles."""
        ...

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Compute vectors.

        batch: (B, 3, h, w) float32. Returns (B, h / patch - 2 halo, w / patch - 2 halo,
        D) float32: the cores, without the halo of the plan; on the backbone's device.
        """
        ...
