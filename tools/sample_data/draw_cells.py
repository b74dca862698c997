"""Draw a sheet of touching cells inside an embryo's outline.

The cells are a relaxed, weighted Voronoi diagram. A weight is a height above the
plane: the cell of a raised seed is smaller, and a k-d tree in three dimensions
finds the owner of every pixel. Coordinates are ``(y, x)``, pixel centres at
integers, lengths in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    from numpy.typing import NDArray


RELAXATIONS = 3


@dataclass(frozen=True, eq=False)
class CellSheet:
    """Where the cells and their walls are.

    Attributes
    ----------
    labels : ndarray of int32, shape (H, W)
        The cell that owns a pixel, 1 to `count`; 0 outside the embryo.
    neighbours : ndarray of int32, shape (H, W)
        The cell beyond the nearest wall; 0 where that is the embryo's outline.
    wall_distance : ndarray of float64, shape (H, W)
        Distance to the nearest wall in pixels, never negative.
    count : int
        Number of cells.
    """

    labels: NDArray[np.int32]
    neighbours: NDArray[np.int32]
    wall_distance: NDArray[np.float64]
    count: int


def smooth_noise(
    rng: np.random.Generator, shape: tuple[int, int], sigma: float
) -> NDArray[np.float64]:
    """Draw Gaussian noise with a grain of a given size.

    Parameters
    ----------
    rng : numpy.random.Generator
        Source of randomness; advanced by ``H * W`` normal draws.
    shape : tuple of int
        ``(H, W)`` in pixels.
    sigma : float
        Grain size: standard deviation of the smoothing in pixels.

    Returns
    -------
    ndarray of float64, shape (H, W)
        Noise of mean near 0 and standard deviation 1.
    """
    noise = gaussian_filter(rng.standard_normal(shape), sigma, mode="wrap")
    return np.asarray(noise / noise.std(), dtype=np.float64)


def _embryo_depth(
    shape: tuple[int, int], field_px: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the depth below the embryo's outline in pixels, negative outside."""
    across = rng.uniform(0, 2 * np.pi)
    # Moved along its short axis, so that one side of the field shows background.
    moved = across + rng.uniform(-0.4, 0.4)
    distance = rng.uniform(0.20, 0.30) * field_px
    wobble, phase = rng.uniform(0.005, 0.02), rng.uniform(0, 2 * np.pi)
    y, x = np.indices(shape, dtype=np.float64)
    y -= (shape[0] - 1) / 2 + distance * np.sin(moved)
    x -= (shape[1] - 1) / 2 + distance * np.cos(moved)
    short = (x * np.cos(across) + y * np.sin(across)) / (0.64 * field_px)
    long = (y * np.cos(across) - x * np.sin(across)) / (0.88 * field_px)
    radius = np.hypot(short, long)
    radius /= 1 + wobble * np.cos(5 * np.arctan2(long, short) + phase)
    slope = np.hypot(*np.gradient(radius))
    return np.asarray((1 - radius) / np.maximum(slope, 1e-4), dtype=np.float64)


def _relaxed_seeds(
    inside: NDArray[np.float64], pitch_px: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return seeds (n, 3), as ``(y, x, height)``, spread over the inside pixels."""
    count = max(2, round(len(inside) / pitch_px**2))
    plane = inside[rng.choice(len(inside), count, replace=False)]
    height = rng.uniform(0, 0.45 * pitch_px, (count, 1))
    sample = np.column_stack([inside[::3], np.zeros(len(inside[::3]))])
    for _ in range(RELAXATIONS):
        owner = cKDTree(np.hstack([plane, height])).query(sample)[1]
        owned = np.bincount(owner, minlength=count)
        centroid = np.column_stack(
            [np.bincount(owner, sample[:, axis], count) for axis in (0, 1)]
        ) / np.maximum(owned, 1).reshape(-1, 1)
        plane = np.where(owned.reshape(-1, 1) > 0, centroid, plane)
    return np.hstack([plane, height])


def draw_cells(
    shape: tuple[int, int], field_px: int, pitch_px: float, rng: np.random.Generator
) -> CellSheet:
    """Draw the cells of one canvas.

    Parameters
    ----------
    shape : tuple of int
        ``(H, W)`` of the canvas: the field and a margin around it.
    field_px : int
        Side of the field in the middle of the canvas, in pixels.
    pitch_px : float
        Mean distance between cells: the square root of their mean area in pixels.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    CellSheet
        Labels, neighbours and wall distances of the canvas.
    """
    depth = _embryo_depth(shape, field_px, rng)
    inside = np.argwhere(depth > 0).astype(np.float64)
    seeds = _relaxed_seeds(inside, pitch_px, rng)
    # A gentle warp bends the walls, which a Voronoi diagram draws straight.
    grid = [
        axis + 0.07 * pitch_px * smooth_noise(rng, shape, 0.35 * pitch_px)
        for axis in np.indices(shape, dtype=np.float64)
    ]
    points = np.stack([*grid, np.zeros(shape)], axis=-1)
    distance, owner = cKDTree(seeds).query(points, k=2)
    apart = np.linalg.norm(np.diff(seeds[owner][..., :2], axis=2)[:, :, 0], axis=-1)
    wall = (distance[..., 1] ** 2 - distance[..., 0] ** 2) / (2 * apart + 1e-9)
    outer = np.abs(depth) < wall
    neighbours = np.where(outer, 0, owner[..., 1] + 1)
    labels = np.where(depth > 0, owner[..., 0] + 1, 0)
    return CellSheet(
        labels=labels.astype(np.int32),
        neighbours=neighbours.astype(np.int32),
        # Outside the embryo there is one wall only: the outline.
        wall_distance=np.where(depth > 0, np.minimum(wall, depth), -depth),
        count=len(seeds),
    )


def draw_membranes(
    cells: CellSheet, width_px: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the light of the membranes, before any microscope.

    Every wall has a brightness of its own, which also varies along it. Nothing here
    depends on the nuclei.

    Parameters
    ----------
    cells : CellSheet
        The cells.
    width_px : float
        Standard deviation of a membrane's profile in pixels.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of float64, shape (H, W)
        Light; 1 is a usual membrane.
    """
    shape = cells.labels.shape
    strength = rng.lognormal(0, 0.45, (cells.count + 1, cells.count + 1))
    strength = np.sqrt(strength * strength.T)
    # From outside, only the outline is seen, and it is as bright as any wall.
    wall = np.where(
        cells.labels > 0, strength[cells.labels, cells.neighbours], strength[0, 0]
    )
    along = np.exp(0.35 * smooth_noise(rng, shape, 4) - 0.06)
    line = wall * along * np.exp(-0.5 * (cells.wall_distance / width_px) ** 2)
    vesicles = np.maximum(smooth_noise(rng, shape, 1.3) - 2.0, 0)
    body = 0.10 + 0.03 * smooth_noise(rng, shape, 3) + 0.6 * vesicles
    # Deeper walls, out of focus: the same sheet, elsewhere.
    below = 0.5 * gaussian_filter(np.roll(line, (17, -23), axis=(0, 1)), 6)
    tissue = gaussian_filter((cells.labels > 0).astype(np.float64), 4)
    return np.asarray(line + tissue * (body + below), dtype=np.float64)
