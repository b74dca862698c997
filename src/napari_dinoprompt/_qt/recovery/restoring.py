"""Bringing prompts back, with the settings that they had."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from napari_dinoprompt import layers
from napari_dinoprompt.session import FeatureRequest

if TYPE_CHECKING:
    from napari_dinoprompt._qt.preparing import Preparing
    from napari_dinoprompt._qt.prompt_layer import PromptLayer
    from napari_dinoprompt.core.recovery.record import ImageRecord, KeptSettings
    from napari_dinoprompt.session import ImageState, Session

__all__ = ["restore"]

_WEIGHTS_WANTED = (
    "The prompts are back. Their weights were a file of yours: choose it again under "
    "Advanced."
)
# What the dock offers; of a file somebody may have written anything else.
_DEVICES = ("auto", "cuda", "mps", "cpu")
_PRECISIONS = ("auto", "fp32", "bf16", "fp16")


def restore(
    record: ImageRecord,
    state: ImageState,
    session: Session,
    prompts: PromptLayer,
    preparing: Preparing,
) -> None:
    """Bring back what was kept of the image in view, but for the cleaning.

    Parameters
    ----------
    record : ImageRecord
    state : ImageState
        Of the image in view.
    session : Session
    prompts : PromptLayer
    preparing : Preparing
    """
    kept = record.settings
    for name in (*kept.classes, *record.classes):
        session.add_class(name)
    if kept.selected_class in session.classes:
        session.selected_class = kept.selected_class
    # Before the prompts and the features: with other ones nothing is to be computed.
    state.backbone = kept.backbone
    state.thresholds = dict(record.thresholds)
    request = _request(kept, session.request)
    preparing.choose(request)
    prompts.restore(state, session, record)
    layers.remember_thresholds(state.prompts, state.backbone, state.thresholds)
    if kept.own_weights and request.backbone.checkpoint is None:
        session.message = _WEIGHTS_WANTED


def _request(kept: KeptSettings, now: FeatureRequest) -> FeatureRequest:
    """Ask for the features of before; a file of weights only if it is chosen now."""
    same = kept.own_weights and kept.backbone == now.backbone.name
    backbone = replace(
        now.backbone,
        name=kept.backbone,
        checkpoint=now.backbone.checkpoint if same else None,
        device=kept.device if kept.device in _DEVICES else now.backbone.device,
        precision=kept.precision
        if kept.precision in _PRECISIONS
        else now.backbone.precision,
    )
    return FeatureRequest(backbone, kept.upscale)
