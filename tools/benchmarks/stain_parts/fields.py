"""Fields with a real stain, fakes of it and labels."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.io.points import read_prompts
from napari_dinoprompt.core.io.read import read_image
from napari_dinoprompt.sample_data import FIELDS, sample_files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


_SAMPLE_FAKES = {
    "undertrained": "nuclei_fake_undertrained",
    "trained": "nuclei_fake_trained",
}
_FLY_FAKES = ("undertrained", "trained250", "trained800")


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


def find_stain_fields(data: Path) -> list[StainField]:
    """Read the sample's fields and those of `stain_fly`."""
    fields = []
    for name in FIELDS:
        files = sample_files(name)
        fields.append(
            StainField(
                f"sample {name}",
                read_image(files["nuclei_real"]),
                {how: read_image(files[role]) for how, role in _SAMPLE_FAKES.items()},
                read_image(files["nuclei_truth"]),
                read_prompts(files["prompts"]).points,
            )
        )
    prompts = json.loads((data / "prompts.json").read_text())
    folder = data / "stain_fly"
    for path in sorted(folder.glob("*_nuclei_real.png")):
        name = path.name.removesuffix("_nuclei_real.png")
        fields.append(
            StainField(
                f"stain_fly {name}",
                read_image(path),
                {
                    how: read_image(folder / f"{name}_nuclei_fake_{how}.png")
                    for how in _FLY_FAKES
                },
                read_image(folder / f"{name}_nuclei_pseudo_truth.tif"),
                np.array(prompts[f"stain_fly/{name}"][0]["object"][:5], np.float64),
            )
        )
    return fields


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
