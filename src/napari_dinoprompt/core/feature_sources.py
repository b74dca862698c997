"""Whether the features of a plane are held as a whole or computed part by part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dinoprompt.core.estimate import fits_whole
from napari_dinoprompt.core.extraction import iter_features
from napari_dinoprompt.core.lazy_planes import LazyPlane
from napari_dinoprompt.core.streaming.sampling import iter_lazy_features

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features import FeatureMap
    from napari_dinoprompt.core.intensity import IntensityWindow
    from napari_dinoprompt.core.progress import Notice, Progress
    from napari_dinoprompt.core.streaming.lazy_features import LazyFeatures

__all__ = ["iter_any_features"]


def iter_any_features(
    image: ArrayLike | LazyPlane,
    backbone: Backbone,
    *,
    upscale: float = 1.0,
    window: IntensityWindow | tuple[float, float] | None = None,
) -> Generator[Progress | Notice, None, FeatureMap | LazyFeatures]:
    """Compute the features of a plane, or prepare them if it is a large one."""
    plane = LazyPlane.of(image)
    if fits_whole(plane.shape, backbone, upscale):
        return (
            yield from iter_features(
                plane.whole(), backbone, upscale=upscale, window=window
            )
        )
    return (
        yield from iter_lazy_features(plane, backbone, upscale=upscale, window=window)
    )
