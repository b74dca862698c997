"""Changes of a prompt layer that are asked for in the dock."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt import layers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.layers import Image, Points
    from numpy.typing import NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.recovery.record import ImageRecord

__all__ = [
    "change_selected",
    "place_prompts",
    "put_back",
    "remove_prompt",
]


def place_prompts(
    points: Points,
    image: Image,
    plane: PlaneIndex,
    where: NDArray[np.float64],
    classes: Sequence[str],
) -> None:
    """Replace all prompts by points on one plane.

    Parameters
    ----------
    points : napari.layers.Points
    image : napari.layers.Image
    plane : plane index
    where : (N, 2) ndarray of float64
        y and x in pixels of the image.
    classes : sequence of N str
    """
    at = np.array(plane, dtype=np.float64)
    on_plane = np.broadcast_to(at, (len(where), len(plane)))
    pixels = np.concatenate((on_plane, where), axis=1)
    placed = layers.points_from_pixels(pixels, points, image)
    layers.set_prompts(points, placed, classes)


def remove_prompt(points: Points, row: int) -> None:
    """Remove one prompt."""
    classes = list(layers.prompt_classes(points))
    del classes[row]
    layers.set_prompts(points, np.delete(points.data, row, axis=0), classes)


def change_selected(points: Points, name: str) -> None:
    """Give the prompts that are selected, with the tool for that, another class."""
    if points.selected_data and str(points.mode) == "select":
        features = points.features.copy()
        features.loc[sorted(points.selected_data), layers.CLASS_COLUMN] = name
        points.features = features


def put_back(points: Points, image: Image, record: ImageRecord) -> None:
    """Replace all prompts by those that were kept.

    Parameters
    ----------
    points : napari.layers.Points
    image : napari.layers.Image
        With as many axes as the points of the record.
    record : ImageRecord
    """
    pixels = np.array(record.points, dtype=np.float64)
    placed = layers.points_from_pixels(pixels, points, image)
    if record.placed:
        # Where the layer lies as it did, to the last bit: so will the mask be.
        before = np.array(record.placed, dtype=np.float64)
        if np.allclose(before, placed, rtol=1e-9, atol=1e-9):
            placed = before
    layers.set_prompts(points, placed, record.classes)
