"""Applying a reference to other images that are open."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_dinoprompt import layers
from napari_dinoprompt._qt.common.events import ImageEvents
from napari_dinoprompt._qt.common.jobs import TabJob, Workplace
from napari_dinoprompt._qt.common.layer_boxes import (
    LayerChecklist,
    WindowBox,
    WindowChoice,
)
from napari_dinoprompt._qt.common.widgets import (
    MessageLabel,
    button,
    explain,
    in_column,
    label_of,
)
from napari_dinoprompt._qt.references import steps
from napari_dinoprompt._qt.segment.result_layers import empty_layer, layer_for
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.layers.results import put_plane

from .steps import Applied, Means, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari.components import ViewerModel
    from napari.layers import Image, Layer
    from qtpy.QtCore import QObject

    from napari_dinoprompt.core.references.library import Entry
    from napari_dinoprompt.core.references.reference import Reference


_KINDS = ("similarity", "mask", "instances")


class ApplyPanel(QWidget):
    """A list of images with ticks, the window policy, and Apply."""

    # The reference is to be applied to the ticked images.
    apply_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._name = ""
        self._title = MessageLabel("what is applied")
        self._images = explain(
            LayerChecklist(),
            "Tick the images on which the reference is used, with its own statistics "
            "and thresholds; no prompts are copied.",
            "images to apply to",
        )
        self._window = WindowBox()
        self._all_planes = explain(
            QCheckBox("All planes of stac&ks"),
            "Apply to all planes, not only to the one in view.",
        )
        self._apply = button(
            "&Apply",
            "Show similarity, mask and instances on each ticked image. Cleaning is as "
            "set under Segment.",
        )
        self._apply.clicked.connect(self.apply_requested)
        in_column(
            self,
            self._title,
            self._images,
            label_of("Intensit&y window", self._window),
            self._window,
            self._all_planes,
            self._apply,
        )
        self._images.ticked.connect(self._enable)
        self.show_reference("")

    @property
    def images(self) -> list[Image]:
        """The ticked images."""
        return self._images.layers

    @property
    def window_choice(self) -> WindowChoice:
        """The window policy."""
        return self._window.choice

    @property
    def all_planes(self) -> bool:
        """Whether all planes of stacks are wanted."""
        return self._all_planes.isChecked() and not self._all_planes.isHidden()

    def show_reference(self, name: str) -> None:
        """Say what will be applied; an empty name is nothing."""
        self._name = name
        self._title.setText(
            f"Apply {name} to" if name else "Choose a reference above to apply it to"
        )
        self._enable()

    def show_images(self, images: Sequence[Image]) -> None:
        """Offer images."""
        self._images.show_layers(images)
        self._window.show_images(images)
        self._all_planes.setVisible(any(layers.stack_shape(one) for one in images))

    def _enable(self) -> None:
        self._apply.setEnabled(bool(self._name) and bool(self.images))


def means_of(
    place: Workplace, choice: Entry | Reference, window: WindowChoice
) -> Means:
    """Put together with what a reference is applied, as the user has chosen it."""
    like = window.like
    return Means(
        choice=choice,
        shelf=place.shelf,
        backbone=place.session.request.backbone,
        window=window.policy,
        read_like=None if like is None else layers.reader_of(place.viewer, like),
        cleaning=place.session.cleaning,
    )


class ApplyJob(TabJob):
    """Applies one reference at a time to image layers; the latest request wins."""

    # What was found, or what went wrong.
    said = Signal(str)

    def __init__(self, place: Workplace, parent: QObject) -> None:
        super().__init__(place, parent, "Applying the reference")
        self._layers = AppliedLayers(place.viewer)
        self._images: list[Image] = []
        self._split = False
        self._found: dict[int, int] = {}
        self._warnings: dict[str, None] = {}
        self._events = ImageEvents(self)
        self._events.moved.connect(self._layers.follow)
        self._events.replaced.connect(self._on_replaced)
        place.viewer.layers.events.removed.connect(self._on_removed)

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
        # Of the image in use now; the user may turn to another one meanwhile.
        self._split = self._session.cleaning.split
        means = means_of(self._place, choice, window)
        targets = [self._target(image, all_planes) for image in images]
        self._begin(steps.apply(means, targets))
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
            {name: colours[name] for name in said.reference.object_classes},
            self._split,
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


class AppliedLayers:
    """Makes the layers once for each image, then updates them in place.

    They are known by a mark, never by their names, and are not those of the image's
    own prompts.
    """

    def __init__(self, viewer: ViewerModel) -> None:
        self._viewer = viewer

    def show(
        self, image: Image, applied: Applied, colours: Mapping[str, str], split: bool
    ) -> None:
        """Show one plane; of new layers the instances (split), or else the mask."""
        for kind, levels in applied.levels.items():
            held, role = self._find(image, kind), f"applied {kind}"
            scoring = applied.reference.scoring if kind == "similarity" else None
            stack, below = self._viewer.layers, [image, *self._all_of(image)]
            layer = layer_for(stack, held, image, role, levels, scoring, below)
            if layer is not held and kind != "similarity":
                layer.visible = (kind == "instances") == split
            if kind == "mask":
                layers.colour_mask(layer, colours)
            put_plane(layer, applied.plane, *levels)

    def begin(self, image: Image) -> None:
        """Take away what an earlier reference found on an image."""
        for layer in self._all_of(image):
            empty_layer(layer, image)

    def forget(self, image: Image) -> None:
        """Remove the layers of an image whose pixels are other ones now."""
        for layer in self._all_of(image):
            self._viewer.layers.remove(layer)

    def follow(self, image: Image) -> None:
        """Put the layers where their image was moved to."""
        layers.lay_over(image, self._all_of(image))

    def link(self, images: Sequence[Image]) -> None:
        """Give all similarity maps the same contrast limits, now and later."""
        maps = [
            layer
            for image in images
            for role in ("similarity", "applied similarity")
            if (layer := layers.find_owned(self._viewer.layers, image, role))
        ]
        if len(maps) > 1:
            self._viewer.layers.link_layers(maps, ("contrast_limits",))

    def _all_of(self, image: Image) -> list[Any]:
        found = (self._find(image, kind) for kind in _KINDS)
        return [layer for layer in found if layer is not None]

    def _find(self, image: Image, kind: str) -> Layer | None:
        return layers.find_owned(self._viewer.layers, image, f"applied {kind}")
