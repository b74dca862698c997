"""What the tab Study says in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_dinoprompt.core.studying.suggestion import Suggestion

__all__ = ["HINTS", "TITLES", "say"]

TITLES = {
    "convergence": "Convergence: are the prompts enough?",
    "influence": "Influence: what does each prompt do?",
    "suggestion": "Suggestion: where would one more help?",
    "resolution": "Resolution: which upscale and backbone?",
    "threshold": "Threshold: how much depends on it?",
}
"""The parts of the study in their order."""
HINTS = {
    "convergence": (
        "Run adds your prompts in many random orders and shows how the mask settles."
    ),
    "influence": (
        "Run leaves each prompt out in turn. Rings in the viewer are the brighter the "
        "more of the mask depends on the prompt."
    ),
    "suggestion": (
        "Run marks the place where one more prompt would settle the most; say what is "
        "there, or skip it."
    ),
    "resolution": (
        "Run segments with your prompts at each upscale and backbone that is ticked."
    ),
    "threshold": (
        "Run cuts the similarity map at all thresholds; a plateau means that the exact "
        "value matters little."
    ),
}
"""What to do, for each part."""


def say(part: str, found: Any, ghost: tuple[int, int, Suggestion] | None) -> str:
    """Put a result into words.

    Parameters
    ----------
    part : str
    found : Convergence, Influence, Suggestions, Resolution or ThresholdCurve
    ghost : (int, int, Suggestion) or None
        Number of the suggestion on show, how many there are, and itself.
    """
    if part == "influence":
        return " ".join(found.sentences)
    if part != "suggestion":
        return str(found.sentence)
    if ghost is not None:
        number, count, place = ghost
        y, x = place.point
        return f"Place {number} of {count}, at y = {y:.0f}, x = {x:.0f}. {place.reason}"
    if found.places:
        return "These were all the places; Run looks again."
    return "No place for one more prompt stands out: nothing else is in doubt."
