"""What a reference is, in words."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from napari_dinoprompt.core.references.fields import Source
    from napari_dinoprompt.core.references.header import ReferenceHeader
    from napari_dinoprompt.core.references.reference import Reference

__all__ = ["describe_reference"]


def describe_reference(reference: Reference | ReferenceHeader) -> tuple[str, str]:
    """Describe the reference of the current prompts, or of a file.

    Returns
    -------
    line, details : str
        One line, and a tooltip.
    """
    return (
        _line(reference.backbone.name, reference.upscale, Counter(reference.classes)),
        _details(reference.sources, reference.auto_thresholds, reference.thresholds),
    )


def _line(backbone: str, upscale: float, classes: Mapping[str, int]) -> str:
    counts = ", ".join(f"{name} {count}" for name, count in classes.items())
    return f"{backbone} ×{upscale:g} · {counts}"


def _details(
    sources: Sequence[Source], auto: Mapping[str, float], chosen: Mapping[str, float]
) -> str:
    lines = ["Prompts on"]
    for source in sources:
        height, width = source.shape
        size = f"{height} × {width} px"
        if source.pixel_size is not None:
            size += " of {:.3g} × {:.3g}".format(*source.pixel_size)
        lines.append(f"  {source.name} ({size})")
    for name, value in auto.items():
        kept = chosen.get(name)
        threshold = f"{value:.2f} (auto)" if kept is None else f"{kept:.2f}"
        lines.append(f"Threshold of {name}: {threshold}")
    return "\n".join(lines)
