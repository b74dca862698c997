"""Whose threshold counts: the caller's, the user's, or auto."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dinoprompt.core.references.reference import check_threshold

if TYPE_CHECKING:
    from napari_dinoprompt.core.references.reference import Reference

__all__ = ["resolve_thresholds"]


def resolve_thresholds(
    reference: Reference, threshold: float | None = None
) -> dict[str, float]:
    """Settle the threshold of each object class.

    By object class.
    """
    return {
        name: check_threshold(threshold, name)
        if threshold is not None
        else reference.thresholds.get(name, reference.auto_thresholds[name])
        for name in reference.object_classes
    }
