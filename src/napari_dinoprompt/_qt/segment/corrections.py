"""Results that the user paints on become the user's, and stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QWidget

from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.jobs import Work
from napari_dinoprompt._qt.common.widgets import MessageLabel, button, in_column
from napari_dinoprompt.core.autosave.labels import MOST_PIXELS, read_labels
from napari_dinoprompt.layers.results import empty_result, iter_plane, put_plane

if TYPE_CHECKING:
    from collections.abc import Generator

    from napari.components import ViewerModel
    from napari.layers import Labels, Layer
    from numpy.typing import NDArray

    from napari_dinoprompt.core.autosave.files import FoundRecord
    from napari_dinoprompt.session.image_state import ImageState
    from napari_dinoprompt.session.session import Session

    from .result_layers import ResultLayers


# Of a texture: larger planes napari draws coarser than they are.
_LONGEST_SIDE = 16_384


class CorrectionPanel(QWidget):
    """A line about the result that is the user's, and a button for large ones."""

    # A mask that napari cannot paint is to be made one that it can.
    correct_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._said = MessageLabel("what became of a corrected mask")
        self._correct = button(
            "Correct mask",
            "napari paints no pyramids: copy the mask of the plane in view to a layer "
            "that can be painted.",
        )
        self._correct.clicked.connect(self.correct_requested)
        in_column(self, self._said, self._correct)
        self.show_corrected("", can_copy=False)

    def show_corrected(self, said: str, *, can_copy: bool) -> None:
        """Show what is corrected, and whether a copy can be made."""
        self._said.setText(said)
        self._said.setVisible(bool(said))
        self._correct.setVisible(can_copy)
        self.setVisible(bool(said) or can_copy)


class Corrections(Work):
    """Hands results over as soon as they are painted, filled or erased.

    napari tells of that apart from other changes of the data; of undo it does not.
    """

    # What was handed over is another one now.
    edited = Signal()
    # The state of the image whose result was.
    handed_over = Signal(object)

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        results: ResultLayers,
        parent: QObject,
    ) -> None:
        super().__init__(parent, "Bringing corrected labels")
        self._viewer = viewer
        self._session = session
        self._results = results
        self._state: ImageState | None = None
        self._trouble = ""
        self._at: object = None
        viewer.layers.events.inserted.connect(self._on_inserted)
        for layer in viewer.layers:
            self._listen(layer)

    @property
    def can_copy(self) -> bool:
        """Whether the mask is one that napari cannot paint."""
        state = self._session.current
        return state is not None and state.mask is not None and state.mask.multiscale

    @property
    def line(self) -> str:
        """What is corrected on the current image, or why nothing can be."""
        state = self._session.current
        if state is None or state.corrected is None or self._trouble:
            return self._trouble if state is self._state else ""
        kept = state.corrected.data.size <= MOST_PIXELS
        limit = "" if kept else " It is too large to be kept: save it."
        return (
            f"{state.corrected.name} is yours: it stays, table and export take it. New "
            f"results go to a layer below it.{limit}"
        )

    def copy(self) -> None:
        """Copy the large mask on show into a layer that can be painted."""
        state = self._session.current
        if state is None or state.mask is None or state.result is None:
            return
        height, width = layers.plane_shape(state.image)
        self._state = state
        if max(height, width) > _LONGEST_SIDE:
            self._on_failed(
                f"napari cannot paint {height} × {width} pixels: crop the image to at "
                f"most {_LONGEST_SIDE} along a side to correct its mask."
            )
        elif not state.result.scores.complete:
            self._on_failed("The mask is not complete yet: correct it when it is.")
        else:
            noted = layers.noted_in(state.mask.metadata).get("classes")
            self._job.start(_copy(state.mask, state.view, noted))

    def restore(self, offer: FoundRecord, state: ImageState) -> None:
        """Bring corrected labels that were kept into a layer."""
        self._state = state
        self._job.start(_read(offer))

    def _on_inserted(self, event: Any) -> None:
        self._listen(event.value)

    def _listen(self, layer: Layer) -> None:
        if layers.can_correct(layer) or layers.correction_of(layer):
            # The first dab, the end of a stroke, and whatever undo may have been.
            layer.events.labels_update.connect(self._on_painted)
            layer.events.paint.connect(self._on_painted)
            layer.events.set_data.connect(self._on_drawn)

    def _on_painted(self, event: Any) -> None:
        layer = event.source
        if layers.can_correct(layer):
            self._hand_over(layer)
        elif event.type == "paint":
            self._count_edit(layer)

    def _on_drawn(self, event: Any) -> None:
        """Take what is drawn anew on the same plane for an edit: it may be undo."""
        before, self._at = self._at, self._viewer.dims.point
        if before == self._at and layers.correction_of(event.source):
            self._count_edit(event.source)

    def _count_edit(self, layer: Labels) -> None:
        layers.correction_of(layer)["edits"] += 1
        self.edited.emit()

    def _hand_over(self, layer: Labels) -> None:
        whose = layers.noted_in(layer.metadata)["image"]
        layers.hand_over(layer)
        for image in self._viewer.layers:
            if str(image.unique_id) == whose:
                state = self._session.open(image)
                self._results.drop(state, layer)
                state.corrected = layer
                self.handed_over.emit(state)
        self._trouble, self._at = "", self._viewer.dims.point
        self.changed.emit()

    def _on_returned(self, found: tuple[NDArray[Any], tuple[str, ...] | None]) -> None:
        array, classes = found
        state = self._state
        if state is None or state.image not in self._viewer.layers:
            return
        image, data = state.image, array
        if array.ndim < image.ndim:
            data = empty_result(image, array.dtype)
        layer = layers.make_mask_layer(image, data)
        colours = self._session.colours()
        known = {name: colours[name] for name in classes or () if name in colours}
        layers.colour_mask(layer, known if known else None)
        if data is not array:
            put_plane(layer, state.view, array)
        stack = self._viewer.layers
        selected = set(stack.selection)
        stack.insert(stack.index(state.mask or state.similarity or image) + 1, layer)
        stack.selection = selected
        if state.mask is not None and self.can_copy:
            # Seen are the corrections, and they can be made at once.
            state.mask.visible = False
            stack.selection.active = layer
            layer.mode = "paint"
        self._hand_over(layer)

    def _on_failed(self, message: str) -> None:
        self._trouble = message
        self.changed.emit()


def _copy(
    mask: Labels, plane: tuple[int, ...], classes: tuple[str, ...] | None
) -> Generator[object, None, tuple[NDArray[Any], tuple[str, ...] | None]]:
    """Read the plane on show, in a thread."""
    return (yield from iter_plane(mask, plane)), classes


def _read(
    offer: FoundRecord,
) -> Generator[None, None, tuple[NDArray[Any], tuple[str, ...] | None]]:
    """Read what was kept, in a thread."""
    yield
    labels = offer.record.labels
    assert labels is not None
    return read_labels(offer.path, labels), labels.classes or None
