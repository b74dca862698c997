"""`filterbank`: multi-scale filter responses, the default that needs no weights.

The family of `skimage.feature.multiscale_basic_features` (intensity, edges and
texture at several scales), computed on a Gaussian pyramid (Burt & Adelson, IEEE
Transactions on Communications 31, 1983) so that the largest scale costs no more than
the smallest. Derivatives are scale-normalised (Lindeberg, IJCV 30, 1998).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F

from napari_dinoprompt.core.tiling.tiles import TilePlan, plan_abutting

from .base import BackboneInfo, Scoring

VERSION = "filterbank-1"
PATCH = 2
# Scales sigma = 1, 2, 4, ... canvas pixels.
LEVELS = 5
_GREY_FEATURES = 4
_COLOUR_FEATURES = 2
# Blur kernels end at 3 pixels of their level: 3 sigma and more.
_REACH = 3
# Differences need 1 pixel around the core, interpolation another.
_MARGIN = 2
_CORE = 512
# One pixel of the coarsest level, in cells of the grid.
_ALIGN = 2 ** (LEVELS - 1) // PATCH
# The blurs of all levels add up; the margin is that of the coarsest level.
_REACH_PIXELS = _REACH * (2**LEVELS - 1) + _MARGIN * 2 ** (LEVELS - 1)
_HALO = math.ceil(_REACH_PIXELS / PATCH / _ALIGN) * _ALIGN


@dataclass(frozen=True)
class FilterBank:
    """Multi-scale filter responses in cells of two canvas pixels.

    Per scale: smoothed intensity, gradient magnitude, both eigenvalues of the
    Hessian, and two smoothed colour differences (0 in a grey image). The structure
    tensor was tried and brought nothing that the gradient does not.

    Attributes
    ----------
    device : torch.device
    """

    device: torch.device
    info: ClassVar = BackboneInfo(
        "filterbank", -1, PATCH, LEVELS * (_GREY_FEATURES + _COLOUR_FEATURES), VERSION
    )
    # Responses have different units.
    scoring: ClassVar[Scoring] = "standardised"
    dtype: ClassVar = torch.float32
    kept_as: ClassVar = torch.float32
    # They are computed as fast as they would be read.
    cache: ClassVar = None
    # A tile is large, and the filters are bound by memory, not launches.
    batch_size: ClassVar = 1

    def guide_radius(self, cell: float) -> int:
        """Two cells, however fine they are: the responses reach beyond them."""
        return 2

    def on(self, device: torch.device) -> FilterBank:
        """Return the same filters on another device."""
        return FilterBank(device)

    def plan(self, grid: tuple[int, int]) -> TilePlan:
        """Cut a grid of cells into abutting tiles whose halo makes them exact."""
        return plan_abutting(grid, size=_CORE, halo=_HALO, align=_ALIGN)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        """Compute the responses of crops.

        batch: (B, 3, h, w) float32. Returns (B, h / 2 - 2 halo, w / 2 - 2 halo, 30)
        float32: the core: every response in it has seen all pixels within its reach.
        """
        with torch.inference_mode():
            # Light comes in photons: the root evens out their noise, and dim objects
            # come closer to bright ones of the same kind.
            image = _opponent(batch.to(self.device, torch.float32).sqrt())
            variance = 0.0
            responses = []
            for level in range(LEVELS):
                # Blur up to sigma = 1 pixel of this level, counting what is there.
                image = _blur(_pad(image, _REACH), math.sqrt(1.0 - variance))
                spare = _HALO * PATCH // 2**level - _MARGIN
                core = _responses(image[..., spare:-spare, spare:-spare])
                responses.append(_to_cells(core, level))
                image = F.avg_pool2d(image, 2)
                # The mean of 2 x 2 has variance 1/4; units shrink with the level.
                variance = (1.0 + 0.25) / 4
            return torch.cat(responses, dim=1).permute(0, 2, 3, 1)


def _opponent(rgb: torch.Tensor) -> torch.Tensor:
    """Mean, and two colour differences that are exactly 0 where R = G = B."""
    red, green, blue = rgb.unbind(1)
    return torch.stack(
        ((red + green + blue) / 3, (red - blue) / 2, (2 * green - red - blue) / 4),
        dim=1,
    )


def _pad(image: torch.Tensor, width: int) -> torch.Tensor:
    return F.pad(image, (width, width, width, width), mode="replicate")


def _blur(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian blur; (..., h, w) becomes (..., h - 6, w - 6).

    Sums of shifted views: on a CPU twice as fast as grouped convolutions.
    """
    distance = torch.arange(_REACH + 1, dtype=torch.float64)
    half = torch.exp(-0.5 * (distance / sigma) ** 2)
    kernel = (half / (2 * half.sum() - half[0])).tolist()
    for axis in (-2, -1):
        length = image.shape[axis] - 2 * _REACH
        blurred = image.narrow(axis, _REACH, length) * kernel[0]
        for shift in range(1, _REACH + 1):
            before = image.narrow(axis, _REACH - shift, length)
            after = image.narrow(axis, _REACH + shift, length)
            blurred.add_(before + after, alpha=kernel[shift])
        image = blurred
    return image


def _responses(image: torch.Tensor) -> torch.Tensor:
    """Filter responses at one level, in units of its own pixels.

    image: (B, 3, h, w). Returns (B, 6, h - 2, w - 2).
    """
    grey = image[:, :1]
    centre = grey[..., 1:-1, 1:-1]
    up, down = grey[..., :-2, 1:-1], grey[..., 2:, 1:-1]
    left, right = grey[..., 1:-1, :-2], grey[..., 1:-1, 2:]
    dy, dx = (down - up) / 2, (right - left) / 2
    diagonal = grey[..., 2:, 2:] + grey[..., :-2, :-2]
    antidiagonal = grey[..., 2:, :-2] + grey[..., :-2, 2:]
    ridge, valley = _eigenvalues(
        up + down - 2 * centre, left + right - 2 * centre, (diagonal - antidiagonal) / 4
    )
    edge = torch.sqrt(dy * dy + dx * dx)
    colour = image[:, 1:, 1:-1, 1:-1]
    return torch.cat((centre, edge, ridge, valley, colour), dim=1)


def _eigenvalues(
    yy: torch.Tensor, xx: torch.Tensor, xy: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Larger and smaller eigenvalue of symmetric 2 x 2 matrices."""
    mean = (yy + xx) / 2
    radius = torch.sqrt(((yy - xx) / 2) ** 2 + xy * xy)
    return mean + radius, mean - radius


def _to_cells(responses: torch.Tensor, level: int) -> torch.Tensor:
    """Bring the core of a level, with 1 pixel around it, onto the grid of cells."""
    if level == 0:
        return F.avg_pool2d(responses[..., 1:-1, 1:-1], PATCH)
    factor = 2**level // PATCH
    if factor == 1:
        return responses[..., 1:-1, 1:-1]
    fine = F.interpolate(
        responses, scale_factor=factor, mode="bilinear", align_corners=False
    )
    return fine[..., factor:-factor, factor:-factor]
