"""Objects from elsewhere, kept or dropped as wholes by how alike they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget
from superqt.utils import signals_blocked

from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.jobs import Work
from napari_dinoprompt._qt.common.layer_boxes import LayerBox
from napari_dinoprompt._qt.common.widgets import (
    MessageLabel,
    explain,
    in_column,
    label_of,
    row_of,
)
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.layers.planes import plane_levels
from napari_dinoprompt.layers.results import blank_planes, put_plane, score_colours

from .result_layers import objects_layer

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from napari.components import ViewerModel
    from napari.layers import Layer
    from napari.utils.colormaps import DirectLabelColormap

    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.segmentation.interactive import LiveResult
    from napari_dinoprompt.core.segmentation.select import Selection
    from napari_dinoprompt.session.image_state import ImageState
    from napari_dinoprompt.session.session import Session


_ROLE = "chosen objects"


class ObjectsPanel(QWidget):
    """A box of where objects come from, and how many of them are kept."""

    # The user chose a layer of objects; None for those of the own mask.
    chosen = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._box = explain(
            LayerBox("own mask"),
            "Labels over this image, of any tool: the threshold then keeps or drops "
            "whole objects, by their mean similarity.",
            "objects from",
        )
        self._said = MessageLabel("objects that are kept")
        title = label_of("objects from", self._box)
        in_column(self, row_of(title, self._box), self._said)
        self._box.activated.connect(self._on_activated)

    def show_objects(
        self, offered: Sequence[Layer], chosen: Layer | None, said: str
    ) -> None:
        """Offer layers; hidden while there are none."""
        with signals_blocked(self._box):
            self._box.show_layers(offered)
            self._box.choose(chosen)
        self._said.setText(said)
        self._said.setVisible(bool(said))
        self.setVisible(bool(offered))

    def _on_activated(self, _index: int) -> None:
        self.chosen.emit(self._box.layer)


@dataclass(frozen=True, eq=False)
class _Chosen:
    """Objects that are kept, as they are shown."""

    result: LiveResult
    selection: Selection
    levels: list[Any]
    features: Mapping[str, Any]
    colours: DirectLabelColormap


class GivenObjects(Work):
    """Scores the objects of the user's layer after each score; the latest wins."""

    def __init__(self, viewer: ViewerModel, session: Session, parent: QObject) -> None:
        super().__init__(parent, "Choosing objects")
        self._viewer = viewer
        self._session = session
        self._trouble = ""
        self._shown: tuple[ImageState, PlaneIndex] | None = None
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def line(self) -> str:
        """How many objects are kept, or what went wrong."""
        state = self._session.current
        if state is None or state.selection is None or self._trouble:
            return self._trouble
        found = state.selection
        kept = int((found.scores.classes(found.thresholds) > 0).sum())
        return f"{kept} of {len(found.scores.labels)} objects are kept."

    def offered(self) -> list[Layer]:
        """Return the user's layers that can hold objects of the current image."""
        state = self._session.current
        if state is None:
            return []
        image, wanted = state.image, layers.full_shape(state.image)
        own = layers.truth_layers(self._viewer.layers)
        return [
            one for one in own if one is not image and layers.full_shape(one) == wanted
        ]

    def choose(self, given: Layer | None) -> None:
        """Take the objects of a layer, or None: those of the own mask again."""
        state = self._session.current
        if state is None or state.given_objects is given:
            return
        if given is not None:
            # Once, however often; one that was left may speak, and is not asked.
            for name in {"data", "labels_update"}.intersection(given.events.emitters):
                given.events[name].connect(self._on_edited)
        self._job.cancel()
        state.take_objects(given)
        shown = layers.find_owned(self._viewer.layers, state.image, _ROLE)
        if given is None and shown is not None:
            self._viewer.layers.remove(shown)
        if state.mask is not None:
            state.mask.visible = given is None
        self._trouble = ""
        self.look()
        self.changed.emit()

    def choose_threshold(self, value: float | None) -> bool:
        """Keep objects from another score on; False where none are given."""
        state = self._session.current
        if state is None or state.given_objects is None:
            return False
        name = self._session.threshold_class()
        state.object_thresholds.pop(name, None)
        if value is not None:
            state.object_thresholds[name] = value
        self._start(state)
        return True

    def look(self) -> None:
        """Score the objects anew if there are other similarities."""
        state = self._session.current
        if state is None or state.given_objects is None:
            return
        if state.result is None:
            self._job.cancel()
            state.selection = None
            self._blank()
        elif not state.outdated and state.result.scores is not state.objects_of:
            self._start(state)

    def _start(self, state: ImageState) -> None:
        result, given = state.result, state.given_objects
        if result is None or given is None or not result.scores.complete:
            return
        known = state.selection if state.objects_of is result.scores else None
        state.objects_of = result.scores
        levels = plane_levels(given, result.plane, pyramid=result.large)
        self._job.start(_choose(levels, result, known, dict(state.object_thresholds)))

    def _on_returned(self, found: _Chosen) -> None:
        state = self._session.current
        if state is None or state.given_objects is None:
            return
        state.selection, self._trouble = found.selection, ""
        layer = objects_layer(self._viewer.layers, state, _ROLE, found.levels)
        if self._shown != (state, found.result.plane):
            # Numbers of other planes have other scores.
            self._blank()
        self._shown = (state, found.result.plane)
        layer.features = found.features
        layer.colormap = found.colours
        put_plane(layer, found.result.plane, *found.levels)
        self.changed.emit()

    def _blank(self) -> None:
        """Empty the plane that was filled last."""
        if self._shown is not None:
            state, plane = self._shown
            layer = layers.find_owned(self._viewer.layers, state.image, _ROLE)
            if layer is not None:
                blank_planes(layer, [plane])
        self._shown = None

    def _on_failed(self, message: str) -> None:
        self._trouble = message
        self.changed.emit()

    def _on_edited(self, _event: object) -> None:
        for state in self._session:
            state.objects_of = None
        self.look()

    def _on_removed(self, event: Any) -> None:
        for state in self._session:
            if state.given_objects is event.value:
                if state is self._session.current:
                    self.choose(None)
                state.take_objects(None)


