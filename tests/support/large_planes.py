"""Small planes that are treated as if they were too large to hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import ndimage as ndi

if TYPE_CHECKING:
    import pytest
    from numpy.typing import NDArray

__all__ = ["Recording", "cut_finely", "draw_plane", "hold_nothing_whole"]


@dataclass
class Recording:
    """An array that remembers the largest part that was asked of it."""

    array: NDArray[Any]
    largest: int = 0
    parts: list[tuple[slice, ...]] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.array.dtype

    def __getitem__(self, part: Any) -> NDArray[Any]:
        found = self.array[part]
        self.largest = max(self.largest, found.shape[0] * found.shape[1])
        self.parts.append(part)
        return found

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        msg = "the whole plane is read"
        raise AssertionError(msg)


def cut_finely(monkeypatch: pytest.MonkeyPatch, side: int = 64) -> None:
    """Let regions and places be so small that a small plane has several."""
    monkeypatch.setattr("napari_dinoprompt.core.features.regions._SIDE", side)
    monkeypatch.setattr("napari_dinoprompt.core.features.source._CELLS", side // 2)


def hold_nothing_whole(monkeypatch: pytest.MonkeyPatch, side: int = 64) -> None:
    """Let every plane count as too large."""
    cut_finely(monkeypatch, side)
    monkeypatch.setattr("napari_dinoprompt.core.features.extraction._WHOLE_BYTES", 1)


def draw_plane(
    shape: tuple[int, ...], *, gap: bool = False, seed: int = 0
) -> NDArray[np.float32]:
    """Draw soft spots on a ground that varies, and a gap without data."""
    rng = np.random.default_rng(seed)
    plane = np.full(shape, 0.2, dtype=np.float32)
    for sigma, share in ((2, 1.0), (6, 3.0), (0.6, 0.1)):
        noise = rng.normal(0, 1, shape)
        smooth = ndi.gaussian_filter(noise, (sigma, sigma, *[0] * (len(shape) - 2)))
        plane += (share * smooth).astype(np.float32)
    if gap:
        plane[shape[0] // 3 : shape[0] // 2, shape[1] // 4 : shape[1] // 2] = np.nan
    return plane
