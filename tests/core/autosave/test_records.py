"""Records as JSON: nothing is lost, and nothing wrong is taken."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_dinoprompt.core.autosave.records import (
    NewerRecordError,
    decode_records,
    encode_records,
)


def test_records_come_back_to_the_last_bit(record) -> None:
    (found,) = decode_records(encode_records([record]))
    assert found == record
    assert found.changed == record.changed
    assert decode_records(encode_records([])) == []


def changed(record, *path: Any, to: Any) -> bytes:
    """Return a file in which one thing is something else."""
    content = json.loads(encode_records([record]))
    place = content
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = to
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("path", "to"),
    [
        (("format_version",), 0),
        (("format_version",), True),
        (("software_version",), None),
        (("images",), {}),
        (("images", 0), []),
        (("images", 0, "key"), "x" * 1001),
        (("images", 0, "fingerprint"), "../../etc/passwd"),
        (("images", 0, "points"), []),
        (("images", 0, "points", 0), [1.0]),
        (("images", 0, "points", 0), [1.0, 2.0, 3.0]),
        (("images", 0, "points", 0, 0), float("nan")),
        (("images", 0, "points", 0, 0), float("inf")),
        (("images", 0, "points", 0, 0), 10**400),
        (("images", 0, "points", 0, 0), "1"),
        (("images", 0, "placed"), [[1.0, 2.0]]),
        (("images", 0, "classes"), ["object"]),
        (("images", 0, "classes", 0), " object"),
        (("images", 0, "classes", 0), ""),
        (("images", 0, "classes", 0), "\ud800"),
        (("images", 0, "thresholds"), [0.5]),
        (("images", 0, "thresholds"), {"object": 1.5}),
        (("images", 0, "thresholds"), {"object": None}),
        (("images", 0, "changed"), -1),
        (("images", 0, "changed"), 1e18),
        (("images", 0, "settings"), {}),
        (("images", 0, "settings", "upscale"), 0),
        (("images", 0, "settings", "upscale"), 1e9),
        (("images", 0, "settings", "own_weights"), "/tmp/weights.pth"),
        (("images", 0, "settings", "selected_class"), 3),
        (("images", 0, "settings", "block"), "last"),
        (("images", 0, "settings", "block"), 1.5),
        (("images", 0, "settings", "block"), 10**10),
        (("images", 0, "settings", "cleaning", "min_size"), -1),
        (("images", 0, "settings", "cleaning", "min_size"), 10**10),
        (("images", 0, "settings", "cleaning", "split"), 1),
        (("images", 0, "settings", "points_only"), 1),
        (("images", 0, "settings", "checkpoint"), "/tmp/weights.pth"),
    ],
    ids=lambda value: "-".join(map(str, value)) if isinstance(value, tuple) else None,
)
def test_what_does_not_belong_there_is_refused(record, path: tuple, to: Any) -> None:
    with pytest.raises(ValueError, match=r"^(its|it|a|the) "):
        decode_records(changed(record, *path, to=to))


def test_a_newer_format_is_told_from_damage(record) -> None:
    with pytest.raises(NewerRecordError):
        decode_records(changed(record, "format_version", to=6))


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_politely(content: bytes) -> None:
    with pytest.raises(ValueError):
        decode_records(content)


@given(data=st.data())
def test_a_mutated_file_is_read_or_refused(data: st.DataObject) -> None:
    content = bytearray(_ENCODED)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError, NewerRecordError):
        decode_records(bytes(content))


_ENCODED = b"""{"format_version": 1, "software_version": "1", "images": [{"key": "k",
"fingerprint": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
"image": "i", "points": [[1.5, 2]], "placed": [], "classes": ["object"],
"thresholds": {"object": 0.5}, "changed": 1, "settings": {"backbone": "filterbank",
"own_weights": false, "device": "auto", "precision": "auto", "upscale": 1, "classes":
["object"], "selected_class": "object", "cleaning": {"min_size": 0, "fill_holes": false,
"split": false}}}]}"""


def test_the_file_that_is_mutated_is_a_good_one() -> None:
    """It is of version 1, too."""
    (record,) = decode_records(_ENCODED)
    assert record.points == ((1.5, 2.0),)
    assert record.settings.points_only is False
    assert record.settings.block is None
