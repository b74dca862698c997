"""Draw the nuclei of a sheet of cells: exact masks, and the light they give.

What counts as truth: **every nucleus drawn in the sheet counts, in full, however
dim or out of focus it is**. Its mask is the set of pixels whose centre lies in its
outline, before any blur. Haze from deeper nuclei and debris never count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from draw_cells import smooth_noise
from scipy.ndimage import center_of_mass, find_objects, gaussian_filter

if TYPE_CHECKING:
    from draw_cells import CellSheet
    from numpy.typing import NDArray


NUCLEI_PER_CELL = (0.10, 0.79, 0.11)
"""Share of cells with no, one and two nuclei."""

FOCUS_SHARE = (0.66, 0.20, 0.14)
"""Share of nuclei in focus, a little off and far off."""

FOCUS_BLUR = (0.0, 0.12, 0.30)
"""Blur of each: standard deviation as a share of a usual nucleus's radius."""

FOCUS_LIGHT = (1.0, 0.85, 0.60)
"""Light that is left of each at its peak."""

SMALLEST_PX = 20
"""A nucleus that its cell leaves fewer pixels than this is not drawn at all."""


@dataclass(frozen=True)
class Nucleus:
    """One drawn nucleus.

    Attributes
    ----------
    cell : int
        Label of its cell.
    centre : tuple of float
        ``(y, x)`` of the middle of its outline in pixels.
    radius : float
        Mean radius of its outline in pixels.
    brightness : float
        Light at its middle, 1 being usual.
    focus : int
        0 in focus, 1 a little off, 2 far off.
    """

    cell: int
    centre: tuple[float, float]
    radius: float
    brightness: float
    focus: int

    def moved(self, by_px: float) -> Nucleus:
        """Return the same nucleus, its centre moved along both axes.

        Parameters
        ----------
        by_px : float
            Pixels added to y and to x.

        Returns
        -------
        Nucleus
            The moved nucleus.
        """
        y, x = self.centre
        return replace(self, centre=(y + by_px, x + by_px))


@dataclass(frozen=True, eq=False)
class NucleiLayer:
    """All nuclei of a sheet.

    Attributes
    ----------
    labels : ndarray of int32, shape (H, W)
        The nucleus at a pixel: its index in `nuclei` plus 1; 0 where there is none.
    light : ndarray of float64, shape (H, W)
        Light of the nuclei, each blurred by its own defocus.
    nuclei : tuple of Nucleus
        The nuclei, in the order of their labels.
    """

    labels: NDArray[np.int32]
    light: NDArray[np.float64]
    nuclei: tuple[Nucleus, ...]


def _plan_cell(
    cell: int, centre: tuple[float, float], area: int, rng: np.random.Generator
) -> list[Nucleus]:
    """Choose how many nuclei a cell has, where they lie and how they look."""
    number = int(rng.choice(3, p=NUCLEI_PER_CELL))
    if number == 0:
        return []
    room = float(np.sqrt(area / np.pi))
    radius = room * rng.uniform(0.50, 0.72) * (0.76 if number == 2 else 1.0)
    slack = max(room - radius * number, 0.0)
    away, way = rng.uniform(0, 0.55) * slack, rng.uniform(0, 2 * np.pi)
    axis = rng.uniform(0, np.pi)
    focus = int(rng.choice(3, p=FOCUS_SHARE))
    brightness = float(rng.lognormal(0, 0.26))
    planned = []
    for side in (0.0,) if number == 1 else (-1.0, 1.0):
        # A little less than a radius from the middle: the two touch each other.
        apart = 0.93 * side * radius
        planned.append(
            Nucleus(
                cell=cell,
                centre=(
                    centre[0] + away * np.sin(way) + apart * np.sin(axis),
                    centre[1] + away * np.cos(way) + apart * np.cos(axis),
                ),
                radius=radius,
                brightness=brightness * float(rng.uniform(0.85, 1.15)),
                focus=focus,
            )
        )
    return planned


