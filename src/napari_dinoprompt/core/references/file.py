"""References as files: safetensors with a JSON header, no pickle.

A file may come from anywhere. Its header is read and checked first, against a schema
and against the size of the file; only then memory is taken for the numbers.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from safetensors.numpy import save

from napari_dinoprompt.core.errors import CannotWriteError, ReferenceFileError
from napari_dinoprompt.core.files.atomic import open_atomically, remove_leftovers
from napari_dinoprompt.core.files.tensors import (
    TensorLayout,
    check_tensors,
    parse_json,
    read_layout,
    read_tensors,
)
from napari_dinoprompt.core.references.header import (
    FORMAT_VERSION,
    ReferenceHeader,
    describe,
    parse_header,
    version_of,
)
from napari_dinoprompt.core.references.reference import Reference, Source
from napari_dinoprompt.core.statistics import FeatureStatistics

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

__all__ = [
    "SUFFIX",
    "ReferenceSummary",
    "decode_reference",
    "encode_reference",
    "load_reference",
    "read_summary",
    "save_reference",
]

SUFFIX = ".reference.safetensors"
# Features are far smaller, and scales far larger or 0. Within these the squares of
# standardised vectors do not overflow.
_LARGEST, _SMALLEST_SCALE = 1e10, 1e-7
_HEADER = "napari-dinoprompt"


@dataclass(frozen=True)
class ReferenceSummary:
    """What the header of a reference file says.

    Attributes
    ----------
    backbone : str
        Its name.
    block : int
        -1 where the backbone has no blocks.
    classes : mapping of str to int
        Prompts of each class.
    sources : tuple of Source
    upscale : float
    auto_thresholds, thresholds : mapping of str to float
        Chosen automatically, and set by a user; by class.
    software_version : str
    format_version : int
    """

    backbone: str
    block: int
    classes: Mapping[str, int]
    sources: tuple[Source, ...]
    upscale: float
    auto_thresholds: Mapping[str, float]
    thresholds: Mapping[str, float]
    software_version: str
    format_version: int


def save_reference(reference: Reference, path: Path) -> Path:
    """Write a reference, whole or not at all.

    Parameters
    ----------
    reference : Reference
    path : Path
        The suffix is added where it is missing.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    ReferenceFileError
        If it cannot be written, or could not be read again; an older file of that
        name is kept.
    """
    if not path.name.endswith(SUFFIX):
        stem = path.name.removesuffix(".safetensors").removesuffix(".reference")
        path = path.with_name(stem + SUFFIX)
    content = encode_reference(reference)
    remove_leftovers(path.parent)
    try:
        with open_atomically(path) as file:
            file.write(content)
    except CannotWriteError as error:
        raise ReferenceFileError(str(error)) from error
    return path


def encode_reference(reference: Reference) -> bytes:
    """Return the content of a reference's file; the same for equal references.

    Raises
    ------
    ReferenceFileError
        If it could not be read again.
    """
    statistics = reference.statistics
    numbers: dict[str, NDArray[Any]] = {
        "vectors": np.ascontiguousarray(reference.vectors, np.float32),
        "points": np.ascontiguousarray(reference.points, np.float64),
        "source_of": np.ascontiguousarray(reference.source_of, np.int64),
        "mean": np.ascontiguousarray(statistics.mean, np.float32),
        "scale": np.ascontiguousarray(statistics.scale, np.float32),
    }
    header = json.dumps(describe(reference))
    content = save(numbers, metadata={_HEADER: header})
    try:
        parsed = parse_header(parse_json(header))
        layout = read_layout(io.BytesIO(content))
        check_tensors(layout, parsed.tensors)
        _check_numbers(parsed, numbers)
    except ValueError as error:
        msg = f"The reference cannot be saved: {error}."
        raise ReferenceFileError(msg) from error
    return content


def load_reference(path: Path) -> Reference:
    """Read a reference.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Reference

    Raises
    ------
    ReferenceFileError
        If the file is missing, damaged, foreign or from a newer version.
    """
    with _open(path) as file:
        return _read(path, file)


def decode_reference(content: bytes) -> Reference:
    """Read a reference from the content of its file; reverses `encode_reference`.

    Raises
    ------
    ReferenceFileError
        As `load_reference`.
    """
    try:
        return _read("This", io.BytesIO(content))
    except ValueError as error:
        msg = f"The reference is damaged: {error}."
        raise ReferenceFileError(msg) from error


def _read(path: Path | str, file: BinaryIO) -> Reference:
    layout = read_layout(file)
    header = _read_header(path, layout)
    tensors = read_tensors(file, layout, header.tensors)
    _check_numbers(header, tensors)
    return Reference(
        vectors=tensors["vectors"],
        classes=header.classes,
        points=tensors["points"],
        planes=header.planes,
        sources=header.sources,
        source_of=tensors["source_of"],
        backbone=header.backbone,
        upscale=header.upscale,
        window=header.window,
        statistics=FeatureStatistics(
            tensors["mean"], tensors["scale"], header.statistics_count
        ),
        scoring=header.scoring,
        auto_thresholds=header.auto_thresholds,
        thresholds=header.thresholds,
    )


def read_summary(path: Path) -> ReferenceSummary:
    """Read what a reference file holds, without its numbers.

    Parameters
    ----------
    path : Path

    Returns
    -------
    ReferenceSummary

    Raises
    ------
    ReferenceFileError
        As `load_reference`; numbers that are not finite are not noticed.
    """
    with _open(path) as file:
        layout = read_layout(file)
        header = _read_header(path, layout)
        check_tensors(layout, header.tensors)
    return ReferenceSummary(
        backbone=header.backbone.name,
        block=header.backbone.block,
        classes=dict(Counter(header.classes)),
        sources=header.sources,
        upscale=header.upscale,
        auto_thresholds=header.auto_thresholds,
        thresholds=header.thresholds,
        software_version=header.software_version,
        format_version=FORMAT_VERSION,
    )


@contextmanager
def _open(path: Path) -> Iterator[BinaryIO]:
    """Open a reference file; whatever is wrong with it becomes one kind of error."""
    if not path.is_file():
        msg = f"There is no reference file {path}."
        raise ReferenceFileError(msg)
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        msg = f"The reference {path} cannot be read: {error.strerror or error}."
        raise ReferenceFileError(msg) from error
    except ValueError as error:
        msg = f"The reference {path} is damaged: {error}."
        raise ReferenceFileError(msg) from error


def _read_header(path: Path | str, layout: TensorLayout) -> ReferenceHeader:
    if _HEADER not in layout.metadata:
        msg = f"{path} is not a reference of napari-dinoprompt."
        raise ReferenceFileError(msg)
    header = parse_json(layout.metadata[_HEADER])
    version, writer = version_of(header)
    if version > FORMAT_VERSION:
        msg = (
            f"{path} was written by a newer napari-dinoprompt ({writer}); please "
            "update."
        )
        raise ReferenceFileError(msg)
    return parse_header(header)


def _check_numbers(
    header: ReferenceHeader, tensors: Mapping[str, NDArray[Any]]
) -> None:
    for name, numbers in tensors.items():
        if not np.isfinite(numbers).all():
            msg = f"{name} are not all finite"
            raise ValueError(msg)
    for name in ("vectors", "mean", "scale"):
        if (np.abs(tensors[name]) > _LARGEST).any():
            msg = f"{name} has numbers that no backbone makes"
            raise ValueError(msg)
    scale = tensors["scale"]
    if ((scale != 0) & (scale < _SMALLEST_SCALE)).any():
        msg = "a scale is negative, or smaller than any that is measured"
        raise ValueError(msg)
    source_of = tensors["source_of"]
    if (source_of < 0).any() or (source_of >= len(header.sources)).any():
        msg = "a prompt belongs to no source"
        raise ValueError(msg)
    edges = np.array([source.shape for source in header.sources])[source_of] - 0.5
    points = tensors["points"]
    if (points < -0.5).any() or (points > edges).any():
        msg = "a prompt lies outside its source"
        raise ValueError(msg)
