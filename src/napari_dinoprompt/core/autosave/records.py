"""What is kept of an image, as JSON, and back with everything checked."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from napari_dinoprompt.core.io.atomic import software_version
from napari_dinoprompt.core.io.safetensors import (
    parse_json,
    require,
    take_fields,
    take_flag,
    take_items,
    take_number,
    take_numbers,
    take_record,
    take_text,
    take_whole,
)
from napari_dinoprompt.core.masks.cleaning import Cleaning

from .labels import DTYPES, MOST_PIXELS, KeptLabels

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


# Points, each with one number per axis.
Coordinates = tuple[tuple[float, ...], ...]

FORMAT_VERSION = 5
_MOST_AXES = 32
_LARGEST_UPSCALE = 1e4
_LARGEST_SIZE = 10**9
_MOST_BLOCKS = 1000
# The last moment that Python can put into words; a bit before the year 10000.
_LATEST = 253_000_000_000


@dataclass(frozen=True)
class KeptSettings:
    """What the dock was set to.

    Attributes
    ----------
    backbone : str
        Its name.
    block : int or None
        Its transformer block, as `load_backbone` takes it.
    own_weights : bool
        Whether the weights came from a file that the user chose. Its path is not
        kept: no path from inside a file is ever opened.
    device, precision : str
    upscale : float
    classes : tuple of str
        All, in their order, with prompts or without.
    selected_class : str
    points_only : bool
        Whether prompts stood for their points alone.
    cleaning : Cleaning
    """

    backbone: str
    block: int | None
    own_weights: bool
    device: str
    precision: str
    upscale: float
    classes: tuple[str, ...]
    selected_class: str
    points_only: bool
    cleaning: Cleaning


@dataclass(frozen=True)
class ImageRecord:
    """The prompts of one image and all that their mask depends on.

    Attributes
    ----------
    key : str
        Which layers of which program these are; a later record of the same key is
        what became of this one.
    fingerprint : str
        Of the image's pixels, as `fingerprint_image`.
    image : str
        Its name when it was kept, for people.
    points : (N, D) tuple of tuples of float
        In pixels of the image: y and x last, before them the plane.
    placed : (N, D) tuple of tuples of float
        The same in the coordinates of their layer; empty if those are pixels.
    classes : tuple of N str
    thresholds : mapping of str to float
        What the user set, by class.
    settings : KeptSettings
    labels : KeptLabels or None
        What the user has corrected. Without it there is a prompt at least.
    changed : float
        When, in seconds since 1970. Records that differ in this alone are equal.
    """

    key: str
    fingerprint: str
    image: str
    points: Coordinates
    placed: Coordinates
    classes: tuple[str, ...]
    thresholds: Mapping[str, float]
    settings: KeptSettings
    labels: KeptLabels | None = None
    changed: float = field(default=0.0, compare=False)


class NewerRecordError(Exception):
    """Records that a newer version has written; it can use them."""


def encode_records(records: Iterable[ImageRecord]) -> bytes:
    """Return the content of a file of records."""
    images = [
        # Not asdict of all: it would copy thousands of points one by one.
        {
            **vars(record),
            "settings": asdict(record.settings),
            "labels": None if record.labels is None else vars(record.labels),
        }
        for record in records
    ]
    content = {
        "format_version": FORMAT_VERSION,
        "software_version": software_version(),
        "images": images,
    }
    return json.dumps(content, allow_nan=False).encode()


def decode_records(content: bytes) -> list[ImageRecord]:
    """Take a file of records apart, which may come from anywhere."""
    parsed = parse_json(content)
    require(isinstance(parsed, dict), "it holds no records")
    version = take_whole(parsed.get("format_version"), "format version", least=1)
    if version > FORMAT_VERSION:
        raise NewerRecordError
    names = {"format_version", "software_version", "images"}
    fields = take_fields(parsed, "content", names)
    take_text(fields["software_version"], "software version")
    return list(take_items(fields["images"], "images", _image))


def _image(value: Any, what: str) -> ImageRecord:
    if isinstance(value, dict):
        # Version 4 knew no corrected labels.
        value = {"labels": None, **value}
    record = take_record(
        value,
        what,
        ImageRecord,
        key=take_text,
        fingerprint=_fingerprint,
        image=take_text,
        points=partial(take_items, check=_point),
        placed=partial(take_items, check=_point),
        classes=partial(take_items, check=_class),
        thresholds=partial(take_numbers, limit=1.0, key=_class),
        settings=_settings,
        labels=lambda one, what: None if one is None else _labels(one, what),
        changed=partial(take_number, least=0, most=_LATEST),
    )
    axes = {len(point) for point in (*record.points, *record.placed)}
    counts = {len(record.points), len(record.classes)}
    counts |= {len(record.placed)} - {0}
    require(
        len(axes) == 1 - (not record.points and record.labels is not None)
        and len(counts) == 1,
        "its points and classes do not belong together",
    )
    return record


def _labels(value: Any, what: str) -> KeptLabels:
    length = partial(take_whole, least=1, most=MOST_PIXELS)
    found = take_record(
        value,
        what,
        KeptLabels,
        name=take_text,
        shape=partial(take_items, check=length),
        dtype=take_text,
        classes=partial(take_items, check=_class),
    )
    # It becomes part of a path.
    known = re.fullmatch("[0-9a-f-]{1,80}", found.name) and found.dtype in DTYPES
    fits = 2 <= len(found.shape) <= _MOST_AXES and math.prod(found.shape) <= MOST_PIXELS
    require(bool(known) and fits, "its corrected labels cannot be used")
    return found


def _fingerprint(value: Any, what: str) -> str:
    known = re.fullmatch("[0-9a-f]{64}", take_text(value, what))
    require(known is not None, f"the {what} of an image is none")
    return str(value)


def _point(value: Any, what: str) -> tuple[float, ...]:
    point = take_items(value, what, take_number)
    require(2 <= len(point) <= _MOST_AXES, f"its {what} have {len(point)} axes")
    return point


def _class(value: Any, what: str) -> str:
    name = take_text(value, what)
    # As the dock stores what is typed: names that differ would be two classes.
    require(bool(name) and name == " ".join(name.split()), "a class has no name")
    return name


def _settings(value: Any, what: str) -> KeptSettings:
    if isinstance(value, dict):
        # Version 1 knew no objects to choose instead, and version 2 no blocks.
        value = {"points_only": False, "block": None, **value}
    return take_record(
        value,
        what,
        KeptSettings,
        backbone=take_text,
        block=_block,
        own_weights=take_flag,
        device=take_text,
        precision=take_text,
        upscale=partial(take_number, least=sys.float_info.min, most=_LARGEST_UPSCALE),
        classes=partial(take_items, check=_class),
        selected_class=_class,
        points_only=take_flag,
        cleaning=_cleaning,
    )


def _block(value: Any, what: str) -> int | None:
    if value is None:
        return None
    return take_whole(value, what, least=-_MOST_BLOCKS, most=_MOST_BLOCKS)


def _cleaning(value: Any, what: str) -> Cleaning:
    if isinstance(value, dict):
        # Version 3 knew no largest object.
        value = {"max_size": None, **value}
    return take_record(
        value,
        what,
        Cleaning,
        min_size=_size,
        fill_holes=take_flag,
        split=take_flag,
        max_size=lambda size, what: None if size is None else _size(size, what),
    )


def _size(value: Any, what: str) -> int:
    return take_whole(value, what, least=0, most=_LARGEST_SIZE)
