"""References as files: safetensors with a JSON header, no pickle.

A file may come from anywhere. Its header is read and checked first, against a schema
and against the size of the file; only then memory is taken for the numbers.
"""

from __future__ import annotations

import io
import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from safetensors.numpy import save

from napari_dinoprompt.core.errors import CannotWriteError, ReferenceFileError
from napari_dinoprompt.core.features.statistics import FeatureStatistics
from napari_dinoprompt.core.io.atomic import remove_leftovers, write_bytes
from napari_dinoprompt.core.io.safetensors import (
    TensorLayout,
    check_tensors,
    parse_json,
    read_layout,
    read_tensors,
    require,
)

from .header import (
    AS_THEY_ARE,
    FORMAT_VERSION,
    ReferenceFields,
    ReferenceHeader,
    describe,
    parse_header,
    version_of,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray


SUFFIX = ".reference.safetensors"
# Features are far smaller, and scales far larger or 0. Within these the squares of
# standardised vectors do not overflow.
_LARGEST, _SMALLEST_SCALE = 1e10, 1e-7
_HEADER = "napari-dinoprompt"


def save_reference(reference: ReferenceFields, path: Path) -> Path:
    """Write a reference, whole or not at all; a missing suffix is added."""
    if not path.name.endswith(SUFFIX):
        stem = path.name.removesuffix(".safetensors").removesuffix(".reference")
        path = path.with_name(stem + SUFFIX)
    content = encode_reference(reference)
    remove_leftovers(path.parent)
    try:
        return write_bytes(path, content)
    except CannotWriteError as error:
        raise ReferenceFileError(str(error)) from error


def encode_reference(reference: ReferenceFields) -> bytes:
    """Return the content of a reference's file; the same for equal references."""
    statistics = reference.statistics
    numbers: dict[str, NDArray[Any]] = {
        "vectors": np.ascontiguousarray(reference.vectors, np.float32),
        "points": np.ascontiguousarray(reference.points, np.float64),
        "areas": np.ascontiguousarray(reference.areas, np.float64),
        "source_of": np.ascontiguousarray(reference.source_of, np.int64),
        "mean": np.ascontiguousarray(statistics.mean, np.float32),
        "scale": np.ascontiguousarray(statistics.scale, np.float32),
    }
    header = json.dumps(describe(reference))
    content = save(numbers, metadata={_HEADER: header})
    with _explaining("The reference cannot be saved"):
        _read("This", io.BytesIO(content))
    return content


def load_reference(path: Path) -> ReferenceFields:
    """Read a reference."""
    with _open(path) as file:
        return _read(path, file)


def decode_reference(content: bytes) -> ReferenceFields:
    """Read a reference from the content of its file; errors as `load_reference`."""
    with _explaining("The reference is damaged"):
        return _read("This", io.BytesIO(content))


def _read(path: Path | str, file: BinaryIO) -> ReferenceFields:
    layout = read_layout(file)
    header = _read_header(path, layout)
    tensors = read_tensors(file, layout, header.tensors)
    _check_numbers(header, tensors)
    return ReferenceFields(
        vectors=tensors["vectors"],
        areas=tensors.get("areas", np.zeros(len(header.classes))),
        points=tensors["points"],
        source_of=tensors["source_of"],
        statistics=FeatureStatistics(
            tensors["mean"], tensors["scale"], header.statistics_count
        ),
        auto_thresholds=header.auto_thresholds,
        thresholds=header.thresholds,
        **{name: getattr(header, name) for name in AS_THEY_ARE},
    )


def read_header(path: Path) -> ReferenceHeader:
    """Read all that a reference file holds but its numbers."""
    with _open(path) as file:
        layout = read_layout(file)
        header = _read_header(path, layout)
        check_tensors(layout, header.tensors)
    return header


@contextmanager
def _explaining(what: str) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise ReferenceFileError(f"{what}: {error}.") from error


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open a reference file; whatever is wrong with it becomes one kind of error."""
    if not path.is_file():
        raise ReferenceFileError(f"There is no reference file {path}.")
    try:
        with _explaining(f"The reference {path} is damaged"), path.open("rb") as file:
            yield file
    except OSError as error:
        msg = f"The reference {path} cannot be read: {error.strerror or error}."
        raise ReferenceFileError(msg) from error


def _read_header(path: Path | str, layout: TensorLayout) -> ReferenceHeader:
    if _HEADER not in layout.metadata:
        raise ReferenceFileError(f"{path} is not a reference of napari-dinoprompt.")
    header = parse_json(layout.metadata[_HEADER])
    version, writer = version_of(header)
    if version > FORMAT_VERSION:
        raise ReferenceFileError(
            f"{path} was written by a newer napari-dinoprompt ({writer}); please "
            "update."
        )
    return parse_header(header)


def _check_numbers(
    header: ReferenceHeader, tensors: Mapping[str, NDArray[Any]]
) -> None:
    for name, numbers in tensors.items():
        require(bool(np.isfinite(numbers).all()), f"{name} are not all finite")
    for name in ("vectors", "mean", "scale"):
        possible = bool((np.abs(tensors[name]) <= _LARGEST).all())
        require(possible, f"{name} has numbers that no backbone makes")
    areas = tensors.get("areas", np.zeros(0))
    require(bool((areas >= 0).all()), "an area is negative")
    scale, source_of = tensors["scale"], tensors["source_of"]
    require(
        bool(((scale == 0) | (scale >= _SMALLEST_SCALE)).all()),
        "a scale is negative, or smaller than any that is measured",
    )
    known = (source_of >= 0) & (source_of < len(header.sources))
    require(bool(known.all()), "a prompt belongs to no source")
    edges = np.array([source.shape for source in header.sources])[source_of] - 0.5
    points = tensors["points"]
    inside = (points >= -0.5) & (points <= edges)
    require(bool(inside.all()), "a prompt lies outside its source")
