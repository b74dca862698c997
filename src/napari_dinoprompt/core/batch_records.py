"""What tells that an image of a batch is finished: a small file beside its results.

It is written last. Where it is, and fits, the results are whole, and need not be
computed again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.atomic import open_atomically
from napari_dinoprompt.core.content_hash import hash_plane
from napari_dinoprompt.core.reference_file import encode_reference
from napari_dinoprompt.core.result_files import COLUMNS, result_paths
from napari_dinoprompt.core.version import software_version

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.reference import Reference
    from napari_dinoprompt.core.segmentation import SegmentOptions

__all__ = ["Job", "describe_settings", "drop_record", "read_record", "write_record"]

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Job:
    """One image of a batch as it was when its turn came.

    Attributes
    ----------
    image : str
        Its full path.
    size, changed : int
        Of the file, in bytes; and when it was last written, in nanoseconds.
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
        found = path.stat()
        return cls(str(path.resolve()), found.st_size, found.st_mtime_ns, settings)


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


def read_record(folder: Path, name: str, job: Job) -> Rows | None:
    """Return the summary of an image that is finished with the same settings.

    Parameters
    ----------
    folder : Path
    name : str
        Of the results.
    job : Job

    Returns
    -------
    list of dict or None
        None if there is no such record, or the results are no longer as they were.
    """
    try:
        record = json.loads(_record_path(folder, name).read_bytes())
        if record["job"] != asdict(job) or record["results"] != _sizes(folder, name):
            return None
        rows = record["rows"]
        # A record that was tampered with is no reason to stop: the image is done again.
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return rows if _are_rows(rows) else None


def drop_record(folder: Path, name: str) -> None:
    """Forget that an image is finished, before its results are replaced.

    Raises
    ------
    OSError
        If the record cannot be removed.
    """
    _record_path(folder, name).unlink(missing_ok=True)


def _record_path(folder: Path, name: str) -> Path:
    return folder / f"{name}_record.json"


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
