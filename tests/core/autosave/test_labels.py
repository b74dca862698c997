"""Corrected labels lie beside their record, and go with it."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_dinoprompt.core.autosave.files import OwnFile, find_records, forget
from napari_dinoprompt.core.autosave.labels import KeptLabels, labels_path, read_labels
from napari_dinoprompt.core.autosave.records import decode_records, encode_records
from napari_dinoprompt.core.errors import InputError


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 9, (3, 50, 40), dtype=np.int32)


@pytest.fixture
def corrected(record):
    labels = KeptLabels("0a-1", (3, 50, 40), "int32", ("object",))
    return replace(record, points=(), placed=(), classes=(), labels=labels)


def keep(folder, record, array) -> None:
    file = OwnFile(folder)
    file.save([record], {record.key: array})
    file.close()


def test_labels_come_back_as_they_were(tmp_path, corrected, array) -> None:
    keep(tmp_path, corrected, array[:, ::-1])
    (found,) = find_records(tmp_path, corrected.fingerprint)
    assert found.record == corrected
    np.testing.assert_array_equal(
        read_labels(found.path, found.record.labels), array[:, ::-1]
    )


def test_an_older_version_of_them_goes(tmp_path, corrected, array) -> None:
    file = OwnFile(tmp_path)
    file.save([corrected], {corrected.key: array})
    newer = replace(corrected, labels=replace(corrected.labels, name="0a-2"))
    file.save([newer], {newer.key: array + 1})
    (there,) = tmp_path.glob("*.labels")
    assert there == labels_path(file.path, newer.labels)
    file.close()
    forget(find_records(tmp_path, corrected.fingerprint))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("how", ["gone", "cut", "bent", "bomb"])
def test_damaged_labels_are_refused_by_name(tmp_path, corrected, array, how) -> None:
    keep(tmp_path, corrected, np.zeros((9, 500, 400)) if how == "bomb" else array)
    (path,) = tmp_path.glob("*.labels")
    (found,) = find_records(tmp_path, corrected.fingerprint)
    content = bytearray(path.read_bytes())
    if how == "gone":
        path.unlink()
    elif how == "cut":
        path.write_bytes(content[:-3])
    elif how == "bent":
        content[-2] ^= 1
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"\.labels cannot be brought back"):
        read_labels(found.path, found.record.labels)


@pytest.mark.parametrize(
    ("field", "to"),
    [
        ("name", "../../a"),
        ("name", ""),
        ("shape", [3]),
        ("shape", [2**20, 2**20]),
        ("shape", [0, 4]),
        ("dtype", "object"),
        ("dtype", "float32"),
        ("classes", [""]),
    ],
)
def test_what_is_said_of_labels_is_checked(corrected, field, to) -> None:
    content = json.loads(encode_records([corrected]))
    content["images"][0]["labels"][field] = to
    with pytest.raises(ValueError, match=r"its|a class"):
        decode_records(json.dumps(content).encode())
