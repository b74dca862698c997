"""What the viewer shows of the study, while the part that it belongs to is on show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from napari_dinoprompt._qt.studying.markers import StudyMarkers
from napari_dinoprompt._qt.studying.masks import StudyMasks

if TYPE_CHECKING:
    from napari.components import ViewerModel
    from napari.layers import Image

    from napari_dinoprompt._qt.studying.request import StudyResult
    from napari_dinoprompt.session import ImageState

__all__ = ["StudyShows"]


class StudyShows:
    """Marks and masks of one viewer, whichever of its docks has asked for them."""

    def __init__(self, viewer: ViewerModel) -> None:
        self.masks = StudyMasks(viewer)
        self._markers = StudyMarkers(viewer)
        self._viewpoints: WeakKeyDictionary[Any, str] = WeakKeyDictionary()

    def look(self, viewpoint: object, part: str) -> None:
        """Note which part a dock has on show; empty if none."""
        self._viewpoints[viewpoint] = part
        if "resolution" not in self._viewpoints.values():
            self.masks.hide()

    def show(self, state: ImageState | None, influence: StudyResult | None) -> None:
        """Show rings of a result that holds, where somebody looks at them."""
        parts = set(self._viewpoints.values())
        if state is not None and influence is not None and "influence" in parts:
            planes = influence.key.reference.planes
            self._markers.show_influence(state, influence.found, planes)
        else:
            self._markers.hide_influence()

    def follow(self, image: Image) -> None:
        """Put all where an image was moved to."""
        self._markers.follow(image)
        self.masks.follow(image)
