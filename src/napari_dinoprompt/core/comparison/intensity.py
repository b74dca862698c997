"""Agreement of grey values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


# Values are windowed to [0, 1].
_DATA_RANGE = 1.0
# The window of Wang et al.: a Gaussian of sigma 1.5, cut off at 11 x 11 pixels.
_SIGMA = 1.5
_SSIM_RADIUS = 5


@dataclass(frozen=True, eq=False)
class GreyAgreement:
    """How alike two windowed planes are.

    Attributes
    ----------
    mse : float
        Mean squared error, of values in [0, 1]; NaN if no pixel counts.
    psnr : float
        Peak signal-to-noise ratio in dB, 10 log10(1 / mse); infinite for identical
        planes.
    ssim : float
        Mean structural similarity, in [-1, 1]. The outermost 5 pixels, where the
        window is cut off, don't count, nor do pixels whose window holds one without
        data. NaN if none is left, as in planes below 11 x 11 pixels.
    pearson : float
        Pearson correlation over pixels, in [-1, 1]; NaN if a plane is constant.
    ssim_map : (H, W) ndarray of float32
        NaN where the window holds a pixel without data, and everywhere in planes
        below 11 x 11 pixels.
    squared_error : (H, W) ndarray of float32
        NaN where a pixel holds no data.
    """

    mse: float
    psnr: float
    ssim: float
    pearson: float
    ssim_map: NDArray[np.float32]
    squared_error: NDArray[np.float32]


def as_grey(plane: NDArray[np.floating]) -> NDArray[np.float32]:
    """Make a plane grey: the mean over its channels.

    Stains have no luminance to weigh the channels by, and a grey plane that is stored
    as RGB keeps its values.

    Takes plane (H, W) or (H, W, C); returns (H, W).
    """
    grey = plane if plane.ndim == 2 else plane.mean(axis=2, dtype=np.float64)
    return grey.astype(np.float32, copy=False)


def compare_greys(
    real: NDArray[np.floating],
    fake: NDArray[np.floating],
    valid: NDArray[np.bool_] | None = None,
) -> GreyAgreement:
    """Compare the grey values of two planes.

    Takes real, fake (H, W) or (H, W, C), windowed to [0, 1], valid (H, W). Colours are
    compared by their mean; pixels that are not finite never count.

    References
    ----------
    Wang et al., "Image quality assessment: from error visibility to structural
    similarity", IEEE TIP 13, 2004, equation 13.
    """
    real, fake = as_grey(real), as_grey(fake)
    counted = np.isfinite(real) & np.isfinite(fake)
    if valid is not None:
        counted &= valid
    # The same on both sides, so that nothing unknown enters a filter or a warning.
    real, fake = np.where(counted, real, 0), np.where(counted, fake, 0)
    squared = np.where(counted, np.square(real - fake), np.nan)
    mse = float(squared[counted].mean(dtype=np.float64)) if counted.any() else math.nan
    ssim, ssim_map = _structural_similarity(real, fake, counted)
    return GreyAgreement(
        mse=mse,
        psnr=10 * math.log10(_DATA_RANGE**2 / mse) if mse != 0 else math.inf,
        ssim=ssim,
        pearson=_pearson(real[counted], fake[counted]),
        ssim_map=ssim_map,
        squared_error=squared.astype(np.float32, copy=False),
    )


def _structural_similarity(
    real: NDArray[np.float32], fake: NDArray[np.float32], valid: NDArray[np.bool_]
) -> tuple[float, NDArray[np.float32]]:
    from scipy.ndimage import minimum_filter
    from skimage.metrics import structural_similarity

    side = 2 * _SSIM_RADIUS + 1
    if min(real.shape) < side:
        return math.nan, np.full(real.shape, np.nan, dtype=np.float32)
    _, found = structural_similarity(
        real,
        fake,
        data_range=_DATA_RANGE,
        gaussian_weights=True,
        sigma=_SIGMA,
        use_sample_covariance=False,
        full=True,
    )
    whole = valid if valid.all() else minimum_filter(valid, size=side)
    found = np.where(whole, found, np.nan).astype(np.float32, copy=False)
    inner = found[_SSIM_RADIUS:-_SSIM_RADIUS, _SSIM_RADIUS:-_SSIM_RADIUS]
    values = inner[np.isfinite(inner)]
    mean = float(values.mean(dtype=np.float64)) if values.size else math.nan
    return mean, found


def _pearson(real: NDArray[np.float32], fake: NDArray[np.float32]) -> float:
    from scipy.stats import pearsonr

    if real.size == 0 or np.ptp(real) == 0 or np.ptp(fake) == 0:
        return math.nan
    # float32 sums over millions of pixels would cost digits.
    found = pearsonr(real.astype(np.float64), fake.astype(np.float64))
    return float(found.statistic)
