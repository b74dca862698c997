"""The table of objects: measured on request, shown by napari, and saved."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtCore import QObject, Signal
from qtpy.QtWidgets import QFileDialog, QMenu, QToolButton, QWidget

from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.jobs import LatestJob, Work
from napari_dinoprompt._qt.common.widgets import (
    MessageLabel,
    button,
    explain,
    in_column,
    row_of,
)
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.layers.planes import plane_levels
from napari_dinoprompt.layers.results import blank_planes, put_plane

from .result_layers import objects_layer

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    import pandas as pd
    from napari.components import ViewerModel
    from napari.layers import Image, Labels
    from numpy.typing import NDArray

    from napari_dinoprompt.core.objects.counts import ObjectCounts
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.session.image_state import ImageState
    from napari_dinoprompt.session.session import Session

_ROLE = "objects"
_FILTER = "QuPath (*.geojson);;ImageJ regions (*.zip);;Label image (*.tif)"


class TablePanel(QWidget):
    """How many objects there are, and buttons to measure and save them."""

    measure_requested = Signal()
    channels_requested = Signal(object)
    save_requested = Signal(object)

    def __init__(self) -> None:
        super().__init__()
        self._count = MessageLabel("how many objects there are")
        self._table = button(
            "Table",
            "Measure the objects of the plane in view, and show the table. Choose a "
            "row to see its object.",
        )
        self._channels = explain(
            QToolButton(), "Images whose intensities are measured.", "channels"
        )
        self._channels.setText("channels")
        self._channels.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self._menu = QMenu(self)
        self._shown: list[tuple[str, Image, bool]] = []
        self._channels.setMenu(self._menu)
        self._save = button("Save table…", "Save the table as CSV.")
        self._export = button(
            "Export…", "Save the objects for QuPath or ImageJ, or as a label image."
        )
        self._said = MessageLabel("table of objects")
        in_column(
            self,
            self._count,
            row_of(self._table, self._channels, self._save, self._export),
            self._said,
        )
        self._table.clicked.connect(self.measure_requested)
        self._save.clicked.connect(self._on_save)
        self._export.clicked.connect(self._on_export)

    def show_objects(
        self, counts: ObjectCounts | None, measure: float | None, *, ready: bool
    ) -> None:
        """Show the counts; `measure` is that of a pixel in µm², if it is known."""
        self._count.setText("" if counts is None else counts.describe(measure))
        self._table.setEnabled(counts is not None)
        for one in (self._save, self._export):
            one.setEnabled(ready)

    def show_said(self, said: str) -> None:
        """Show how the work stands, or what went wrong."""
        self._said.setText(said)
        self._said.setVisible(bool(said))

    def show_channels(self, offered: Sequence[Image], chosen: Sequence[Image]) -> None:
        """Offer images of the same shape."""
        shown = [(image.name, image, image in chosen) for image in offered]
        if shown == self._shown:
            # It may be open.
            return
        self._shown = shown
        self._menu.clear()
        for image in offered:
            action = self._menu.addAction(image.name)
            assert action is not None
            action.setCheckable(True)
            action.setChecked(image in chosen)
            action.triggered.connect(partial(self._on_channel, image))

    def _on_channel(self, image: Image, _on: bool) -> None:
        self.channels_requested.emit(image)

    def _on_save(self) -> None:
        self._ask("Save the table", "Table (*.csv)", ".csv")

    def _on_export(self) -> None:
        self._ask("Export the objects", _FILTER, ".geojson")

    def _ask(self, title: str, kinds: str, suffix: str) -> None:
        name, kind = QFileDialog.getSaveFileName(self, title, "", kinds)
        if name:
            path = Path(name)
            chosen = kind.rpartition("*")[2].rstrip(")") or suffix
            self.save_requested.emit(path if path.suffix else path.with_suffix(chosen))


@dataclass(frozen=True, eq=False)
class Measured:
    """The objects of a plane, as they were measured.

    Attributes
    ----------
    plane : plane index
    levels : list of (h, w) arrays of integers
        Object numbers.
    table : pandas.DataFrame
    pixel_size : tuple of float or None
        In micrometres.
    """

    plane: PlaneIndex
    levels: list[Any]
    table: pd.DataFrame
    pixel_size: tuple[float, ...] | None


@dataclass(frozen=True, eq=False)
class _Objects:
    """What is measured: numbers of objects or, without a mask, of classes to number."""

    plane: PlaneIndex
    levels: list[Any]
    mask: Any
    names: tuple[str, ...]
    maps: Mapping[str, Any]
    channels: Mapping[str, Any]
    pixel_size: tuple[float, ...] | None
    world: tuple[NDArray[Any], NDArray[Any]] | None


class TableJob(Work):
    """Measures the objects of the plane in view; they are never shown as newer ones."""

    def __init__(self, viewer: ViewerModel, session: Session, parent: QObject) -> None:
        super().__init__(parent, "Measuring objects")
        self._viewer, self._session = viewer, session
        self._state: ImageState | None = None
        self._of: object = None
        self.measured: Measured | None = None
        self.said = ""
        self._channels: list[Image] = []
        self._files = LatestJob(self, "Saving objects")
        self._files.returned.connect(self._on_saved)
        self._files.failed.connect(self._on_failed)
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def running(self) -> bool:
        """Whether objects are being measured or saved."""
        return self._job.running or self._files.running

    def offered(self) -> list[Image]:
        """Return images whose intensities can be measured, the current one first."""
        state = self._session.current
        if state is None:
            return []
        wanted = layers.full_shape(state.image)
        others = [one for one in self._viewer.layers if layers.can_segment(one)]
        same = [one for one in others if layers.full_shape(one) == wanted]
        return sorted(same, key=lambda one: one is not state.image)

    def chosen(self) -> list[Image]:
        """Return the images that are measured: by default the current one."""
        offered = self.offered()
        return [one for one in offered if one in self._channels] or offered[:1]

    def choose_channel(self, image: Image) -> None:
        """Measure an image too, or no longer."""
        chosen = self.chosen()
        self._channels = (
            [one for one in chosen if one is not image]
            if image in chosen
            else [*chosen, image]
        )
        self.changed.emit()

    def start(self) -> None:
        """Measure what is on show: corrected, chosen, or found by the prompts."""
        state = self._session.current
        if state is None or state.result is None or state.numbered is None:
            return
        self._state, self._of = state, state.numbered
        self._job.start(_measure(self._objects(state)))
        self._say("Measuring…")

    def _objects(self, state: ImageState) -> _Objects:
        from napari_dinoprompt.core.segmentation.similarities import maps_of

        result, image = state.result, state.image
        assert result is not None
        assert state.numbered is not None
        plane, names = result.plane, result.names
        masks, instances = state.numbered
        levels, mask = instances, masks[0]
        corrected = layers.corrected_layer(self._viewer.layers, image)
        if corrected is not None:
            known = layers.correction_of(corrected)["classes"]
            levels = plane_levels(corrected, plane, pyramid=result.large)
            mask, names = (None, tuple(known)) if known else (levels[0] > 0, names[:1])
        elif state.selection is not None:
            levels, mask = [state.selection.instances], state.selection.mask
        matrix, shift = layers.to_world(image)
        shift = shift + matrix[:, :-2] @ plane if plane else shift
        size = layers.pixel_lengths(image)
        unit = None if size is None else size[0] / abs(float(image.scale[-2]))
        return _Objects(
            plane,
            levels,
            mask,
            names,
            maps_of(result.scores),
            {
                one.name: plane_levels(one, plane, pyramid=False)[0]
                for one in self.chosen()
            },
            size,
            None if unit is None else (matrix[-2:, -2:] * unit, shift[-2:] * unit),
        )

    def look(self) -> None:
        """Let go of objects that are no longer those of the result."""
        state = self._state
        if state is None or self._of is None or state.numbered is self._of:
            return
        self._job.cancel()
        self._of = self.measured = None
        self.said = "The objects have changed; measure them again."
        layer = layers.find_owned(self._viewer.layers, state.image, _ROLE)
        if layer is not None:
            layer.features = {}
            blank_planes(layer, [state.view])

    def _on_removed(self, event: Any) -> None:
        """Let go of an image that is closed."""
        gone = event.value
        self._channels = [one for one in self._channels if one is not gone]
        if self._state is not None and gone is self._state.image:
            self._job.cancel()
            self._state = self._of = self.measured = None
            self.said = ""

    def save(self, path: Path) -> None:
        """Save the table or the objects; the suffix decides."""
        if self.measured is not None:
            self._files.start(_save(self.measured, path))

    def _on_yielded(self, said: Progress) -> None:
        if said.total > 2:
            self._say(f"Measuring… {100 * said.done // said.total} %")

    def _on_returned(self, found: Measured) -> None:
        state = self._state
        if state is None or state.image not in self._viewer.layers:
            return
        self.measured = found
        layer = objects_layer(self._viewer.layers, state, _ROLE, found.levels)
        layers.colour_mask(layer, None)
        put_plane(layer, found.plane, *found.levels)
        # To napari a row's place is its number, and the first is the background.
        by_number = found.table.set_index("label", drop=False)
        rows = range(int(found.table["label"].max()) + 1 if len(found.table) else 0)
        layer.features = by_number.reindex(rows).reset_index(drop=True)
        # Once, however often.
        layer.events.selected_label.connect(self._on_row)
        layer.visible = True
        # napari shows the table of the active layer.
        self._viewer.layers.selection.active = layer
        self._say(f"{len(found.table)} objects measured.")

    def _on_saved(self, path: Path) -> None:
        self._say(f"Saved as {path}.")

    def _on_row(self, event: Any) -> None:
        """Look at the object whose row was chosen; napari only takes its number."""
        layer: Labels = event.source
        if self.measured is None or str(layer.mode) in ("paint", "fill", "erase"):
            return
        table = self.measured.table
        row = table[table["label"] == layer.selected_label]
        if len(row):
            place = row[["y_px", "x_px"]].to_numpy()[0].tolist()
            layers.look_at(self._viewer, layer, (*self.measured.plane, *place))

    def _on_failed(self, message: str) -> None:
        self._say(message)

    def _say(self, message: str) -> None:
        self.said = message
        self.changed.emit()


def _measure(of: _Objects) -> Generator[Progress, None, Measured]:
    """Measure objects in a thread."""
    import numpy as np

    from napari_dinoprompt.core.masks.cleaning import Cleaning, split_instances
    from napari_dinoprompt.core.objects.table import ObjectData, iter_objects_table

    yield Progress(0, 0)
    levels, mask = of.levels, of.mask
    if mask is None:
        mask = np.asarray(levels[0]).astype(np.uint8)
        levels = [split_instances(mask, Cleaning())]
    data = ObjectData(levels[0], mask, of.names, of.maps, of.channels, of.pixel_size)
    table = yield from iter_objects_table(data)
    if of.world is not None and len(table):
        # Layers may be shifted and turned.
        matrix, shift = of.world
        places = table[["y_px", "x_px"]].to_numpy() @ matrix.T + shift
        table[["y_um", "x_um"]] = places
    return Measured(of.plane, levels, table, of.pixel_size)


def _save(measured: Measured, path: Path) -> Generator[Progress, None, Path]:
    """Write a file in a thread."""
    from napari_dinoprompt.core.io.read import write_tiff
    from napari_dinoprompt.core.objects.export import iter_export_objects

    yield Progress(0, 0)
    instances = measured.levels[0]
    if path.suffix in (".tif", ".tiff"):
        write_tiff(path, instances, pixel_size=measured.pixel_size)
    else:
        yield from iter_export_objects(path, instances, measured.table)
    return path