def _choose(
    levels: list[Any],
    result: LiveResult,
    known: Selection | None,
    chosen: dict[str, float],
) -> Generator[Progress, None, _Chosen]:
    """Choose objects in a thread; `known` are those whose scores are known."""
    from napari_dinoprompt.core.images.labels import as_objects
    from napari_dinoprompt.core.images.lazy_plane import read_part
    from napari_dinoprompt.core.segmentation.select import iter_select
    from napari_dinoprompt.core.segmentation.similarities import maps_of

    yield Progress(0, 0)
    pixels = result.thresholds
    if known is not None:
        thresholds = {**known.scores.thresholds(pixels), **chosen}
        selection = replace(known, thresholds=thresholds)
    else:
        large = len(levels) > 1
        given = levels[0] if large else as_objects(read_part(levels[0], ()))
        selection = yield from iter_select(
            given, maps_of(result.scores), pixels, chosen
        )
    scores = selection.scores
    numbers = scores.classes(selection.thresholds)
    kept = numbers > 0
    best = np.nanmax(scores.scores[kept], axis=1) if kept.any() else np.zeros(0)
    shown = [selection.given, *levels[1:]]
    labels = scores.labels[kept]
    features = {
        "index": labels,
        "class": [scores.names[number - 1] for number in numbers[kept]],
        "score": best,
    }
    return _Chosen(
        result,
        selection,
        [
            # Of a whole plane at once; of a large one what napari asks for.
            one if len(shown) > 1 else one[...]
            for one in (replace(selection, given=one).instances for one in shown)
        ],
        features,
        score_colours(labels, best),
    )
