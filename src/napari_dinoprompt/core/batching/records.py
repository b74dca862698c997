"""What tells that an image of a batch is finished: a small file beside its results.

It is opened before any result is written, which tells that they are ours, and filled
last. Where it is filled, and fits, the results are whole, and need not be computed
again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.content_hash import hash_plane
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.files.atomic import open_atomically
from napari_dinoprompt.core.files.results import COLUMNS, result_paths
from napari_dinoprompt.core.files.room import check_size
from napari_dinoprompt.core.files.zarr import stamp
from napari_dinoprompt.core.references.file import encode_reference
from napari_dinoprompt.core.version import software_version

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation import SegmentOptions

__all__ = [
    "Job",
    "check_ours",
    "describe_settings",
    "open_record",
    "other_rows",
    "read_record",
    "results_in",
    "write_record",
]

Rows = list[dict[str, Any]]
_ENDING = "_record.json"
# In bytes; thousands of classes.
_LARGEST_RECORD = 2**23


@dataclass(frozen=True)
class Job:
    """One image of a batch as it was when its turn came.

    Attributes
    ----------
    image : str
        Its full path.
    size, changed : int
        Of the file, in bytes; and when it was last written, in nanoseconds. Of a
        folder that is one image, of all files in it.
    settings : str
        As `describe_settings`.
    """

    image: str
    size: int
    changed: int
    settings: str

    @classmethod
    def of(cls, path: Path, settings: str) -> Job:
        """Look at an image file.

        Raises
        ------
        OSError
            If it is not there.
        """
        size, changed = stamp(path)
        return cls(str(path.resolve()), size, changed, settings)


def describe_settings(
    reference: Reference,
    backbone: Backbone,
    options: SegmentOptions,
    like: ArrayLike | None = None,
) -> str:
    """Hash all that a result depends on beside its image.

    Parameters
    ----------
    reference : Reference
    backbone : Backbone
    options : SegmentOptions
    like : (h, w) or (h, w, 3 or 4) array_like, optional
        As `segment`.

    Returns
    -------
    str
        SHA-256 in hex.
    """
    chosen = {field.name: getattr(options, field.name) for field in fields(options)}
    how = {
        "software": software_version(),
        "backbone": asdict(backbone.info),
        "device": backbone.device.type,
        # The filter bank has one number format only.
        "dtype": str(getattr(backbone, "dtype", "")),
        "options": chosen,
        "like": None if like is None else hash_plane(np.asarray(like)),
    }
    found = hashlib.sha256(encode_reference(reference))
    found.update(json.dumps(how, sort_keys=True, default=_as_json).encode())
    return found.hexdigest()


def _as_json(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    return [type(value).__name__, asdict(value)]


def write_record(folder: Path, name: str, job: Job, rows: Rows) -> None:
    """Note that an image is finished; its results have been written.

    Parameters
    ----------
    folder : Path
    name : str
        Of the results.
    job : Job
    rows : list of dict
        The image's part of the summary.

    Raises
    ------
    OSError
        If it cannot be written.
    """
    record = {"job": asdict(job), "results": _sizes(folder, name), "rows": rows}
    with open_atomically(_record_path(folder, name)) as file:
        file.write(json.dumps(record, indent=1).encode())


def read_record(
    folder: Path, name: str, job: Job, *, since: int | None = None
) -> Rows | None:
    """Return the summary of an image that is finished with the same settings.

    Parameters
    ----------
    folder : Path
    name : str
        Of the results.
    job : Job
    since : int, optional
        In nanoseconds, by the clock of the files: an older record does not count.

    Returns
    -------
    list of dict or None
        None if there is no such record, or the results are no longer as they were.
    """
    path = _record_path(folder, name)
    try:
        if since is not None and path.stat().st_mtime_ns <= since:
            return None
        record = json.loads(_read(path))
        if record["job"] != asdict(job) or record["results"] != _sizes(folder, name):
            return None
        rows = record["rows"]
        # A record that was tampered with is no reason to stop: the image is done again.
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return rows if _are_rows(rows) else None


def open_record(folder: Path, name: str) -> None:
    """Note that results are about to be written or replaced.

    Raises
    ------
    OSError
        If it cannot be noted.
    """
    with open_atomically(_record_path(folder, name)) as file:
        file.write(b'{"unfinished": true}')


def check_ours(folder: Path, names: Iterable[str], summary: Path) -> None:
    """Refuse to replace files that no batch has written.

    Parameters
    ----------
    folder : Path
        Where the results go.
    names : iterable of str
        Of the results.
    summary : Path
        The table in that folder.

    Raises
    ------
    InputError
        If there is a result without a record, or the table without any.
    """
    foreign = [
        path
        for name in names
        if not _record_path(folder, name).exists()
        for path in result_paths(folder, name).values()
        if path.exists()
    ]
    if summary.exists() and not any(folder.glob(f"*{_ENDING}")):
        foreign.append(summary)
    if foreign:
        msg = (
            f"{foreign[0]} was not written by a batch and would be replaced; move it, "
            "or choose another folder for the results."
        )
        raise InputError(msg)


def results_in(folder: Path) -> set[Path]:
    """Return the files in a folder that batches have written or begun.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    set of Path
        Whether they are there or not.
    """
    names = (path.name.removesuffix(_ENDING) for path in folder.glob(f"*{_ENDING}"))
    return {path for name in names for path in result_paths(folder, name).values()}


def other_rows(folder: Path, names: Iterable[str]) -> Rows:
    """Return the summary of images that earlier batches finished in a folder.

    Parameters
    ----------
    folder : Path
    names : iterable of str
        Of the results of this batch, which are left out.

    Returns
    -------
    list of dict
    """
    mine = {_record_path(folder, name) for name in names}
    found: Rows = []
    for path in sorted(folder.glob(f"*{_ENDING}")):
        if path in mine:
            continue
        try:
            rows = json.loads(_read(path))["rows"]
        except (OSError, ValueError, TypeError, KeyError, RecursionError):
            continue
        found += rows if _are_rows(rows) else []
    return found


def _read(path: Path) -> bytes:
    """Read a record; what is too large to be one is an InputError, a ValueError too."""
    check_size(path, _LARGEST_RECORD, "a record")
    return path.read_bytes()


def _record_path(folder: Path, name: str) -> Path:
    return folder / f"{name}{_ENDING}"


def _sizes(folder: Path, name: str) -> dict[str, int]:
    return {
        kind: path.stat().st_size for kind, path in result_paths(folder, name).items()
    }


def _are_rows(rows: Any) -> bool:
    return (
        isinstance(rows, list)
        and bool(rows)
        and all(isinstance(row, dict) and _is_row(row) for row in rows)
    )


def _is_row(row: dict[str, Any]) -> bool:
    return tuple(row) == tuple(COLUMNS) and all(
        type(row[name]) is kind for name, kind in COLUMNS.items()
    )
