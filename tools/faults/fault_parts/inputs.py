"""Images, prompts and references that all cases start from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import tifffile
from scipy import ndimage as ndi
from skimage.draw import disk

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (140, 180)
PLANES = 8
IMAGES = 12


@dataclass(frozen=True)
class Inputs:
    """Files in a folder, the same in every run.

    Attributes
    ----------
    folder : Path
    """

    folder: Path

    @property
    def real(self) -> Path:
        """An image with bright discs."""
        return self.folder / "real.tif"

    @property
    def fake(self) -> Path:
        """Another one, of the same discs with other noise."""
        return self.folder / "fake.tif"

    @property
    def stack(self) -> Path:
        """A stack of planes."""
        return self.folder / "stack.tif"

    @property
    def images(self) -> Path:
        """A folder of images."""
        return self.folder / "images"

    @property
    def points(self) -> Path:
        """Five prompts, on discs of the real."""
        return self.folder / "points.csv"

    @property
    def fewer(self) -> Path:
        """Three of them."""
        return self.folder / "fewer.csv"

    @property
    def network(self) -> Path:
        """Made with a small network of random weights."""
        return self.folder / "network.reference.safetensors"

    @property
    def weights(self) -> Path:
        """Of that network."""
        return self.folder / "weights.safetensors"

    @property
    def reference(self) -> Path:
        """Made from the five prompts with the filter bank."""
        return self.folder / "five.reference.safetensors"

    @property
    def other(self) -> Path:
        """Made from the three."""
        return self.folder / "three.reference.safetensors"


def draw(seed: int, shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Bright soft discs on a dim noisy ground; the discs are the same for all seeds."""
    clean = np.zeros(shape)
    for centre in centres(shape):
        clean[disk(centre, 7, shape=shape)] = 1.0
    noise = np.random.default_rng(seed).normal(0, 6, shape)
    grey = 30 + 150 * ndi.gaussian_filter(clean, 1.0) + noise
    return grey.clip(0, 255).astype(np.uint8)


def centres(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    """Where the discs are."""
    rng = np.random.default_rng(7)
    found: list[tuple[float, float]] = []
    for _ in range(4000):
        y, x = rng.uniform(10, shape[0] - 10), rng.uniform(10, shape[1] - 10)
        if all((y - b) ** 2 + (x - a) ** 2 > 24**2 for b, a in found):
            found.append((y, x))
    return np.round(np.array(found))


def make_inputs(folder: Path) -> Inputs:
    """Write all but the references, which the command makes."""
    inputs = Inputs(folder)
    inputs.images.mkdir(parents=True)
    tifffile.imwrite(inputs.real, draw(0))
    tifffile.imwrite(inputs.fake, draw(1))
    planes = np.stack([draw(seed) for seed in range(PLANES)])
    tifffile.imwrite(inputs.stack, planes, metadata={"axes": "ZYX"}, ome=False)
    for number in range(IMAGES):
        tifffile.imwrite(inputs.images / f"field {number:02}.tif", draw(10 + number))
    where = centres()
    for path, count in ((inputs.points, 5), (inputs.fewer, 3)):
        lines = [f"{i},{y},{x}" for i, (y, x) in enumerate(where[:count])]
        path.write_text("\n".join(["index,axis-0,axis-1", *lines]) + "\n")
    return inputs
