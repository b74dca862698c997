"""The header of a reference file, its fields, and how it is checked."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from napari_dinoprompt.core.backbones.base import BackboneInfo, Scoring
from napari_dinoprompt.core.images.intensity import IntensityWindow
from napari_dinoprompt.core.io.atomic import software_version
from napari_dinoprompt.core.io.safetensors import (
    require,
    take_items,
    take_number,
    take_numbers,
    take_record,
    take_text,
    take_whole,
)
from napari_dinoprompt.core.prompts import BACKGROUND, PlaneIndex, is_class_name
from napari_dinoprompt.core.scoring.class_vectors import ClassVectors

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


# Since version 2 there are the areas that prompts stand for.
FORMAT_VERSION = 2

# What of a reference its header has under the same name.
AS_THEY_ARE = (
    *("backbone", "upscale", "window", "scoring"),
    *("classes", "planes", "sources"),
)
_MOST_AXES = 32
_LARGEST_UPSCALE = 64.0


@dataclass(frozen=True)
class ReferenceHeader:
    """All of a reference but its numbers; the attributes are those of `Reference`."""

    format_version: int
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
        areas = {"areas": ("F64", (count,))} if self.format_version > 1 else {}
        return areas | {
            "vectors": ("F32", (count, dimension)),
            "points": ("F64", (count, 2)),
            "source_of": ("I64", (count,)),
            "mean": ("F32", (dimension,)),
            "scale": ("F32", (dimension,)),
        }


def describe(reference: ReferenceFields) -> dict[str, Any]:
    """Return the header of a reference, to be written as JSON."""
    header = ReferenceHeader(
        format_version=FORMAT_VERSION,
        software_version=software_version(),
        statistics_count=reference.statistics.count,
        auto_thresholds=dict(reference.auto_thresholds),
        thresholds=dict(reference.thresholds),
        **{name: getattr(reference, name) for name in AS_THEY_ARE},
    )
    return asdict(header)


def version_of(header: Any) -> tuple[int, str]:
    """Read which format a header has, and which software wrote it."""
    require(isinstance(header, dict), "its header is none")
    version = take_whole(header.get("format_version"), "format version", least=1)
    writer = header.get("software_version")
    shown = " ".join(writer.split())[:40] if isinstance(writer, str) else ""
    return version, shown if shown.isprintable() and shown else "unknown"


_take_count = partial(take_whole, least=1)


def parse_header(value: Any) -> ReferenceHeader:
    """Check a header of this format, as it came from JSON, and take it apart.

    A ValueError says what is missing, too much, of a wrong type or out of range.
    """
    header = take_record(
        value,
        "header",
        ReferenceHeader,
        format_version=_take_count,
        software_version=take_text,
        backbone=_backbone,
        upscale=partial(take_number, least=1 / _LARGEST_UPSCALE, most=_LARGEST_UPSCALE),
        window=_window,
        scoring=_scoring,
        statistics_count=_take_count,
        classes=partial(take_items, check=_class_name),
        planes=partial(take_items, check=_plane),
        sources=partial(take_items, check=_source),
        auto_thresholds=partial(take_numbers, limit=2.0),
        thresholds=partial(take_numbers, limit=1.0),
    )
    classes = set(header.classes)
    require(bool(classes and header.sources), "it has no prompts, or no source")
    require(
        len(header.planes) == len(header.classes),
        "it does not have one plane per prompt",
    )
    require(
        header.auto_thresholds.keys() == classes - {BACKGROUND},
        "it does not have one threshold per class",
    )
    require(header.thresholds.keys() <= classes, "it has a threshold of no class")
    return header


def _class_name(value: Any, what: str) -> str:
    name = take_text(value, what)
    require(is_class_name(name), f"a name in its {what} is none")
    return name


def _backbone(value: Any, what: str) -> BackboneInfo:
    return take_record(
        value,
        what,
        BackboneInfo,
        name=take_text,
        block=partial(take_whole, least=-1),
        patch=_take_count,
        dimension=_take_count,
        weights_hash=take_text,
    )


def _window(value: Any, what: str) -> IntensityWindow:
    return take_record(value, what, IntensityWindow, low=take_number, high=take_number)


def _scoring(value: Any, what: str) -> Any:
    require(value in get_args(Scoring), f"its {what} is unknown")
    return value


def _source(value: Any, what: str) -> Source:
    return take_record(
        value,
        what,
        Source,
        name=take_text,
        shape=_shape,
        pixel_size=_pixel_size,
        content_hash=_content_hash,
    )


def _shape(value: Any, what: str) -> tuple[int, ...]:
    shape = take_items(value, what, _take_count)
    require(len(shape) == 2, "a source is not a plane")
    return shape


def _pixel_size(value: Any, what: str) -> tuple[float, ...] | None:
    if value is None:
        return None
    size = take_items(value, what, take_number)
    require(len(size) == 2 and min(size) > 0, "the pixel size of a source is none")
    return size


def _content_hash(value: Any, what: str) -> str:
    known = isinstance(value, str) and re.fullmatch("([0-9a-f]{64})?", value)
    require(bool(known), f"the {what} of a source is none")
    return str(value)


def _plane(value: Any, what: str) -> PlaneIndex:
    plane = take_items(value, what, partial(take_whole, least=0))
    require(len(plane) <= _MOST_AXES, f"its {what} have too many axes")
    return plane


@dataclass(frozen=True)
class Source:
    """An image that prompts were placed on.

    Attributes
    ----------
    name : str
        For people; never used as a path.
    shape : (int, int)
        Height and width in pixels.
    pixel_size : (float, float) or None
        Height and width of a pixel, in the units of the image; None if not known.
    content_hash : str
        Of the planes that hold prompts, as `hash_planes` has it; empty if not known.
    """

    name: str
    shape: tuple[int, int]
    pixel_size: tuple[float, float] | None = None
    content_hash: str = ""


@dataclass(frozen=True, eq=False)
class ReferenceFields(ClassVectors):
    """The fields of a `Reference`, where they are told; made, joined, read, written."""

    points: NDArray[np.float64]
    planes: tuple[PlaneIndex, ...]
    sources: tuple[Source, ...]
    source_of: NDArray[np.int64]
    upscale: float
    window: IntensityWindow
    auto_thresholds: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
