"""What the time of extraction goes into, as torch's profiler sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch.profiler import ProfilerActivity, profile

from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.io.atomic import open_atomically
from speed_parts.pictures import picture
from speed_parts.rows import Row

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_dinoprompt.core.backbones.vit import VisionTransformer


_KINDS = {
    "matrix products": ("mm", "gemm", "linear", "cutlass", "xmma"),
    "attention": ("attention", "flash", "fmha"),
    "activation": ("gelu",),
    "norm": ("norm",),
    "patch embedding": ("conv",),
    "copies and conversions": ("copy", "memcpy", "to_copy", "cat", "clone"),
    "sums, products": ("mul", "add", "sub", "div", "elementwise"),
}


def profile_extraction(
    backbone: VisionTransformer, side: int, precision: str, folder: Path
) -> Iterator[Row]:
    """Profile one extraction.

    Parameters
    ----------
    backbone : VisionTransformer
    side : int
    precision : str
    folder : Path
        The profiler's own table goes there.

    Yields
    ------
    Row
        Share of each kind of operation in the time of the device.
    """
    cuda = backbone.device.type == "cuda"
    image = picture(side)
    extract_features(image, backbone)
    activities = [ProfilerActivity.CPU] + [ProfilerActivity.CUDA] * cuda
    with profile(activities=activities) as seen:
        extract_features(image, backbone)
    averages = seen.key_averages()
    order = f"self_{'device' if cuda else 'cpu'}_time_total"
    with open_atomically(folder / f"profile_{precision}.txt") as file:
        file.write(averages.table(sort_by=order, row_limit=30).encode())
    shares: dict[str, float] = {}
    for event in averages:
        spent = float(getattr(event, order))
        shares[_kind(event.key)] = shares.get(_kind(event.key), 0.0) + spent
    total = sum(shares.values())
    for kind, spent in sorted(shares.items(), key=lambda one: -one[1]):
        value = 100 * spent / total
        yield Row("profile", kind, "share of time", value, "%", side, 1.0, precision)


def _kind(name: str) -> str:
    name = name.lower()
    # Attention first: its kernels have "mm" in their names too.
    for kind in ("attention", *_KINDS):
        if any(word in name for word in _KINDS[kind]):
            return kind
    return "other"
