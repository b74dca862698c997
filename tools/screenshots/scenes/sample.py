"""The sample's pictures, and the places in them that scenes click on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import tifffile

from napari_dinoprompt.sample_data import sample_files

if TYPE_CHECKING:
    import napari
    from napari.layers import Layer

# Nuclei of the early field as one would click them: in their middles.
CLICKS = (
    (200.0, 103.0),
    (31.0, 366.0),
    (433.0, 121.0),
    (71.0, 412.0),
    (308.0, 260.0),
)

# Bright specks that are not nuclei, in the early field.
BACKGROUND_POINTS = ((454.0, 283.5), (416.0, 432.0), (469.0, 383.0))

# Between nuclei of the early field.
BARE_POINT = (478.0, 330.0)

# Clicked by eye on scikit-image's immunohistochemistry picture.
NUCLEI = ((356, 189), (398, 238), (368, 309), (360, 345), (451, 196), (428, 274))
STAINED = ((380, 299), (394, 331), (406, 308), (334, 340))
EMPTY = ((366, 170), (340, 20), (312, 205))


def read_truth(field: str) -> np.ndarray:
    """Read the truth labels of a sample field."""
    return tifffile.imread(sample_files(field)["nuclei_truth"])


def read_real(field: str) -> np.ndarray:
    """Read the real nuclei of a sample field."""
    return np.asarray(iio.imread(sample_files(field)["nuclei_real"]))


def virtual_stains(viewer: napari.Viewer) -> list[Layer]:
    """Return the undertrained and the trained fake of the sample."""
    return [layer for layer in viewer.layers if "virtual" in layer.name]
