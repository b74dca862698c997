"""What a part of the study was asked about, and whether that still holds."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from napari_dinoprompt import layers
from napari_dinoprompt._qt.studying.steps import StudyMeans
from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.session import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari.layers import Labels
    from numpy.typing import NDArray

    from napari_dinoprompt._qt.steps import BackboneShelf
    from napari_dinoprompt._qt.studying.truth import Truth
    from napari_dinoprompt.core.prepared import PreparedPlanes
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.session import (
        FeatureRequest,
        ImageState,
        PromptSnapshot,
        Session,
    )

__all__ = ["StudyKey", "StudyResult", "key_of", "means_of", "obstacle", "row_of"]

_LARGE = (
    "This image is too large to be studied as a whole. Open a part of it as a layer of "
    "its own and study that."
)


@dataclass(frozen=True, eq=False)
class StudyKey:
    """What a result is about.

    Attributes
    ----------
    state : ImageState
    planes : weak reference to PreparedPlanes
        Features take much memory: a result must not keep them.
    view : plane index
    request : FeatureRequest
    snapshot : PromptSnapshot or None
    reference : Reference
    thresholds : mapping of str to float
        That the user set.
    truth : napari.layers.Labels or None
    truth_edits : int
        How often a truth had other pixels.
    class_name : str
    """

    state: ImageState
    planes: ref[PreparedPlanes]
    view: PlaneIndex
    request: FeatureRequest
    snapshot: PromptSnapshot | None
    reference: Reference
    thresholds: Mapping[str, float]
    truth: Labels | None
    truth_edits: int
    class_name: str

    def holds(self, session: Session, truth: Truth, class_name: str) -> bool:
        """Tell whether all but the thresholds is still the same."""
        state = session.current
        if truth.layer is not self.truth or class_name != self.class_name:
            return False
        if self.truth is not None and truth.edits != self.truth_edits:
            return False
        if (
            state is not self.state
            or state.planes is not self.planes()
            or state.view != self.view
            or session.request != self.request
        ):
            return False
        reference = session.reference()
        if reference is None:
            # What the prompts find is under way.
            return state.snapshot is self.snapshot and state.result is not None
        mine = self.reference
        return (
            reference.classes == mine.classes
            and reference.planes == mine.planes
            and np.array_equal(reference.points, mine.points)
        )


@dataclass(frozen=True, eq=False)
class StudyResult:
    """What a part of the study found.

    Attributes
    ----------
    part : str
    key : StudyKey
        What it is about.
    found : Convergence, Influence, Suggestions, Resolution or ThresholdCurve
    light : (H, W) ndarray of float32
        Of the plane, for figures.
    """

    part: str
    key: StudyKey
    found: Any
    light: NDArray[np.float32]


def key_of(
    session: Session,
    state: ImageState,
    reference: Reference,
    truth: Truth,
    class_name: str,
) -> StudyKey:
    """Note what there is now."""
    return StudyKey(
        state=state,
        planes=ref(state.planes),
        view=state.view,
        request=session.request,
        snapshot=state.snapshot,
        reference=reference,
        thresholds=dict(state.thresholds),
        truth=truth.layer,
        truth_edits=truth.edits,
        class_name=class_name,
    )


def means_of(
    key: StudyKey,
    shelf: BackboneShelf,
    read_truth: Callable[[], NDArray[np.generic]] | None,
) -> StudyMeans:
    """Put together what the thread needs."""
    state = key.state
    return StudyMeans(
        planes=state.planes,
        view=key.view,
        reference=key.reference,
        class_name=key.class_name or None,
        read_plane=partial(layers.read_plane, state.image, key.view),
        read_truth=read_truth,
        shelf=shelf,
        backbone=key.request.backbone,
        upscale=key.request.upscale,
    )


def obstacle(session: Session, part: str, class_name: str) -> str:
    """Say what is in the way of a part of the study; empty if nothing.

    Parameters
    ----------
    session : Session
    part : str
    class_name : str
        That is studied.
    """
    state = session.current
    if state is None:
        return "Open an image and place prompts on it first."
    held = state.view in state.planes
    large = state.result is not None and state.result.large
    if large or (held and state.planes[state.view].large):
        return _LARGE
    if session.phase is Phase.FAILED:
        return session.message
    if session.phase is Phase.STOPPED:
        return "Computing was stopped. Press Compute features in the tab Segment."
    counts = state.counts()
    objects = sum(count for name, count in counts.items() if name != BACKGROUND)
    if objects == 0:
        return "Place prompts on a few objects first, in the tab Segment."
    reference = session.reference()
    if reference is None:
        if state.outdated or session.phase is not Phase.READY:
            return "The result of these prompts is still being computed."
        return session.message or "There is no result to study yet."
    if state.result is not None and state.result.nothing:
        return "This image is blank or nothing but noise: there is nothing to study."
    if part in ("convergence", "influence"):
        count = sum(name == class_name for name in reference.classes)
        if count < 2:
            return "One prompt cannot be compared with others: place at least two."
    return ""


def row_of(state: ImageState, reference: Reference, index: int) -> int | None:
    """Find a prompt of a reference in the layer of the prompts.

    Prompts outside the image are in the layer, but in no reference.
    """
    if state.prompts is None:
        return None
    pixels = layers.pixel_points(state.prompts, state.image)
    wanted = (*reference.planes[index], *reference.points[index])
    # A plane is the nearest one, so a point may lie between two.
    first = len(wanted) - 2
    apart = np.abs(pixels - wanted)
    between = apart[:, :first].max(axis=1, initial=0) <= 0.5
    exact = apart[:, first:].max(axis=1, initial=0) < 1e-6
    classes = np.array(layers.prompt_classes(state.prompts), dtype=object)
    found = np.flatnonzero(between & exact & (classes == reference.classes[index]))
    return int(found[0]) if len(found) else None