def _outline_ratio(
    window: tuple[slice, slice], nucleus: Nucleus, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return each pixel's distance from the centre, 1 on the deformed outline."""
    rows, columns = window
    y, x = np.mgrid[rows, columns].astype(np.float64)
    y -= nucleus.centre[0]
    x -= nucleus.centre[1]
    angle = np.arctan2(y, x)
    outline = np.ones_like(angle)
    for wave, size in ((2, 0.20), (3, 0.07), (4, 0.04)):
        phase = rng.uniform(0, 2 * np.pi)
        outline += rng.uniform(0, size) * np.cos(wave * angle + phase)
    return np.asarray(np.hypot(y, x) / (nucleus.radius * outline), dtype=np.float64)


def _nucleolus(
    window: tuple[slice, slice], nucleus: Nucleus, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return how much light the nucleolus takes away, 0 to 1."""
    rows, columns = window
    y, x = np.mgrid[rows, columns].astype(np.float64)
    way, away = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.45) * nucleus.radius
    y -= nucleus.centre[0] + away * np.sin(way)
    x -= nucleus.centre[1] + away * np.cos(way)
    size = rng.uniform(0.14, 0.26) * nucleus.radius
    depth = rng.uniform(0.2, 0.75)
    return np.asarray(depth * np.exp(-0.5 * (y**2 + x**2) / size**2))


def draw_nuclei(
    cells: CellSheet, pitch_px: float, rng: np.random.Generator
) -> NucleiLayer:
    """Draw nuclei into the cells.

    Parameters
    ----------
    cells : CellSheet
        The cells.
    pitch_px : float
        Mean distance between cells in pixels; sets the grain and the defocus.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    NucleiLayer
        Masks, light and a record of each nucleus. A nucleus never crosses the wall
        of its cell, and every label is there in the mask.
    """
    shape = (cells.labels.shape[0], cells.labels.shape[1])
    usual_radius = 0.32 * pitch_px
    chromatin = 0.8 * smooth_noise(rng, shape, 0.08 * usual_radius + 0.4)
    chromatin += 0.6 * smooth_noise(rng, shape, 0.25 * usual_radius)
    areas = np.bincount(cells.labels.ravel(), minlength=cells.count + 1)
    windows = find_objects(cells.labels, cells.count)
    indices = np.flatnonzero(areas[1:]) + 1
    centres = center_of_mass(cells.labels > 0, cells.labels, indices)

    labels = np.zeros(shape, np.int32)
    layers = np.zeros((len(FOCUS_BLUR), *shape))
    nuclei: list[Nucleus] = []
    for cell, centre in zip(indices.tolist(), centres, strict=True):
        window = windows[cell - 1]
        free = (cells.labels[window] == cell) & (cells.wall_distance[window] > 1.5)
        for nucleus in _plan_cell(cell, centre, int(areas[cell]), rng):
            ratio = _outline_ratio(window, nucleus, rng)
            hole = _nucleolus(window, nucleus, rng)
            mask = free & (ratio < 1) & (labels[window] == 0)
            contrast = rng.uniform(0.08, 0.34)
            if mask.sum() < SMALLEST_PX:
                continue
            nuclei.append(nucleus)
            labels[window][mask] = len(nuclei)
            dome = 0.5 + 0.5 * np.sqrt(np.clip(1 - ratio**2, 0, 1))
            texture = np.clip(1 + contrast * chromatin[window], 0.25, None)
            light = nucleus.brightness * dome * texture * (1 - hole)
            layers[nucleus.focus][window] += np.where(mask, light, 0)
    light = sum(
        (
            share * gaussian_filter(layer, blur * usual_radius)
            for layer, blur, share in zip(layers, FOCUS_BLUR, FOCUS_LIGHT, strict=True)
        ),
        start=np.zeros(shape),
    )
    return NucleiLayer(labels=labels, light=light, nuclei=tuple(nuclei))


def draw_haze_and_debris(
    cells: CellSheet, pitch_px: float, debris: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw light of the nuclear channel that is no nucleus of the sheet.

    Parameters
    ----------
    cells : CellSheet
        The cells; there is haze only where there is tissue.
    pitch_px : float
        Mean distance between cells in pixels; sets the size of the haze.
    debris : int
        Number of small bright specks on the canvas.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    ndarray of float64, shape (H, W)
        Light; 1 is a usual nucleus.
    """
    shape = (cells.labels.shape[0], cells.labels.shape[1])
    tissue = gaussian_filter((cells.labels > 0).astype(np.float64), 0.2 * pitch_px)
    deep = np.clip(0.13 + 0.06 * smooth_noise(rng, shape, 0.35 * pitch_px), 0, None)
    cloud = np.clip(0.06 * smooth_noise(rng, shape, 1.2 * pitch_px), 0, None)
    y, x = np.indices(shape, dtype=np.float64)
    specks = np.zeros(shape)
    for _ in range(debris):
        centre = rng.uniform(0, shape)
        size, light = rng.uniform(0.9, 1.9), rng.uniform(1.0, 2.6)
        square = (y - centre[0]) ** 2 + (x - centre[1]) ** 2
        specks += light * np.exp(-0.5 * square / size**2)
    return np.asarray(tissue * (deep + cloud) + specks, dtype=np.float64)
