"""The one that talks to the viewer: turns requests of the panels into work.

It reads layers, starts jobs and shows their results; what is computed, `core`
computes, in threads. What the viewer does is `Following`'s matter, and what has to be
computed `Preparing`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.desk import Desk
from napari_dinoprompt._qt.following import Following
from napari_dinoprompt._qt.preferences import read_preferences
from napari_dinoprompt._qt.preparing import Preparing
from napari_dinoprompt._qt.prompt_layer import PromptLayer
from napari_dinoprompt._qt.recovery.offers import Recovery
from napari_dinoprompt._qt.result_layers import ResultLayers
from napari_dinoprompt._qt.scoring import Scoring
from napari_dinoprompt._qt.stack_work import StackWork
from napari_dinoprompt.session import FeatureRequest, Session
from napari_dinoprompt.session_records import restore_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Image, Points
    from numpy.typing import NDArray

    from napari_dinoprompt.core.masks import Cleaning

__all__ = ["Coordinator", "coordinator_of"]

_WEIGHTS_WANTED = (
    "The prompts are back. Their weights were a file of yours: choose it again under "
    "Advanced."
)
_coordinators: WeakValueDictionary[int, Coordinator] = WeakValueDictionary()


def coordinator_of(viewer: ViewerModel) -> Coordinator:
    """Return the coordinator of a viewer: one, however many docks are open.

    It may be napari's proxy of the viewer, which hashes alike.
    """
    found = _coordinators.get(hash(viewer))
    if found is None:
        found = Coordinator(viewer)
        _coordinators[hash(viewer)] = found
    return found


class Coordinator(QObject):
    """Session, layers and jobs of one viewer."""

    changed = Signal()
    """Something that panels show is different."""
    images_changed = Signal()
    """Images were opened, closed or renamed."""
    progressed = Signal(int, int)
    """Tiles done and in all; a total of 0 is unknown."""

    def __init__(self, viewer: ViewerModel) -> None:
        super().__init__()
        self.viewer = viewer
        preferences = read_preferences()
        self.session = session = Session(FeatureRequest(preferences.backbone, 1.0))
        self.wanted_dinov2 = preferences.wanted
        self.recovery = Recovery(session, self)
        self.prompts = prompts = PromptLayer(viewer, session, self)
        self._results = results = ResultLayers(viewer)
        self.scoring = Scoring(session, results, self)
        self.features = Preparing(session, prompts, self.scoring, self)
        self.stacks = StackWork(viewer, session, self.features.shelf, results, self)
        self.desk = Desk(viewer, session, self.features.shelf, self)
        self._following = Following(
            viewer,
            session,
            prompts,
            results,
            self.features,
            self.recovery,
            self.desk.studying,
            self,
        )
        self._connect()

    def _connect(self) -> None:
        for part in (
            *(self.recovery, self.features, self.scoring),
            *(self.stacks, self._following),
        ):
            part.changed.connect(self.changed)
        self.features.progressed.connect(self.progressed)
        self.scoring.progressed.connect(self.progressed)
        self.scoring.changed.connect(self.stacks.note_result)
        self._following.images_changed.connect(self.images_changed)
        self._following.image_lost.connect(self.choose_image)
        self._following.image_replaced.connect(self.stop)
        self._following.prompts_opened.connect(self.add_prompts)
        self.desk.studying.removal_wanted.connect(self.prompts.remove)
        self.changed.connect(self.stacks.drop_stale)
        self.changed.connect(self.desk.studying.review)
        self.changed.connect(self.recovery.autosave.note)

    @property
    def working(self) -> bool:
        """Whether anything is being computed or about to be."""
        return (
            self.features.running
            or self.scoring.running
            or self.stacks.running
            or self._following.pending
            or self.prompts.pending
            or self.recovery.running
            or self.desk.working
        )

    def images(self) -> list[Image]:
        """Return the layers that can be segmented, as the viewer lists them."""
        return [layer for layer in self.viewer.layers if layers.can_segment(layer)]

    # --- requests of the panels

    def choose_image(self, image: Image | None = None) -> None:
        """Turn to an image, or to none; what it had before comes back."""
        current = self.session.current
        if current is not None and current.image is image:
            return
        self.prompts.flush()
        self.recovery.autosave.look()
        self.stop()
        self.session.message = ""
        if image is None:
            self.session.current = None
            self.prompts.watch(None)
            self.changed.emit()
            return
        state = self.session.open(image)
        self.session.current = state
        self._results.adopt(state)
        self._following.watch(image)
        self.prompts.ensure(state)
        self.recovery.turn_to(state)
        self.features.compute()

    def prompt_layers(self) -> list[Points]:
        """Return the Points layers that can hold the prompts, ours first."""
        state = self.session.current
        if state is None:
            return []
        ours = layers.find_prompt_layer(self.viewer.layers, state.image)
        own = [p for p in self.viewer.layers if layers.can_prompt(p, state.image)]
        return own if ours is None else [ours, *own]

    def choose_prompts(self, points: Points) -> None:
        """Take the prompts from another Points layer."""
        state = self.session.current
        if state is not None and points is not state.prompts:
            self.prompts.flush()
            self.prompts.choose(state, points)

    def stop(self) -> None:
        """Drop all work under way."""
        self.features.forget()
        self.scoring.stop()
        self.stacks.cancel()
        self.desk.studying.stop()
        self._following.stop()

    def choose_class(self, name: str) -> None:
        """Make the next prompts of a class, and the selected ones too."""
        self.session.selected_class = name
        self.prompts.use_class()
        self.scoring.show_similarity()
        self.changed.emit()

    def add_class(self, name: str) -> None:
        """Add a class by name and choose it."""
        name = self.session.add_class(name)
        if name:
            self.prompts.show_colours()
            self.choose_class(name)

    def add_prompts(self) -> None:
        """Let the user click prompts: the layer is there, active, in add mode."""
        state = self.session.current
        if state is not None:
            gone = state.prompts is None
            self.prompts.ensure(state)
            self.prompts.activate(state)
            if gone:
                self.features.take_prompts()
            self.changed.emit()

    def place_prompts(
        self, points: NDArray[np.float64], classes: Sequence[str]
    ) -> None:
        """Replace the prompts by (N, 2) pixels of the plane in view; can be undone."""
        for name in classes:
            self.session.add_class(name)
        self.prompts.show_colours()
        self.prompts.place(points, classes)

    def choose_cleaning(self, cleaning: Cleaning) -> None:
        """Clean the masks in another way."""
        self.session.cleaning = cleaning
        for state in self.session:
            if state is not self.session.current:
                state.invalidate()
        self.scoring.cut_anew()
        self.stacks.clean_anew()
        self.changed.emit()

    def restore(self) -> None:
        """Bring back the prompts that are offered, and the settings they had."""
        state, offer = self.session.current, self.recovery.offer
        if state is None or offer is None:
            return
        record = offer.record
        # Thresholds first, then features: with other ones nothing is to be computed.
        request = restore_settings(record, state, self.session)
        self.features.choose(request)
        self.prompts.restore(state, record)
        layers.remember_thresholds(state.prompts, state.backbone, state.thresholds)
        if record.settings.own_weights and request.backbone.checkpoint is None:
            self.session.message = _WEIGHTS_WANTED
        self.recovery.note_restored(offer, state)
        self.choose_cleaning(record.settings.cleaning)
