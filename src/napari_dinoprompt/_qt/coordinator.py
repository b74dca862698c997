"""The one that talks to the viewer: turns requests of the panels into work.

It reads layers, starts jobs and shows their results; what is computed, `core`
computes, in threads. What the viewer does is `Following`'s matter, and what has to be
computed `Preparing`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from qtpy.QtCore import QObject, Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt.desk import Desk
from napari_dinoprompt._qt.feature_work import FeatureWork
from napari_dinoprompt._qt.following import Following
from napari_dinoprompt._qt.placed_prompts import owns_prompts
from napari_dinoprompt._qt.preferences import read_preferences
from napari_dinoprompt._qt.preparing import Preparing
from napari_dinoprompt._qt.prompt_layer import PromptLayer
from napari_dinoprompt._qt.recovery.restoring import restore
from napari_dinoprompt._qt.recovery.work import RecoveryWork
from napari_dinoprompt._qt.result_layers import ResultLayers
from napari_dinoprompt._qt.scoring import Scoring
from napari_dinoprompt._qt.stack_work import StackWork
from napari_dinoprompt.session import FeatureRequest, Session

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from napari.components import ViewerModel
    from napari.layers import Image, Points
    from numpy.typing import NDArray

    from napari_dinoprompt.core.estimate import Estimate
    from napari_dinoprompt.core.masks import Cleaning

__all__ = ["Coordinator"]


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
        self.recovery = RecoveryWork(session, self)
        self._features = features = FeatureWork(self)
        self._prompts = prompts = PromptLayer(viewer, self)
        self._results = results = ResultLayers(viewer)
        self._scoring = scoring = Scoring(session, prompts, results, self)
        self._preparing = preparing = Preparing(
            session, features, prompts, scoring, self
        )
        self.stacks = StackWork(viewer, session, features.shelf, results, self)
        self.desk = Desk(viewer, session, features.shelf, self)
        self._following = Following(
            viewer,
            session,
            prompts,
            results,
            preparing,
            self.recovery,
            self.desk.studying,
            self,
        )
        self._connect()

    def _connect(self) -> None:
        for part in (
            *(self.recovery, self._features, self._preparing, self._scoring),
            *(self.stacks, self._following),
        ):
            part.changed.connect(self.changed)
        self._features.progressed.connect(self.progressed)
        self._scoring.progressed.connect(self.progressed)
        self._scoring.changed.connect(self.stacks.note_result)
        self._following.images_changed.connect(self.images_changed)
        self._following.image_lost.connect(self.choose_image)
        self._following.image_replaced.connect(self.stop)
        self._following.prompts_opened.connect(self.add_prompts)
        self.desk.studying.prompt_wanted.connect(self._prompts.append)
        self.desk.studying.removal_wanted.connect(self._prompts.remove)
        self.changed.connect(self.stacks.drop_stale)
        self.changed.connect(self.desk.studying.review)
        self.changed.connect(self.recovery.autosave.note)

    @property
    def working(self) -> bool:
        """Whether anything is being computed or about to be."""
        return (
            self._features.running
            or self._scoring.running
            or self.stacks.running
            or self._following.pending
            or self._prompts.pending
            or self.recovery.running
            or self.desk.working
        )

    @property
    def estimate(self) -> Estimate | None:
        """Size of the features under way or computed last, once it is known."""
        return self._features.estimate

    @property
    def seconds_left(self) -> float | None:
        """How long the features under way will take, once that is known."""
        return self._features.seconds_left

    @property
    def filling(self) -> bool:
        """Whether the result of a large image is filling in."""
        return self._scoring.filling

    def images(self) -> list[Image]:
        """Return the layers that can be segmented, as the viewer lists them."""
        return [layer for layer in self.viewer.layers if layers.can_segment(layer)]

    # --- requests of the panels

    def choose_image(self, image: Image | None = None) -> None:
        """Turn to an image, or to none; what it had before comes back."""
        current = self.session.current
        if current is not None and current.image is image:
            return
        self._prompts.flush()
        self.recovery.autosave.look()
        self.stop()
        self.session.message = ""
        if image is None:
            self.session.current = None
            self._prompts.watch(None)
            self.changed.emit()
            return
        state = self.session.open(image)
        self.session.current = state
        self._results.adopt(state)
        self._following.watch(image)
        self._prompts.ensure(state, self.session)
        self.recovery.turn_to(state)
        self.compute()

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
            self._prompts.flush()
            self._prompts.choose(state, self.session, points)

    @property
    def owns_prompts(self) -> bool:
        """Whether the prompts of the image are in a layer made here."""
        state = self.session.current
        return state is not None and owns_prompts(state)

    def choose_features(self, request: FeatureRequest) -> None:
        """Use another backbone, device or upscale."""
        self._preparing.choose(request)

    def compute(self) -> None:
        """Get the features that are needed, unless they are here, and score."""
        self._preparing.compute()

    def cancel(self) -> None:
        """Stop computing; the image can go on from here later."""
        self._preparing.cancel()

    def stop(self) -> None:
        """Drop all work under way."""
        self._features.forget()
        self._scoring.stop()
        self.stacks.cancel()
        self.desk.studying.stop()
        self._following.stop()

    def choose_class(self, name: str) -> None:
        """Make the next prompts of a class, and the selected ones too."""
        self.session.selected_class = name
        self._prompts.use_class(self.session)
        self._scoring.show_similarity()
        self.changed.emit()

    def add_class(self, name: str) -> None:
        """Add a class by name and choose it."""
        name = self.session.add_class(name)
        if name:
            self._prompts.show_colours(self.session)
            self.choose_class(name)

    def add_prompts(self) -> None:
        """Let the user click prompts: the layer is there, active, in add mode."""
        state = self.session.current
        if state is not None:
            gone = state.prompts is None
            self._prompts.ensure(state, self.session)
            self._prompts.activate(state)
            if gone:
                self._preparing.take_prompts()
            self.changed.emit()

    def place_prompts(
        self, points: NDArray[np.float64], classes: Sequence[str]
    ) -> None:
        """Replace the prompts of the current image; can be undone.

        Parameters
        ----------
        points : (N, 2) ndarray of float64
            y and x in pixels of the image.
        classes : sequence of N str
        """
        for name in classes:
            self.session.add_class(name)
        self._prompts.show_colours(self.session)
        self._prompts.place(points, classes)

    def undo(self) -> None:
        """Take back the last change of the prompts."""
        self._prompts.undo()

    def clear(self) -> None:
        """Remove all prompts of the image."""
        self._prompts.clear()

    def choose_threshold(self, value: float | None) -> None:
        """Set the threshold of the class on the slider; None is auto."""
        self._scoring.choose_threshold(value)

    def choose_cleaning(self, cleaning: Cleaning) -> None:
        """Clean the masks in another way."""
        self.session.cleaning = cleaning
        for state in self.session:
            if state is not self.session.current:
                state.revision += 1
        self._scoring.cut_anew()
        self.stacks.clean_anew()
        self.changed.emit()

    def restore(self) -> None:
        """Bring back the prompts that are offered, and the settings they had."""
        state, offer = self.session.current, self.recovery.offer
        if state is None or offer is None:
            return
        record = offer.record
        restore(record, state, self.session, self._prompts, self._preparing)
        self.recovery.note_restored(offer, state)
        self.choose_cleaning(record.settings.cleaning)
