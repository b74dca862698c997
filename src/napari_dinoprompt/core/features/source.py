"""Features of a plane: whole, or prepared to come part by part.

What of a large plane is looked at before anything else. A few places stand for all.
Where they are depends on the plane's shape and the backbone alone, neither on what is
in view nor on the order of work.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.intensity import (
    IntensityWindow,
    measure_stack_window,
)
from napari_dinoprompt.core.images.lazy_plane import LazyPlane
from napari_dinoprompt.core.images.plane import holds_data
from napari_dinoprompt.core.progress import Notice, Progress, runs_to_end
from napari_dinoprompt.core.tiling.grid import CellGrid

from .extraction import fits_whole, iter_features
from .large import LazyFeatures
from .regions import Region, RegionPlan, plan_regions

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.tiling.tiles import TilePlan

    from .feature_map import FeatureMap


# A grid of places, one somewhere in each of its fields.
_FIELDS = 4
_SEED = 0
# Side of a place in cells, where it need not be that of a tile.
_CELLS = 256


def iter_any_features(
    image: ArrayLike | LazyPlane,
    backbone: Backbone,
    *,
    upscale: float = 1.0,
    window: IntensityWindow | tuple[float, float] | None = None,
) -> Generator[Progress | Notice, None, FeatureMap | LazyFeatures]:
    """Compute the features of a plane, or prepare them if it is a large one."""
    plane = LazyPlane.of(image)
    if fits_whole(plane.shape, backbone, upscale):
        return iter_features(plane.whole(), backbone, upscale=upscale, window=window)
    return iter_lazy_features(plane, backbone, upscale=upscale, window=window)


class NoDataError(InputError):
    """A plane that holds nothing but NaN or infinity."""


def iter_lazy_features(
    image: ArrayLike | LazyPlane,
    backbone: Backbone,
    *,
    upscale: float = 1.0,
    window: IntensityWindow | tuple[float, float] | None = None,
) -> Generator[Progress | Notice, None, LazyFeatures]:
    """Prepare the features of a large plane.

    Parameters
    ----------
    image : LazyPlane, or (H, W) or (H, W, 3 or 4) array_like
        Read part by part, whatever kind of array it is.
    backbone : Backbone
    upscale : float
        How much the plane is enlarged before the backbone.
    window : IntensityWindow, (low, high) or None
        Grey values that map to 0 and 1; None takes them from a sample of the plane.

    Yields
    ------
    Progress
        After each place that is looked at.

    Returns
    -------
    LazyFeatures

    Raises
    ------
    InputError
        If the upscale or the window cannot be used.
    NoDataError
        If the plane holds no data; an InputError too.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> features = dp.lazy_features(image, backbone)
    >>> reference = dp.Reference.from_prompts(features, [(20, 60), (60, 60)])
    >>> reference.sources[0].shape
    (160, 160)
    """
    plane = LazyPlane.of(image)
    held, pixels = yield from _iter_sample(plane, backbone, upscale)
    if not held:
        raise NoDataError("The image holds nothing but NaN or infinity.")
    if window is None:
        window = measure_stack_window(pixels)
    elif not isinstance(window, IntensityWindow):
        window = IntensityWindow(*window)
    return LazyFeatures(plane, backbone, upscale, window, held)


lazy_features = runs_to_end("lazy_features", iter_lazy_features)


def sample_window(
    planes: Sequence[LazyPlane], backbone: Backbone, upscale: float
) -> Generator[Progress, None, IntensityWindow | None]:
    """Take one intensity window for large planes of a stack.

    None if none holds data.
    """
    pixels: list[NDArray[np.generic]] = []
    for plane in planes:
        _, found = yield from _iter_sample(plane, backbone, upscale)
        pixels += found
    return measure_stack_window(pixels) if pixels else None


def _iter_sample(
    plane: LazyPlane, backbone: Backbone, upscale: float
) -> Generator[Progress, None, tuple[list[Region], list[NDArray[np.generic]]]]:
    """Read the places that stand for a plane, as far as they hold data."""
    grid = CellGrid(plane.shape, backbone.info.patch, upscale)
    regions = plan_regions(grid, backbone)
    places = sample_regions(grid, backbone.plan(grid.cells), regions)
    held = []
    pixels = []
    for number, region in enumerate(places, start=1):
        part = plane.read(region.rows, region.columns)
        if holds_data(part):
            held.append(region)
            pixels.append(part)
        yield Progress(number, len(places))
    if held:
        return held, pixels
    # Data may be in a corner only.
    for number, region in enumerate(regions.regions, start=1):
        part = plane.read(region.rows, region.columns)
        yield Progress(number, len(regions.regions))
        if holds_data(part):
            return [region], [part]
    return [], []


def sample_regions(
    grid: CellGrid, plan: TilePlan, regions: RegionPlan
) -> tuple[Region, ...]:
    """Choose the places that stand for a plane.

    At most sixteen. Where tiles overlap, a place is the middle of one, so that it costs
    one pass of the network.
    """
    found: dict[tuple[int, ...], Region] = {}
    for row, column in _jittered(grid.cells):
        if plan.align:
            windows = [
                (max(0, round(near) - _CELLS // 2), round(near) + _CELLS // 2)
                for near in (row, column)
            ]
        else:
            windows = [
                _middle(plan, axis, near) for axis, near in enumerate((row, column))
            ]
        rows, columns = (
            _inside(begin * grid.cell, end * grid.cell, regions.step)
            for begin, end in windows
        )
        # Two fields of a small plane may have the same tile.
        found[*rows, *columns] = regions.around(rows, columns)
    return tuple(found.values())


def _middle(plan: TilePlan, axis: int, near: float) -> tuple[int, int]:
    """Return first and last cell, exclusive, of the middle of the nearest tile."""
    cells, starts = plan.grid[axis], plan.starts[axis]
    size = (plan.tiles[0].height, plan.tiles[0].width)[axis]
    if cells <= size:
        return 0, cells
    number = min(range(len(starts)), key=lambda at: abs(starts[at] + size / 2 - near))
    begin, end = starts[number] + plan.ramp, starts[number] + size - plan.ramp
    # Neighbours may reach in further than they must.
    first = max(begin, starts[number - 1] + size) if number else begin
    last = min(end, starts[number + 1]) if number + 1 < len(starts) else end
    return (first, last) if last - first >= (end - begin) / 2 else (begin, end)


def _inside(begin: float, end: float, step: int) -> tuple[int, int]:
    """Return pixels whose whole blocks lie between two places, if there are any."""
    first, last = math.ceil(begin), math.floor(end)
    spare = step - 1
    return (first + spare, last - spare) if last - first > 2 * spare else (first, last)


def _jittered(cells: tuple[int, int]) -> Iterator[tuple[float, float]]:
    random = np.random.default_rng(_SEED)
    for row in range(_FIELDS):
        for column in range(_FIELDS):
            y, x = random.random(2)
            yield ((row + y) / _FIELDS * cells[0], (column + x) / _FIELDS * cells[1])
