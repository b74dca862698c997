"""A synthetic stack with known truth: ellipsoids seen through a microscope's blur.

Not a real picture: it shows what becomes of objects through the planes, nothing about
any stain.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Volume:
    """A stack and the objects in it.

    Attributes
    ----------
    image : (Z, H, W) ndarray of uint8
    truth : (Z, H, W) ndarray of int32
    centres : (N, 3) ndarray of float64
        In voxels.
    """

    image: NDArray[np.uint8]
    truth: NDArray[np.int32]
    centres: NDArray[np.float64]

    def prompts(self, plane: int, most: int = 4) -> list[tuple[float, float, float]]:
        """Points in the middle of the objects that are largest in a plane."""
        sizes = np.bincount(self.truth[plane].ravel())
        sizes[0] = 0
        chosen = np.argsort(sizes)[::-1][:most]
        found = [np.argwhere(self.truth[plane] == one) for one in chosen if sizes[one]]
        return [(plane, *there[len(there) // 2].astype(float)) for there in found]


def draw_volume(
    seed: int = 0,
    shape: tuple[int, int, int] = (20, 160, 160),
    *,
    height: float = 3.0,
    objects: int = 40,
    blur: tuple[float, float] = (3.0, 1.5),
    noise: float = 6.0,
) -> Volume:
    """Draw ellipsoids, blur them and add noise.

    Parameters
    ----------
    seed : int
    shape : (int, int, int)
    height : float
        Distance of the planes in pixels.
    objects : int
    blur : (float, float)
        Standard deviations along z and in the plane, in pixels.
    noise : float
        Standard deviation, of 255 grey values.
    """
    rng = np.random.default_rng(seed)
    z, y, x = np.ogrid[: shape[0], : shape[1], : shape[2]]
    truth = np.zeros(shape, dtype=np.int32)
    light = np.zeros(shape)
    centres: list[NDArray[np.float64]] = []
    for _ in range(200 * objects):
        if len(centres) == objects:
            break
        radii = rng.uniform(7, 11, 3)
        low = radii / (height, 1, 1) + 1
        centre = rng.uniform(low, np.array(shape) - low)
        d = [
            (axis - at) * step / radius
            for axis, at, step, radius in zip(
                (z, y, x), centre, (height, 1, 1), radii, strict=True
            )
        ]
        inside = d[0] ** 2 + d[1] ** 2 + d[2] ** 2 <= 1
        # They may touch, but are never in each other.
        if truth[inside].any():
            continue
        centres.append(centre)
        truth[inside] = len(centres)
        light[inside] = rng.uniform(0.7, 1.0)
    seen = ndi.gaussian_filter(light, (blur[0] / height, blur[1], blur[1]))
    image = 25 + 180 * seen + rng.normal(0, noise, shape)
    return Volume(image.clip(0, 255).astype(np.uint8), truth, np.array(centres))
