"""The images of the session: planes, colour, a stack, and one too large to hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import zarr

from napari_dinoprompt.sample_data import sample_files

if TYPE_CHECKING:
    from pathlib import Path

    import napari


_LARGE = 6_000


def open_images(viewer: napari.Viewer, folder: Path) -> None:
    """Open the images in a viewer.

    Parameters
    ----------
    viewer : napari.Viewer
    folder : Path
        For the large one, a zarr array of 6,000 × 6,000 pixels.
    """
    early, late = sample_files("early"), sample_files("late")
    real = iio.imread(early["nuclei_real"])
    fake = iio.imread(early["nuclei_fake_undertrained"])
    other = iio.imread(late["nuclei_real"])
    viewer.add_image(real, name="real")
    viewer.add_image(fake, name="fake")
    viewer.add_image(other, name="late")
    viewer.add_image(
        np.stack([real, fake, real // 2], axis=-1), name="colour", rgb=True
    )
    stack = np.stack([np.roll(real, 9 * k, axis=1)[:200, :220] for k in range(6)])
    viewer.add_image(stack, name="stack", scale=(3.0, 1.0, 1.0))
    viewer.add_image(_write_large(real, folder / "large.zarr"), name="large")


def _write_large(plane: np.ndarray, path: Path) -> zarr.Array:
    """Write the plane again and again, side by side."""
    large = zarr.create_array(
        store=path, shape=(_LARGE, _LARGE), chunks=(1024, 1024), dtype=plane.dtype
    )
    height = plane.shape[0]
    row = np.tile(plane, (1, -(-_LARGE // plane.shape[1])))[:, :_LARGE]
    for start in range(0, _LARGE, height):
        stop = min(start + height, _LARGE)
        large[start:stop] = row[: stop - start]
    return large
