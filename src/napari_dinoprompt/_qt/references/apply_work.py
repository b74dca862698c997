"""Applying a reference to other image layers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import Signal

from napari_dinoprompt import layers
from napari_dinoprompt._qt import work_steps
from napari_dinoprompt._qt.image_events import ImageEvents
from napari_dinoprompt._qt.job_work import JobWork
from napari_dinoprompt._qt.references.applied_layers import AppliedLayers
from napari_dinoprompt._qt.work_steps import Applied, Means, Target
from napari_dinoprompt.core.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari.components import ViewerModel
    from napari.layers import Image
    from qtpy.QtCore import QObject

    from napari_dinoprompt._qt.job_work import BackboneShelf
    from napari_dinoprompt._qt.window_box import WindowChoice
    from napari_dinoprompt.core.references.library import Entry
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.session import Session

__all__ = ["ApplyWork", "means_of"]


def means_of(
    session: Session,
    shelf: BackboneShelf,
    choice: Entry | Reference,
    window: WindowChoice,
    viewer: ViewerModel,
) -> Means:
    """Put together with what a reference is applied, as the user has chosen it."""
    like = window.like
    return Means(
        choice=choice,
        shelf=shelf,
        backbone=session.request.backbone,
        window=window.policy,
        read_like=None if like is None else layers.reader_of(viewer, like),
        cleaning=session.cleaning,
    )


class ApplyWork(JobWork):
    """Applies one reference at a time to image layers; the latest request wins."""

    said = Signal(str)
    """What was found, or what went wrong."""

    def __init__(
        self,
        viewer: ViewerModel,
        session: Session,
        shelf: BackboneShelf,
        parent: QObject,
    ) -> None:
        super().__init__(viewer, session, shelf, parent, "Applying the reference")
        self._layers = AppliedLayers(viewer)
        self._images: list[Image] = []
        self._found: dict[int, int] = {}
        self._warnings: dict[str, None] = {}
        self._events = ImageEvents(self)
        self._events.moved.connect(self._layers.follow)
        self._events.replaced.connect(self._on_replaced)
        viewer.layers.events.removed.connect(self._on_removed)

    def apply(
        self,
        choice: Entry | Reference,
        images: Sequence[Image],
        window: WindowChoice,
        *,
        all_planes: bool,
    ) -> None:
        """Apply a reference to images; what an earlier one found there is replaced.

        Of stacks, all planes are done or only the one in view.
        """
        self._images = list(images)
        self._found = {}
        self._warnings = {}
        means = means_of(self._session, self._shelf, choice, window, self._viewer)
        targets = [self._target(image, all_planes) for image in images]
        self._begin(work_steps.apply(means, targets))
        self.said.emit("")
        self.changed.emit()

    def _target(self, image: Image, all_planes: bool) -> Target:
        view = layers.plane_in_view(self._viewer, image)
        planes = [view]
        if all_planes and view:
            # The one in view first: it is what the user looks at.
            every = np.ndindex(layers.stack_shape(image))
            planes += [plane for plane in every if plane != view]
        opener = partial(layers.open_plane, image)
        return Target(opener, planes, layers.pixel_size(image))

    def cancel(self) -> None:
        """Stop; what was found so far stays."""
        if self._job.running:
            self._end("Stopped. What was found so far is on show.")

    def _on_yielded(self, said: Progress | Applied) -> None:
        if isinstance(said, Progress):
            super()._on_yielded(said)
            return
        image = self._images[said.target]
        if said.target not in self._found:
            self._found[said.target] = 0
            self._layers.begin(image)
        for name in said.reference.class_names:
            self._session.add_class(name)
        colours = self._session.colours()
        self._layers.show(
            image,
            said,
            [colours[name] for name in said.reference.object_classes],
            self._session.cleaning.split,
        )
        self._events.watch(image)
        self._found[said.target] += said.objects
        self._warnings.update(dict.fromkeys(said.warnings))
        self._layers.link(self._images)

    def _on_returned(self, _done: int) -> None:
        current = self._session.current
        sources = [] if current is None else [current.image]
        self._layers.link([*sources, *self._images])
        counts = [
            f"{image.name}: {_objects(self._found.get(number, 0))}"
            for number, image in enumerate(self._images)
        ]
        self._end(" ".join((f"{', '.join(counts)}.", *self._warnings)))

    def _on_failed(self, message: str) -> None:
        self._end(message)

    def _end(self, message: str) -> None:
        self._job.cancel()
        self._images = []
        self.said.emit(message)
        self.changed.emit()

    def _on_removed(self, event: object) -> None:
        gone = event.value  # type: ignore[attr-defined]
        if any(gone is image for image in self._images):
            self._end(f"{gone.name} was deleted, so applying was stopped.")

    def _on_replaced(self, image: Image) -> None:
        self._layers.forget(image)
        if any(image is one for one in self._images):
            self._end(f"{image.name} has other pixels now: apply again.")


def _objects(count: int) -> str:
    return "1 object" if count == 1 else f"{count} objects"
