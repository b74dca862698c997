"""The header of a reference file: what it must hold, and how that is checked."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, cast, get_args

from napari_dinoprompt.core.backbones.base import BackboneInfo, Scoring
from napari_dinoprompt.core.files.json_fields import (
    take_fields,
    take_items,
    take_number,
    take_text,
    take_whole,
)
from napari_dinoprompt.core.intensity import IntensityWindow
from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.core.references.reference import Source
from napari_dinoprompt.core.version import software_version

if TYPE_CHECKING:
    from collections.abc import Mapping

    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.references.reference import Reference

__all__ = [
    "FORMAT_VERSION",
    "ReferenceHeader",
    "describe",
    "parse_header",
    "version_of",
]

FORMAT_VERSION = 1
_MOST_AXES = 32
_LARGEST_UPSCALE = 1e4


@dataclass(frozen=True)
class ReferenceHeader:
    """All of a reference but its numbers; the attributes are those of `Reference`."""

    software_version: str
    backbone: BackboneInfo
    upscale: float
    window: IntensityWindow
    scoring: Scoring
    statistics_count: int
    classes: tuple[str, ...]
    planes: tuple[PlaneIndex, ...]
    sources: tuple[Source, ...]
    auto_thresholds: Mapping[str, float]
    thresholds: Mapping[str, float]

    @property
    def tensors(self) -> dict[str, tuple[str, tuple[int, ...]]]:
        """The dtype and shape of each tensor that belongs to this header."""
        count, dimension = len(self.classes), self.backbone.dimension
        return {
            "vectors": ("F32", (count, dimension)),
            "points": ("F64", (count, 2)),
            "source_of": ("I64", (count,)),
            "mean": ("F32", (dimension,)),
            "scale": ("F32", (dimension,)),
        }


def describe(reference: Reference) -> dict[str, Any]:
    """Return the header of a reference, to be written as JSON."""
    header = ReferenceHeader(
        software_version=software_version(),
        backbone=reference.backbone,
        upscale=reference.upscale,
        window=reference.window,
        scoring=reference.scoring,
        statistics_count=reference.statistics.count,
        classes=reference.classes,
        planes=reference.planes,
        sources=reference.sources,
        auto_thresholds=dict(reference.auto_thresholds),
        thresholds=dict(reference.thresholds),
    )
    return {"format_version": FORMAT_VERSION, **asdict(header)}


def version_of(header: Any) -> tuple[int, str]:
    """Read which format a header has, and which software wrote it.

    Raises
    ------
    ValueError
        If it does not say.
    """
    if not isinstance(header, dict):
        msg = "its header is none"
        raise ValueError(msg)
    version = take_whole(header.get("format_version"), "format version", least=1)
    writer = header.get("software_version")
    shown = " ".join(writer.split())[:40] if isinstance(writer, str) else ""
    return version, shown if shown.isprintable() and shown else "unknown"


def parse_header(header: Any) -> ReferenceHeader:
    """Check a header of this format and take it apart.

    Parameters
    ----------
    header : object
        As it came from JSON.

    Raises
    ------
    ValueError
        If anything is missing, too much, of a wrong type or out of range.
    """
    names = {"format_version", *ReferenceHeader.__dataclass_fields__}
    fields = take_fields(header, "header", names)
    classes = take_items(fields["classes"], "classes", take_text)
    sources = take_items(fields["sources"], "sources", _source)
    if not (classes and sources):
        msg = "it has no prompts, or no source"
        raise ValueError(msg)
    planes = take_items(fields["planes"], "planes", _plane)
    if len(planes) != len(classes):
        msg = "it does not have one plane per prompt"
        raise ValueError(msg)
    auto = _thresholds(fields["auto_thresholds"], limit=2.0)
    if auto.keys() != set(classes) - {BACKGROUND}:
        msg = "it does not have one threshold per class"
        raise ValueError(msg)
    thresholds = _thresholds(fields["thresholds"], limit=1.0)
    if not thresholds.keys() <= set(classes):
        msg = "it has a threshold of no class"
        raise ValueError(msg)
    upscale = take_number(fields["upscale"], "upscale")
    if not 1 / _LARGEST_UPSCALE <= upscale <= _LARGEST_UPSCALE:
        msg = f"its upscale is {upscale:g}"
        raise ValueError(msg)
    if fields["scoring"] not in get_args(Scoring):
        msg = "its scoring is unknown"
        raise ValueError(msg)
    return ReferenceHeader(
        software_version=take_text(fields["software_version"], "software version"),
        backbone=_backbone(fields["backbone"]),
        upscale=upscale,
        window=_window(fields["window"]),
        scoring=cast("Scoring", fields["scoring"]),
        statistics_count=take_whole(fields["statistics_count"], "count", least=1),
        classes=classes,
        planes=planes,
        sources=sources,
        auto_thresholds=auto,
        thresholds=thresholds,
    )


def _backbone(value: Any) -> BackboneInfo:
    fields = take_fields(value, "backbone", set(BackboneInfo.__dataclass_fields__))
    return BackboneInfo(
        name=take_text(fields["name"], "backbone"),
        block=take_whole(fields["block"], "block", least=-1),
        patch=take_whole(fields["patch"], "patch", least=1),
        dimension=take_whole(fields["dimension"], "dimension", least=1),
        weights_hash=take_text(fields["weights_hash"], "weights"),
    )


def _window(value: Any) -> IntensityWindow:
    fields = take_fields(value, "window", {"low", "high"})
    low, high = (take_number(fields[name], "window") for name in ("low", "high"))
    # Its own check tells the same in the same way.
    return IntensityWindow(low, high)


def _source(value: Any, what: str) -> Source:
    fields = take_fields(value, what, set(Source.__dataclass_fields__))
    shape = take_items(fields["shape"], "shape", lambda v, w: take_whole(v, w, least=1))
    if len(shape) != 2:
        msg = "a source is not a plane"
        raise ValueError(msg)
    size = fields["pixel_size"]
    if size is not None:
        size = take_items(size, "pixel size", take_number)
        if len(size) != 2 or min(size) <= 0:
            msg = "the pixel size of a source is none"
            raise ValueError(msg)
    content = fields["content_hash"]
    if not (isinstance(content, str) and re.fullmatch("([0-9a-f]{64})?", content)):
        msg = "the content hash of a source is none"
        raise ValueError(msg)
    name = take_text(fields["name"], "source")
    return Source(name, (shape[0], shape[1]), size and (size[0], size[1]), content)


def _plane(value: Any, what: str) -> PlaneIndex:
    plane = take_items(value, what, lambda v, w: take_whole(v, w, least=0))
    if len(plane) > _MOST_AXES:
        msg = f"its {what} have too many axes"
        raise ValueError(msg)
    return plane


def _thresholds(value: Any, limit: float) -> dict[str, float]:
    if not isinstance(value, dict):
        msg = "its thresholds are none"
        raise ValueError(msg)
    found = {name: take_number(one, "threshold") for name, one in value.items()}
    if any(abs(one) > limit for one in found.values()):
        msg = "a threshold is out of range"
        raise ValueError(msg)
    return found
