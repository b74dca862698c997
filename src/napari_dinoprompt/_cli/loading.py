"""Backbones for commands: of a name, of a reference, or the best that is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dinoprompt._cli.messages import say

if TYPE_CHECKING:
    from pathlib import Path

    from napari_dinoprompt.core.backbones import Backbone
    from napari_dinoprompt.core.references.reference import Reference

__all__ = ["default_backbone", "load_backbone_of", "load_named"]


def load_named(
    name: str | None,
    *,
    device: str,
    precision: str,
    checkpoint: Path | None = None,
    block: int | None = None,
) -> Backbone:
    """Load a backbone by its name; without one, that of choice on this machine.

    Raises
    ------
    DinopromptError
        If its weights are not here or cannot be used.
    """
    from napari_dinoprompt.core.backbones import load_backbone

    return load_backbone(
        name or default_backbone(checkpoint),
        checkpoint=checkpoint,
        device=device,
        precision=precision,
        block=block,
    )


def load_backbone_of(
    reference: Reference, *, checkpoint: Path | None, device: str, precision: str
) -> Backbone:
    """Load the backbone that a reference was made with.

    Raises
    ------
    DinopromptError
        If its weights are not here or not the same.
    """
    from napari_dinoprompt.core.backbones import load_backbone

    info = reference.backbone
    backbone = load_backbone(
        info.name,
        checkpoint=checkpoint,
        device=device,
        precision=precision,
        block=info.block if info.block >= 0 else None,
    )
    reference.check_backbone(backbone.info)
    return backbone


def default_backbone(checkpoint: Path | None = None) -> str:
    """Choose a backbone for a user who named none, and say so if it is not DINOv2.

    Parameters
    ----------
    checkpoint : Path, optional
        Weights that the user gave; taken for DINOv2's.

    Returns
    -------
    str
        ``"dinov2-small"`` if its weights are here, else ``"filterbank"``.
    """
    from napari_dinoprompt.core import backbones

    if checkpoint is not None:
        return backbones.CHOICE
    chosen = backbones.default_backbone()
    if chosen != backbones.CHOICE:
        say(
            f"the weights of {backbones.CHOICE} are not on this machine; using "
            f"{chosen!r}, which needs none (see 'dinoprompt models')."
        )
    return chosen
