"""The region with the sharpest rim among those nested around a point."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_dinoprompt.core.scoring.outlines import Window, find_outline

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.scoring.outlines import Outline

Centre = tuple[float, float]


def soft_disc(
    shape: tuple[int, int], centre: Centre, radius: float, rim: float = 1
) -> NDArray[np.float32]:
    """1 inside, 0 outside."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    apart = np.hypot(y - centre[0], x - centre[1])
    found: NDArray[np.float32] = ndi.gaussian_filter(
        (apart < radius).astype(np.float32), rim
    )
    return found


def on_slope(disc: NDArray[np.float32]) -> NDArray[np.float32]:
    """On a ground that rises from one side to the other, as light does."""
    ground = np.linspace(-0.1, 0.3, disc.shape[1], dtype=np.float32)
    return np.asarray(ground + 0.5 * disc, np.float32)


def painted(outline: Outline | None, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Its pixels in the picture."""
    assert outline is not None
    window = outline.window
    samples = np.repeat(np.repeat(outline.inside, window.scale, 0), window.scale, 1)
    picture = np.zeros(shape, dtype=np.bool_)
    picture[window.rows, window.columns] = samples
    return picture


def outline_at(
    values: NDArray[np.float32],
    grey: NDArray[np.float32],
    point: tuple[int, int],
    scale: int,
) -> Outline | None:
    """Find it in the window around a point, of samples averaged over pixels."""
    window = Window.around((values.shape[0], values.shape[1]), point, scale, 1)
    if window is None:
        return None
    sides = (window.rows, window.columns)
    rows, columns = ((one.stop - one.start) // scale for one in sides)
    maps = (
        one[window.rows, window.columns]
        .reshape(rows, scale, columns, scale)
        .mean(axis=(1, 3))
        for one in (values, grey)
    )
    return find_outline(*maps, window)


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize(("radius", "off"), [(7, 0.1), (9, 0.06), (20, 0.03)])
def test_a_disc_on_a_slope_is_found_at_its_size(
    scale: int, radius: int, off: float
) -> None:
    """Also from a point aside of its middle."""
    size = 64 * scale + 41
    middle, wide = (size // 2, size // 2 + 7), radius * scale
    disc = soft_disc((size, size), middle, wide, scale)
    point = (middle[0] + wide // 3, middle[1] - wide // 2)
    found = outline_at(on_slope(disc), disc, point, scale)
    assert overlap(painted(found, disc.shape), disc > 0.5) > 0.9
    assert np.sum(painted(found, disc.shape)) == pytest.approx(np.pi * wide**2, rel=off)


def test_an_enlarged_disc_has_an_area_as_much_larger() -> None:
    small = soft_disc((141, 141), (70, 70), 9)
    large = soft_disc((561, 561), (280, 280), 36, 4)
    one = outline_at(on_slope(small), small, (68, 73), 1)
    other = outline_at(on_slope(large), large, (272, 292), 4)
    areas = [
        painted(*found).sum() for found in ((one, (141, 141)), (other, (561,) * 2))
    ]
    assert areas[1] / areas[0] == pytest.approx(16, rel=0.05)


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("middle", [(3, 70), (137, 70), (70, 2), (70, 139), (1, 1)])
def test_objects_end_at_the_edge_of_the_picture(
    middle: tuple[int, int], scale: int
) -> None:
    disc = soft_disc((141, 141), middle, 10 * scale, scale)
    found = outline_at(on_slope(disc), disc, middle, scale)
    # Whole samples do not reach over the last pixel of an odd side.
    assert overlap(painted(found, disc.shape), disc > 0.5) > 0.85


def test_a_hole_belongs_to_what_is_around_it() -> None:
    disc = soft_disc((141, 141), (70, 70), 14)
    ring = disc - soft_disc((141, 141), (70, 70), 6)
    found = outline_at(on_slope(ring), ring, (60, 70), 1)
    assert overlap(painted(found, ring.shape), disc > 0.5) > 0.9


@pytest.mark.parametrize(("core", "expected"), [(0.2, 16), (0.8, 6)])
def test_of_nested_regions_the_one_with_the_sharpest_rim(
    core: float, expected: int
) -> None:
    """A disc within a disc: the step that is higher, in the map and in the light."""
    inner, outer = (soft_disc((141, 141), (70, 70), radius) for radius in (6, 16))
    both = core * inner + (1 - core) * outer
    found = painted(outline_at(on_slope(both), both, (70, 70), 1), both.shape)
    assert found.sum() == pytest.approx(np.pi * expected**2, rel=0.15)


def test_the_light_tells_where_a_blurred_map_ends() -> None:
    sharp = soft_disc((141, 141), (70, 70), 12)
    blurred = on_slope(soft_disc((141, 141), (70, 70), 14, 4))
    found = painted(outline_at(blurred, sharp, (70, 70), 1), sharp.shape)
    assert overlap(found, sharp > 0.5) > 0.9


def test_a_neighbour_is_another_object() -> None:
    one, other = (soft_disc((141, 141), (70, x), 9) for x in (58, 82))
    found = outline_at(on_slope(one + other), one + other, (68, 55), 1)
    assert overlap(painted(found, one.shape), one > 0.5) > 0.9


def test_an_object_too_large_for_a_window_is_found_in_the_next() -> None:
    disc = soft_disc((281, 281), (140, 140), 50, 2)
    assert outline_at(on_slope(disc), disc, (140, 140), 1) is None
    found = outline_at(on_slope(disc), disc, (140, 140), 2)
    assert overlap(painted(found, disc.shape), disc > 0.5) > 0.9


def test_an_object_of_a_few_pixels_has_no_rim() -> None:
    dot = np.zeros((81, 81), dtype=np.float32)
    dot[40:42, 40:42] = 1
    assert outline_at(dot, dot, (40, 40), 1) is None


@pytest.mark.parametrize("shape", [(141, 141), (30, 9), (1, 1), (1, 200)])
@pytest.mark.parametrize("scale", [1, 4, 32])
def test_nothing_is_found_on_a_constant_map(shape: tuple[int, int], scale: int) -> None:
    flat = np.full(shape, 0.7, dtype=np.float32)
    point = (shape[0] // 2, shape[1] // 2)
    assert outline_at(flat, flat, point, scale) is None
