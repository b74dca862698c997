"""Labels that the user has corrected, in files beside the records."""

from __future__ import annotations

import math
import zlib
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError, reason_of
from napari_dinoprompt.core.images.lazy_plane import read_part
from napari_dinoprompt.core.io.atomic import explaining_writes, open_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray


# Larger labels are not kept.
MOST_PIXELS = 2**28
DTYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "int64")
SUFFIX = ".labels"


@dataclass(frozen=True)
class KeptLabels:
    """What is to be known of labels before their file is opened.

    Attributes
    ----------
    name : str
        Tells their versions apart; part of the name of the file.
    shape : tuple of int
    dtype : str
    classes : tuple of str
        Of the numbers; empty where these are objects.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    classes: tuple[str, ...]


def labels_path(records: Path, labels: KeptLabels) -> Path:
    """Return where labels of a file of records are."""
    return records.with_name(f"{_stem(records)}-{labels.name}{SUFFIX}")


def write_labels(records: Path, labels: KeptLabels, array: Any) -> None:
    """Write labels, compressed, unless this version of them is there."""
    path = labels_path(records, labels)
    if path.exists():
        return
    pack = zlib.compressobj(1)
    with open_atomically(path) as file:
        # Plane by plane of a stack, row by row of a plane: never all of it twice.
        for at in range(labels.shape[0]):
            part = read_part(array, (at,)).astype(labels.dtype, order="C")
            file.write(pack.compress(part.data))
        file.write(pack.flush())


def read_labels(records: Path, labels: KeptLabels) -> NDArray[Any]:
    """Read labels; raises `InputError` if their file is gone or damaged."""
    path = labels_path(records, labels)
    size = math.prod(labels.shape) * np.dtype(labels.dtype).itemsize
    unpack = zlib.decompressobj()
    try:
        if path.stat().st_size > size + size // 100 + 1000:
            raise zlib.error("it is too large")
        content = unpack.decompress(path.read_bytes(), size)
        # What comes behind is the sum of all, by which damage is found.
        rest = unpack.decompress(unpack.unconsumed_tail, 1)
        if len(content) != size or rest or not unpack.eof:
            raise zlib.error("it is not whole")
    except (OSError, zlib.error) as error:
        why = reason_of(error) if isinstance(error, OSError) else error
        msg = f"The corrected labels in {path} cannot be brought back: {why}."
        raise InputError(msg) from error
    return np.frombuffer(bytearray(content), labels.dtype).reshape(labels.shape)


def remove_labels(records: Path, kept: Iterable[KeptLabels | None] = ()) -> None:
    """Remove the labels of a file of records but for those that are to be kept."""
    wanted = {labels_path(records, one) for one in kept if one is not None}
    with explaining_writes(records):
        for path in records.parent.glob(f"{_stem(records)}-*{SUFFIX}"):
            if path not in wanted:
                path.unlink(missing_ok=True)


def remove_orphans(folder: Path, limit: float) -> None:
    """Remove labels without a file of records, older than a moment."""
    for path in folder.glob(f"*-*{SUFFIX}"):
        with suppress(OSError):
            stem = path.name.partition("-")[0]
            if path.stat().st_mtime < limit and not any(folder.glob(f"{stem}.*")):
                path.unlink()


def _stem(records: Path) -> str:
    return records.name.partition(".")[0]
