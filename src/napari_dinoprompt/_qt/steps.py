"""What runs in the threads: calls into `core`, imported there and not before.

torch takes seconds to import; the window stays alive meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones import Backbone, BackboneChoice
    from napari_dinoprompt.core.estimate import Estimate
    from napari_dinoprompt.core.live import LiveResult, PreparedImage
    from napari_dinoprompt.core.masks import Cleaning
    from napari_dinoprompt.core.progress import Progress

__all__ = ["BackboneShelf", "clean", "prepare", "rethreshold", "score_prompts"]


class BackboneShelf:
    """Keeps the backbone that was loaded last, for the next image."""

    def __init__(self) -> None:
        self._kept: tuple[BackboneChoice, Backbone] | None = None

    def get(self, choice: BackboneChoice) -> Backbone:
        """Return a backbone, loaded if it is not the one kept."""
        if self._kept is None or self._kept[0] != choice:
            self._kept = (choice, choice.load())
        return self._kept[1]


def prepare(
    read_plane: Callable[[], ArrayLike],
    shelf: BackboneShelf,
    choice: BackboneChoice,
    upscale: float,
) -> Generator[Progress | Estimate, None, PreparedImage]:
    """Extract the features of an image; as `core.live.prepare_image`."""
    from napari_dinoprompt.core.live import prepare_image

    return (yield from prepare_image(read_plane, lambda: shelf.get(choice), upscale))


def score_prompts(
    prepared: PreparedImage,
    points: NDArray[np.float64],
    classes: tuple[str, ...],
    chosen: Mapping[str, float],
    source: str,
) -> Generator[None, None, LiveResult]:
    """Find what the prompts find; as `core.live.update`."""
    from napari_dinoprompt.core.live import update

    yield
    return update(prepared, points, classes, chosen, source=source)


def rethreshold(
    result: LiveResult, chosen: Mapping[str, float]
) -> Generator[None, None, LiveResult]:
    """Cut the similarities anew; as `core.live.apply_thresholds`."""
    from napari_dinoprompt.core.live import apply_thresholds

    yield
    return apply_thresholds(result.reference, result.similarities, chosen)


def clean(
    mask: NDArray[np.uint8],
    cleaning: Cleaning,
    no_data: NDArray[np.bool_] | None,
) -> Generator[None, None, tuple[NDArray[np.uint8], NDArray[np.int32]]]:
    """Clean a mask and number its objects; as `core.segmentation.finish`."""
    from napari_dinoprompt.core.segmentation import finish

    yield
    return finish(mask, cleaning, no_data)
