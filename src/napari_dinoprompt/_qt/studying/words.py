"""What the tab Study says in words."""

from __future__ import annotations

from typing import Any

__all__ = ["HINTS", "TITLES", "say"]

TITLES = {
    "convergence": "Convergence: are the prompts enough?",
    "influence": "Influence: what does each prompt do?",
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
    "resolution": (
        "Run segments with your prompts at each upscale and backbone that is ticked."
    ),
    "threshold": (
        "Run cuts the similarity map at all thresholds; a plateau means that the exact "
        "value matters little."
    ),
}
"""What to do, for each part."""


def say(part: str, found: Any) -> str:
    """Put a result into words."""
    return " ".join(found.sentences) if part == "influence" else str(found.sentence)
