"""What runs in the threads: calls into `core`, imported there and not before.

torch takes seconds to import; the window stays alive meanwhile.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from napari_dinoprompt.core.backbones import Backbone, BackboneChoice
    from napari_dinoprompt.core.estimate import Estimate
    from napari_dinoprompt.core.lazy_planes import LazyPlane
    from napari_dinoprompt.core.prepared import PreparedPlane, PreparedPlanes
    from napari_dinoprompt.core.progress import Notice, Progress
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.session import FeatureRequest

__all__ = [
    "BackboneShelf",
    "prepare",
]


class BackboneShelf:
    """Keeps the backbone that was loaded last, for the next image."""

    def __init__(self) -> None:
        self._kept: tuple[BackboneChoice, Backbone] | None = None
        self._lock = Lock()

    def get(self, choice: BackboneChoice) -> Backbone:
        """Return a backbone, loaded if it is not the one kept; one at a time."""
        with self._lock:
            if self._kept is None or self._kept[0] != choice:
                # Two large backbones need not be in memory at once.
                self._kept = None
                self._kept = (choice, choice.load())
            return self._kept[1]


def prepare(
    prepared: PreparedPlanes,
    open_plane: Callable[[PlaneIndex], LazyPlane],
    stack: tuple[int, ...],
    plane_size: tuple[int, int],
    shelf: BackboneShelf,
    request: FeatureRequest,
    wanted: list[PlaneIndex],
) -> Generator[
    Progress | Notice | Estimate | tuple[PlaneIndex, PreparedPlane], None, None
]:
    """Extract the features of planes; as `core.live.prepare_planes`."""
    from napari_dinoprompt.core.live import prepare_planes

    yield from prepare_planes(
        prepared,
        open_plane,
        stack,
        plane_size,
        lambda: shelf.get(request.backbone),
        request.upscale,
        wanted,
    )
