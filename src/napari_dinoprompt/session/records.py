"""What is kept of a session for after a crash, and brought back. No Qt.

Prompts are kept in pixels of their image, wherever their layer lies, so a layer of the
user's own is kept like ours.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt import layers
from napari_dinoprompt.core.autosave.labels import DTYPES, MOST_PIXELS, KeptLabels
from napari_dinoprompt.core.autosave.records import (
    Coordinates,
    ImageRecord,
    KeptSettings,
)

from .image_state import FeatureRequest, ImageState

if TYPE_CHECKING:
    from napari.layers import Labels, Points
    from numpy.typing import NDArray

    from napari_dinoprompt.core.autosave.keeper import Keeper

    from .session import Session


_LONGEST_NAME = 200
# Of more, looking once a second would be felt; nobody has clicked them.
_MOST_PROMPTS = 20_000
# What the dock offers; of a file somebody may have written anything else.
_DEVICES = ("auto", "cuda", "mps", "cpu")
_PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def describe_session(session: Session, keeper: Keeper) -> None:
    """Keep the prompts of all images as they are now.

    Prompts that were removed are dropped; those whose image or layer is gone stay as
    they were. Of more than 20,000 prompts none are kept, and of those that came with a
    sample only what was changed.
    """
    for state in session:
        key = record_key(state)
        points = state.prompts
        if key is None or (points is not None and len(points.data) > _MOST_PROMPTS):
            continue
        record = _describe(state, points, session, keeper.known(key), key)
        given = () if state.given is None else state.given
        came = points is not None and np.array_equal(points.data, given)
        if record.labels is not None or (record.classes and not came):
            held = state.corrected
            keeper.note(record, None if held is None else held.data)
        else:
            keeper.drop(key)


def record_key(state: ImageState) -> str | None:
    """Name image and layer; None if it is not known yet which image it is."""
    held = state.corrected if state.prompts is None else state.prompts
    if not state.fingerprint or held is None or held.ndim != state.image.ndim:
        return None
    return f"{state.image.unique_id}/{held.unique_id}"


def keep_last(session: Session, keeper: Keeper) -> None:
    """Keep the prompts as they are at the end, when the dock is closed."""
    describe_session(session, keeper)
    keeper.close()


def keys_in_use(session: Session) -> set[str]:
    """Return the keys of all prompts that are in the viewer."""
    return {key for state in session if (key := record_key(state)) is not None}


def _describe(
    state: ImageState,
    points: Points | None,
    session: Session,
    known: ImageRecord | None,
    key: str,
) -> ImageRecord:
    # The layer, and not the snapshot: that comes a turn of the event loop later.
    placed = pixels = np.empty((0, state.image.ndim))
    names: tuple[str, ...] = ()
    if points is not None:
        placed = np.asarray(points.data, dtype=np.float64)
        pixels = layers.pixel_points(points, state.image)
        names = layers.prompt_classes(points)
    held = np.array(np.isfinite(pixels).all(axis=1), dtype=bool)
    here = state is session.current or known is None
    own = state.backbone in ("", session.request.backbone.layer) or not here
    return ImageRecord(
        key=key,
        fingerprint=state.fingerprint,
        image=state.image.name[:_LONGEST_NAME],
        points=_coordinates(pixels[held]),
        placed=() if np.array_equal(pixels, placed) else _coordinates(placed[held]),
        classes=tuple(name for name, keep in zip(names, held, strict=True) if keep),
        # Those of another backbone go as soon as the features are there.
        thresholds=dict(state.thresholds) if own else {},
        settings=_settings(session, state) if here or known is None else known.settings,
        labels=_describe_labels(state.corrected, known),
    )


def _describe_labels(
    layer: Labels | None, known: ImageRecord | None
) -> KeptLabels | None:
    """Say what is kept of corrected labels; those whose layer is gone stay."""
    if layer is None:
        return None if known is None else known.labels
    if layer.data.size > MOST_PIXELS or str(layer.dtype) not in DTYPES:
        return None
    noted = layers.correction_of(layer)
    name = f"{layer.unique_id}-{noted['edits']:x}"
    shape = tuple(int(n) for n in layer.data.shape)
    return KeptLabels(name, shape, str(layer.dtype), tuple(noted["classes"] or ()))


def restore_settings(
    record: ImageRecord, state: ImageState, session: Session
) -> FeatureRequest:
    """Bring back classes and thresholds of a record; return the features it is about.

    A file of weights is asked for only if it is chosen now.
    """
    kept, now = record.settings, session.request.backbone
    for name in (*kept.classes, *record.classes):
        session.add_class(name)
    if kept.selected_class in session.classes:
        session.selected_class = kept.selected_class
    state.thresholds = dict(record.thresholds)
    same = kept.own_weights and kept.backbone == now.name
    backbone = replace(
        now,
        name=kept.backbone,
        checkpoint=now.checkpoint if same else None,
        device=kept.device if kept.device in _DEVICES else now.device,
        precision=kept.precision if kept.precision in _PRECISIONS else now.precision,
        block=kept.block,
    )
    state.backbone = backbone.layer
    return FeatureRequest(backbone, kept.upscale)


def _settings(session: Session, state: ImageState) -> KeptSettings:
    choice = session.request.backbone
    return KeptSettings(
        backbone=choice.name,
        block=choice.block,
        own_weights=choice.checkpoint is not None,
        device=choice.device,
        precision=choice.precision,
        upscale=float(session.request.upscale),
        classes=tuple(session.classes),
        selected_class=session.selected_class,
        points_only=session.points_only,
        cleaning=state.cleaning,
    )


def _coordinates(points: NDArray[np.float64]) -> Coordinates:
    return tuple(map(tuple, points.tolist()))
