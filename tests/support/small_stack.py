"""Small planes with discs, for tests of stacks and kinds of layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi
from skimage.draw import disk

if TYPE_CHECKING:
    from numpy.typing import NDArray

# On centres of cells of the filter bank, which are 2 pixels wide.
DISCS = np.array([(12.5, 12.5), (12.5, 40.5), (34.5, 22.5)])
DIM = (34.5, 46.5)
EMPTY = (24.5, 30.5)
SHAPE = (48, 60)


def draw_plane(seed: int = 0) -> NDArray[np.uint8]:
    """Bright discs and a dim one on dark noise; another picture for each seed."""
    rng = np.random.default_rng(seed)
    clean = np.zeros(SHAPE)
    for centre in DISCS:
        clean[disk(centre, 6, shape=SHAPE)] = 1.0 - 0.02 * (seed % 10)
    clean[disk(DIM, 7, shape=SHAPE)] = 0.45
    noisy = 20 + 180 * ndi.gaussian_filter(clean, 1.0) + rng.normal(0, 4, SHAPE)
    return noisy.clip(0, 255).astype(np.uint8)


def draw_stack(*lengths: int) -> NDArray[np.uint8]:
    """A plane of its own at each place of a stack."""
    planes = [draw_plane(seed) for seed in range(int(np.prod(lengths)))]
    return np.stack(planes).reshape(*lengths, *SHAPE)
