"""What the machine can compute at most, and what a pass of the network takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from speed_parts.timing import seconds

if TYPE_CHECKING:
    from napari_dinoprompt.core.backbones.vit import VisionTransformer


_SIDE = {"cuda": 8192, "cpu": 2048}
_PROBE_SIDE = 256


def matmul_peak(
    device: torch.device, dtype: torch.dtype, side: int | None = None, runs: int = 5
) -> float:
    """Measure the fastest product of two square matrices.

    Parameters
    ----------
    device : torch.device
    dtype : torch.dtype
    side : int or None
        Of the matrices; None is large enough for the device to be at its best.
    runs : int
        The fastest of so many counts.

    Returns
    -------
    float
        Operations per second; a multiplication and an addition are two.
    """
    return _mm_speed(device, dtype, side or _SIDE.get(device.type, 4096), runs)


def _mm_speed(device: torch.device, dtype: torch.dtype, side: int, runs: int) -> float:
    one = torch.ones((side, side), device=device, dtype=dtype)
    torch.mm(one, one)
    best = min(seconds(lambda: torch.mm(one, one), device) for _ in range(runs))
    return 2 * side**3 / best


def computes_half(device: torch.device) -> bool:
    """Tell whether half precision is faster than single precision here.

    A processor without instructions for it is hundreds of times slower.
    """
    if device.type == "cuda":
        return True
    half = _mm_speed(device, torch.bfloat16, _PROBE_SIDE, 1)
    return half > _mm_speed(device, torch.float32, _PROBE_SIDE, 3)


def pass_flops(backbone: VisionTransformer) -> float:
    """Count the operations of one tile, those of matrix products alone.

    With N tokens of length d, L blocks with a hidden layer of r times d, and P patches
    of p x p pixels: ``L (8 N d^2 + 4 r N d^2 + 4 N^2 d) + 2 P 3 p^2 d``. The first is
    queries, keys, values and projection, then the hidden layer, then attention.

    Parameters
    ----------
    backbone : VisionTransformer

    Returns
    -------
    float
        A multiplication and an addition are two.
    """
    width, patch = backbone.info.dimension, backbone.info.patch
    patches = backbone.tile**2
    tokens = patches + int(getattr(backbone.model, "num_prefix_tokens", 1))
    blocks = list(backbone.model.blocks)[: backbone.info.block + 1]  # type: ignore[arg-type]
    total = 2.0 * patches * 3 * patch**2 * width
    for block in blocks:
        hidden = block.mlp.fc1.out_features / width
        total += (8 + 4 * hidden) * tokens * width**2 + 4 * tokens**2 * width
    return total
