"""Photograph drawn light as a microscope does: blur, shading and noise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray


PHOTON_STEPS = 64


@dataclass(frozen=True)
class Camera:
    """How one channel is recorded.

    Attributes
    ----------
    psf_px : float
        Standard deviation of the point spread function in pixels.
    photons : float
        Photons that light 1 brings to a pixel.
    background : float
        Light that is there without any dye.
    gain : float
        Grey values that light 1 is recorded as.
    offset : float
        Grey value of darkness.
    read_noise : float
        Standard deviation of the electronics' noise in grey values.
    shading : float
        Share of the illumination that is lost at the dimmest corner, about.
    """

    psf_px: float
    photons: float
    background: float
    gain: float
    offset: float
    read_noise: float
    shading: float


def _illumination(
    shape: tuple[int, int], shading: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Return the illumination (H, W), 1 at its brightest spot."""
    spot = rng.uniform(0.3, 0.7, 2) * shape
    y, x = np.indices(shape, dtype=np.float64)
    square = ((y - spot[0]) / shape[0]) ** 2 + ((x - spot[1]) / shape[1]) ** 2
    return np.asarray(1 - shading * np.minimum(square / 0.7, 1))


def photograph(
    light: NDArray[np.float64], camera: Camera, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Record light as a grey image.

    Parameters
    ----------
    light : ndarray of float64, shape (H, W)
        Light per pixel, not negative.
    camera : Camera
        How it is recorded.
    rng : numpy.random.Generator
        Source of the shading's place and of the noise.

    Returns
    -------
    ndarray of uint8, shape (H, W)
        Grey values, clipped at 255.
    """
    shape = (light.shape[0], light.shape[1])
    focal = gaussian_filter(light, camera.psf_px)
    lit = _illumination(shape, camera.shading, rng) * focal + camera.background
    # Rounded, so that the last bit of a float never steers the random stream.
    expected = np.round(camera.photons * lit * PHOTON_STEPS) / PHOTON_STEPS
    counts = rng.poisson(expected)
    noise = camera.read_noise * rng.standard_normal(shape)
    grey = camera.offset + camera.gain * counts / camera.photons + noise
    return np.asarray(np.clip(np.round(grey), 0, 255), dtype=np.uint8)
