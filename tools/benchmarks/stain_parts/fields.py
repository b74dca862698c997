"""Fields with a real stain, fakes of it and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from quality_parts.data import (
    CLICKS,
    FAKES,
    SAMPLE_SETS,
    STAIN_SETS,
    find_planes,
    sample_planes,
)
from skimage.measure import label, regionprops

from napari_dinoprompt.core.io.read import read_image
from napari_dinoprompt.sample_data import sample_files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from quality_parts.data import Plane


_SAMPLE_FAKES = {
    "undertrained": "nuclei_fake_undertrained",
    "trained": "nuclei_fake_trained",
}
_PROMPTS = 5


@dataclass(frozen=True, eq=False)
class StainField:
    """One field of view.

    Attributes
    ----------
    name : str
    real : (H, W) ndarray
    fakes : dict of str to (H, W) ndarray
        By how well the generating network was trained, the worst first.
    truth : (H, W) ndarray of int
    points : (N, 2) ndarray of float64
        Prompts on the real, y and x in pixels.
    """

    name: str
    real: NDArray[np.generic]
    fakes: dict[str, NDArray[np.generic]]
    truth: NDArray[np.generic]
    points: NDArray[np.float64]


def find_stain_fields(data: Path | None, placed: str) -> list[StainField]:
    """Read the sample's fields and, where data are given, those of `stain_fly`.

    Parameters
    ----------
    data : Path or None
        The folder of measuring data.
    placed : str
        How the prompts are placed; the first five of the first draw are taken.

    Returns
    -------
    list of StainField
    """
    planes = list(sample_planes())
    if data is not None:
        planes += find_planes(data, STAIN_SETS, None)
    return [_field(plane, placed) for plane in planes]


def _field(plane: Plane, placed: str) -> StainField:
    fakes = {fake: plane.files[fake] for fake in FAKES if fake in plane.files}
    if plane.set_name in SAMPLE_SETS:
        files = sample_files(plane.stem)
        fakes = {how: files[role] for how, role in _SAMPLE_FAKES.items()}
    return StainField(
        f"{plane.set_name} {plane.stem}",
        plane.image(),
        {how: read_image(path) for how, path in fakes.items()},
        read_image(plane.truth_file),
        plane.prompts(placed)[0].objects[:_PROMPTS],
    )


def deepliif_images(
    data: Path, stain: str
) -> dict[str, tuple[NDArray[np.generic], NDArray[np.bool_]]]:
    """Read one stain of `stain_deepliif` with the nuclei in it.

    Parameters
    ----------
    data : Path
    stain : str
        Such as ``"DAPI"``.

    Returns
    -------
    dict of str to (image, nuclei)
        The real of two fields, and the fake of a third.
    """
    folder = data / "stain_deepliif"
    found = {}
    for name in ("Bladder1_real", "Lung1_real", "22_2_fake"):
        labels = read_image(folder / f"{name.rpartition('_')[0]}_gtlabel.png")
        labels = labels if labels.ndim == 2 else labels[..., 0]
        nuclei = (labels == 1) | (labels == 2)
        found[name.replace("_", " ")] = (
            read_image(folder / f"{name}_{stain}.png"),
            nuclei,
        )
    return found


def points_on(nuclei: NDArray[np.bool_], placed: str) -> NDArray[np.float64]:
    """Place five prompts on nuclei that no file names prompts for.

    Clicks are on centroids of nuclei of typical size, as in the measuring data.
    """
    random = np.random.default_rng(0)
    if placed != CLICKS:
        return random.choice(np.argwhere(nuclei), _PROMPTS).astype(np.float64)
    objects = regionprops(label(nuclei))
    low, high = np.percentile([one.area for one in objects], (30, 90))
    typical = [one.centroid for one in objects if low <= one.area <= high]
    return random.permutation(np.array(typical))[:_PROMPTS]
