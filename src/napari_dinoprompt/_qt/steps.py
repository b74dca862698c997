"""What runs in the threads: calls into `core`, imported there and not before.

torch takes seconds to import; the window stays alive meanwhile.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from napari_dinoprompt.core.live import LiveResult
    from napari_dinoprompt.core.masks import Cleaning
    from napari_dinoprompt.core.prepared import PreparedPlanes
    from napari_dinoprompt.core.progress import Notice, Progress
    from napari_dinoprompt.core.prompts import PlaneIndex, Prompts
    from napari_dinoprompt.core.streaming.live import LargeResult

__all__ = [
    "clean",
    "clean_large",
    "rethreshold",
    "score_large",
    "score_prompts",
]


def score_prompts(
    planes: PreparedPlanes,
    prompts: Prompts,
    view: PlaneIndex,
    chosen: Mapping[str, float],
    source: str,
    pixel_size: tuple[float, float] | None,
) -> Generator[None, None, LiveResult]:
    """Find what the prompts find; as `core.live.update`.

    The viewer knows how large the pixels are, and a file should say so.
    """
    from napari_dinoprompt.core.live import update

    yield
    result = update(planes, prompts, view, chosen, source=source)
    sources = tuple(
        replace(one, pixel_size=pixel_size) for one in result.reference.sources
    )
    return replace(result, reference=replace(result.reference, sources=sources))


def score_large(
    planes: PreparedPlanes,
    prompts: Prompts,
    view: PlaneIndex,
    chosen: Mapping[str, float],
    near: NDArray[np.float64],
    source: str,
    pixel_size: tuple[float, float] | None,
) -> Generator[Progress | Notice | LargeResult, None, None]:
    """Find what the prompts find; as `core.streaming.live.iter_large_result`."""
    from napari_dinoprompt.core.streaming.live import iter_large_result

    yield from iter_large_result(
        planes, prompts, view, chosen, near, source=source, pixel_size=pixel_size
    )


def clean_large(
    result: LargeResult, cleaning: Cleaning
) -> Generator[Progress, None, tuple[list[Any], list[Any]]]:
    """Clean a mask; as `core.streaming.live.iter_clean`."""
    from napari_dinoprompt.core.streaming.live import iter_clean

    return (yield from iter_clean(result, cleaning))


def rethreshold(
    result: LiveResult, chosen: Mapping[str, float]
) -> Generator[None, None, LiveResult]:
    """Cut the similarities anew; as `core.live.apply_thresholds`."""
    from napari_dinoprompt.core.live import apply_thresholds

    yield
    return apply_thresholds(result.plane, result.reference, result.similarities, chosen)


def clean(
    mask: NDArray[np.uint8],
    cleaning: Cleaning,
    no_data: NDArray[np.bool_] | None,
) -> Generator[None, None, tuple[NDArray[np.uint8], NDArray[np.int32]]]:
    """Clean a mask and number its objects; as `core.segmentation.finish`."""
    from napari_dinoprompt.core.segmentation import finish

    yield
    return finish(mask, cleaning, no_data)
