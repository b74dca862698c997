"""The real images that objects are planted in and removed from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import tifffile

from napari_dinoprompt.core.io.points import read_prompts
from napari_dinoprompt.sample_data import FIELDS, sample_files

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Field:
    """A real stain with its objects and prompts on it.

    Attributes
    ----------
    name : str
    image : (H, W) ndarray of float32
        0 to 255.
    labels : (H, W) ndarray of int
    points : (N, 2) ndarray of float64
        Prompts, y and x in pixels.
    """

    name: str
    image: NDArray[np.float32]
    labels: NDArray[np.integer]
    points: NDArray[np.float64]


def find_fields(data: Path | None) -> Iterator[Field]:
    """Return the sample's fields, and those of `stain_fly` where they are.

    Parameters
    ----------
    data : Path or None
        The folder of measuring data.
    """
    for name in FIELDS:
        files = sample_files(name)
        yield Field(
            f"sample {name}",
            iio.imread(files["nuclei_real"]).astype(np.float32),
            tifffile.imread(files["nuclei_truth"]),
            read_prompts(files["prompts"]).points,
        )
    if data is None or not (data / "stain_fly").is_dir():
        return
    import json

    prompts = json.loads((data / "prompts.json").read_text())
    for path in sorted((data / "stain_fly").glob("*_nuclei_real.png")):
        name = path.name.removesuffix("_nuclei_real.png")
        yield Field(
            f"stain_fly {name}",
            iio.imread(path).astype(np.float32),
            tifffile.imread(path.with_name(f"{name}_nuclei_pseudo_truth.tif")),
            np.array(prompts[f"stain_fly/{name}"][0]["object"][:5], dtype=np.float64),
        )
