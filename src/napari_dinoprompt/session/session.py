"""What is open now: images with their prompts and results, and the user's choices.

Plain state without Qt or computation. Panels show it, the controller changes it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from napari_dinoprompt.core.backbones.load import FILTERBANK, BackboneChoice
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.prompts import BACKGROUND, OBJECT

from .image_state import FeatureRequest, ImageState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari.layers import Image

    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation.similarities import MapKind


# Okabe & Ito's palette: told apart by colour-blind people too.
_COLOURS = ("#009E73", "#D55E00", "#56B4E9", "#E69F00", "#CC79A7", "#F0E442", "#0072B2")


_ADVICE = {
    "": "",
    "cores": "Only the cores of what you clicked are in the mask.",
    "more": "Much more than what you clicked is in the mask.",
}


class Phase(Enum):
    """Where the features of an image stand."""

    WAITING = "waiting"
    PREPARING = "preparing"
    READY = "ready"
    STOPPED = "stopped"
    FAILED = "failed"


@dataclass(eq=False)
class Session:
    """The state of one viewer.

    Attributes
    ----------
    request : FeatureRequest
        Backbone and upscale in use.
    asked : BackboneChoice or None
        What the user chose and cannot have yet, as its weights are missing.
    auto_upscale : bool
        Whether the clicked objects decide the upscale, for networks.
    points_only : bool
        Whether prompts stand for their points alone, not for objects.
    classes : list of str
        *object* and *background* first, then by name.
    selected_class : str
        Class of the next prompt; its map is on show.
    map_kind : {"fitted", "plain"}
        Of the similarity map that is on show.
    prompting : bool
        Whether clicks on the current image place prompts.
    offered : napari.layers.Image or None
        An image that was opened while another one was the current one.
    phase : Phase
        Of the current image's features.
    message : str
        What went wrong last, or what the user should know; empty if nothing.
    view : str
        What the viewer shows that is not what is computed; empty if it is.
    said : str
        What was said last of references: kept, applied, or used in a batch.
    current : ImageState or None
    """

    request: FeatureRequest = field(
        default_factory=lambda: FeatureRequest(BackboneChoice(FILTERBANK), 1.0)
    )
    asked: BackboneChoice | None = None
    auto_upscale: bool = True
    points_only: bool = False
    classes: list[str] = field(default_factory=lambda: [OBJECT, BACKGROUND])
    selected_class: str = OBJECT
    map_kind: MapKind = "fitted"
    prompting: bool = True
    offered: Image | None = None
    phase: Phase = Phase.WAITING
    message: str = ""
    view: str = ""
    said: str = ""
    current: ImageState | None = None
    _cleaning: Cleaning = field(default_factory=Cleaning)
    _states: list[ImageState] = field(default_factory=list)

    def __iter__(self) -> Iterator[ImageState]:
        return iter(self._states)

    @property
    def cleaning(self) -> Cleaning:
        """The cleaning of the current image, with which the next one begins."""
        return self._cleaning if self.current is None else self.current.cleaning

    def choose_cleaning(self, cleaning: Cleaning) -> None:
        """Clean the current image's masks in another way."""
        self._cleaning = cleaning
        if self.current is not None:
            self.current.cleaning = cleaning

    def open(self, image: Image) -> ImageState:
        """Return the state of an image, the one it had before if there is one."""
        for state in self._states:
            if state.image is image:
                return state
        state = ImageState(image, cleaning=self.cleaning)
        self._states.append(state)
        return state

    def turn_to(self, state: ImageState) -> None:
        """Make an image the current one; on auto each has an upscale of its own."""
        self.current = state
        self.offered = None
        if self.auto_upscale:
            held, backbone = state.request, self.request.backbone
            known = held is not None and held.backbone == backbone
            self.request = FeatureRequest(
                backbone, held.upscale if held is not None and known else 1.0
            )

    def forget(self, state: ImageState) -> None:
        """Drop an image that is no longer there."""
        self._states.remove(state)
        if self.current is state:
            self.current = None

    def add_class(self, name: str) -> str:
        """Add a class by name, or find it, and return its name as it is stored."""
        name = " ".join(name.split())
        if name and name not in self.classes:
            self.classes.append(name)
        return name

    def colours(self) -> dict[str, str]:
        """Return the colour of each class."""
        return {
            name: _COLOURS[index % len(_COLOURS)]
            for index, name in enumerate(self.classes)
        }

    def shown_class(self) -> str | None:
        """Return the class whose map is on show, if there is a result.

        The selected class, or the first with prompts where it has none. Background has
        no map of its own: its prompts take their share from the others.
        """
        if self.current is None or self.current.result is None:
            return None
        names = self.current.result.names
        return self.selected_class if self.selected_class in names else names[0]

    def threshold_class(self) -> str:
        """Return the class whose threshold the slider sets: an object class."""
        if self.selected_class != BACKGROUND:
            return self.selected_class
        if self.current is not None and self.current.result is not None:
            return self.current.result.names[0]
        return OBJECT

    def threshold_in_force(self) -> tuple[float | None, bool]:
        """Return the threshold on the slider, and whether it is auto."""
        state, name = self.current, self.threshold_class()
        if state is None:
            return None, True
        whole = state.given_objects is not None
        chosen = state.object_thresholds if whole else state.thresholds
        found = state.selection if whole else state.result
        value = chosen.get(name)
        if value is None and found is not None:
            value = found.thresholds.get(name)
        return value, name not in chosen

    def reference(self) -> Reference | None:
        """Return the reference of the prompts as they are now, if there is one.

        It carries the thresholds that the user set.
        """
        state = self.current
        if state is None or state.result is None or state.outdated:
            return None
        if self.phase is not Phase.READY:
            # Prompts may have been placed on planes that are being computed.
            return None
        reference = state.result.reference
        names = reference.object_classes
        chosen = {n: value for n, value in state.thresholds.items() if n in names}
        return reference.with_thresholds(chosen)

    def advice(self) -> str:
        """Say what is wrong with the mask, going by the clicked objects; or nothing.

        One press mends it: `LiveResult.fitted_threshold`.
        """
        state, name = self.current, self.threshold_class()
        if state is None or state.result is None or state.outdated:
            return ""
        if state.given_objects is not None:
            return ""
        return _ADVICE[state.result.judge(name)]

    def hint(self) -> str:
        """Say in one line what to do next."""
        if self.current is None:
            return "Open an image (File > Open, or File > Open Sample) to begin."
        prompts = sum(self.current.counts().values())
        if self.phase is Phase.FAILED:
            return self.message
        if self.phase is Phase.STOPPED:
            return "Stopped. Press Compute features to go on."
        if self.current.prompts is None:
            return "The prompts layer is gone. Press Add prompts for a new one."
        if self.view:
            return f"{self.view} {self.message}".strip()
        if not (self.prompting or self.message):
            if self.offered is not None:
                name, other = self.current.image.name, self.offered.name
                return f"Prompts go to {name}. Press Switch for them to go to {other}."
            return "Clicks place no prompts now: press Add prompts (Q)."
        if self.phase in (Phase.PREPARING, Phase.WAITING):
            if prompts == 0:
                return (
                    f"Computing features with {self.request.backbone.name}. You can "
                    "click on objects of interest already."
                )
            return f"Computing features; your {_count(prompts)} will count when ready."
        if self.message:
            return self.message
        if prompts == 0:
            return "Click on a few objects of interest in the image."
        if self.current.result is not None and self.current.result.nothing:
            return "This image is blank or nothing but noise: there is nothing to find."
        if not any(name != BACKGROUND for name in self.current.counts()):
            return "All prompts are background: choose object and click on one."
        if prompts == 1:
            return "Add two or three more prompts: the threshold then adapts to them."
        return (
            "Refine: add prompts where the mask misses, background prompts where it "
            "is wrong, or move the threshold."
        )


def _count(prompts: int) -> str:
    return "1 prompt" if prompts == 1 else f"{prompts} prompts"
