"""Records as JSON, and back with everything checked."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from napari_dinoprompt.core.files.json_fields import (
    take_fields,
    take_items,
    take_number,
    take_text,
    take_whole,
)
from napari_dinoprompt.core.files.tensors import parse_json
from napari_dinoprompt.core.masks import Cleaning
from napari_dinoprompt.core.recovery.record import (
    Coordinates,
    ImageRecord,
    KeptSettings,
)
from napari_dinoprompt.core.version import software_version

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["FORMAT_VERSION", "NewerRecordError", "decode_records", "encode_records"]

FORMAT_VERSION = 1
_MOST_AXES = 32
_LARGEST_UPSCALE = 1e4
_LARGEST_SIZE = 10**9
# The last moment that Python can put into words; a bit before the year 10000.
_LATEST = 253_000_000_000


class NewerRecordError(Exception):
    """Records that a newer version has written; it can use them."""


def encode_records(records: Iterable[ImageRecord]) -> bytes:
    """Return the content of a file of records."""
    images = [
        # Not asdict of all: it would copy thousands of points one by one.
        {**vars(record), "settings": asdict(record.settings)}
        for record in records
    ]
    content = {
        "format_version": FORMAT_VERSION,
        "software_version": software_version(),
        "images": images,
    }
    return json.dumps(content, allow_nan=False).encode()


def decode_records(content: bytes) -> list[ImageRecord]:
    """Take a file of records apart.

    Parameters
    ----------
    content : bytes
        It may come from anywhere.

    Returns
    -------
    list of ImageRecord

    Raises
    ------
    NewerRecordError
        If a newer version has written it.
    ValueError
        If anything is missing, too much, of a wrong type or out of range.
    """
    parsed = parse_json(content)
    if not isinstance(parsed, dict):
        msg = "it holds no records"
        raise ValueError(msg)
    version = take_whole(parsed.get("format_version"), "format version", least=1)
    if version > FORMAT_VERSION:
        raise NewerRecordError
    names = {"format_version", "software_version", "images"}
    fields = take_fields(parsed, "content", names)
    take_text(fields["software_version"], "software version")
    return list(take_items(fields["images"], "images", _image))


def _image(value: Any, what: str) -> ImageRecord:
    fields = take_fields(value, what, set(ImageRecord.__dataclass_fields__))
    if not re.fullmatch("[0-9a-f]{64}", take_text(fields["fingerprint"], what)):
        msg = "the fingerprint of an image is none"
        raise ValueError(msg)
    points = _points(fields["points"], "points")
    placed = _points(fields["placed"], "placed points")
    classes = take_items(fields["classes"], "classes", _class)
    axes = {len(point) for point in (*points, *placed)}
    if len(axes) != 1 or not len(points) == len(classes) == (
        len(placed) or len(points)
    ):
        msg = "its points and classes do not belong together"
        raise ValueError(msg)
    changed = take_number(fields["changed"], "time")
    if not 0 <= changed <= _LATEST:
        msg = "its time is none"
        raise ValueError(msg)
    return ImageRecord(
        key=take_text(fields["key"], "key"),
        fingerprint=fields["fingerprint"],
        image=take_text(fields["image"], "name"),
        points=points,
        placed=placed,
        classes=classes,
        thresholds=_thresholds(fields["thresholds"]),
        settings=_settings(fields["settings"]),
        changed=changed,
    )


def _points(value: Any, what: str) -> Coordinates:
    return take_items(value, what, _point)


def _point(value: Any, what: str) -> tuple[float, ...]:
    point = take_items(value, what, take_number)
    if not 2 <= len(point) <= _MOST_AXES:
        msg = f"its {what} have {len(point)} axes"
        raise ValueError(msg)
    return point


def _class(value: Any, what: str) -> str:
    name = take_text(value, what)
    # As the dock stores what is typed: names that differ would be two classes.
    if not name or name != " ".join(name.split()):
        msg = "a class has no name"
        raise ValueError(msg)
    return name


def _thresholds(value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        msg = "its thresholds are none"
        raise ValueError(msg)
    found = {_class(key, "classes"): take_number(value[key], "number") for key in value}
    if any(abs(one) > 1 for one in found.values()):
        msg = "a threshold is out of range"
        raise ValueError(msg)
    return found


def _settings(value: Any) -> KeptSettings:
    fields = take_fields(value, "settings", set(KeptSettings.__dataclass_fields__))
    upscale = take_number(fields["upscale"], "upscale")
    if not 0 < upscale <= _LARGEST_UPSCALE:
        msg = f"its upscale is {upscale:g}"
        raise ValueError(msg)
    return KeptSettings(
        backbone=take_text(fields["backbone"], "backbone"),
        own_weights=_flag(fields["own_weights"]),
        device=take_text(fields["device"], "device"),
        precision=take_text(fields["precision"], "precision"),
        upscale=upscale,
        classes=take_items(fields["classes"], "classes", _class),
        selected_class=_class(fields["selected_class"], "class"),
        cleaning=_cleaning(fields["cleaning"]),
    )


def _cleaning(value: Any) -> Cleaning:
    fields = take_fields(value, "cleaning", set(Cleaning.__dataclass_fields__))
    size = take_whole(fields["min_size"], "smallest object", least=0)
    if size > _LARGEST_SIZE:
        msg = "its smallest object is too large"
        raise ValueError(msg)
    return Cleaning(size, _flag(fields["fill_holes"]), _flag(fields["split"]))


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        msg = "a setting is neither on nor off"
        raise ValueError(msg)
    return value
