"""Results of a batch as files, and a small one that tells that an image is finished.

The small one is opened before any result is written, which tells that they are ours,
and filled last. Where it is filled, and fits, the results are whole, and need not be
computed again.
"""

from __future__ import annotations

import errno
import json
import os
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from napari_dinoprompt.core.comparison.metrics import measure_extent
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.atomic import (
    as_csv,
    csv_lines,
    explaining_writes,
    open_atomically,
)
from napari_dinoprompt.core.io.limits import check_size
from napari_dinoprompt.core.io.read import write_tiff
from napari_dinoprompt.core.io.zarr import stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from napari_dinoprompt.core.segmentation.large import LargeSegmentation
    from napari_dinoprompt.core.segmentation.segment import Segmentation
    from napari_dinoprompt.core.segmentation.stack_results import StackSegmentation


_KINDS = ("similarity", "mask", "instances")

_NAMERS: tuple[Callable[[Path], str], ...] = (
    lambda path: path.stem,
    lambda path: f"{path.parent.name}_{path.stem}",
    lambda path: f"{path.stem}_{path.suffix[1:]}",
    lambda path: f"{path.parent.name}_{path.stem}_{path.suffix[1:]}",
)
# What the summary says of each image and class.
COLUMNS: dict[str, type] = {
    "image": str,
    "results": str,
    "class": str,
    "class_number": int,
    "threshold": float,
    "objects": int,
    "pixels": int,
    "area_fraction": float,
}
Rows = list[dict[str, Any]]
_ENDING = "_record.json"
# In bytes; thousands of classes.
_LARGEST_RECORD = 2**23
_DAMAGED = (OSError, ValueError, TypeError, KeyError, RecursionError)


def result_paths(folder: Path, name: str) -> dict[str, Path]:
    """Name the files of one image's results.

    By ``similarity``, ``mask`` and ``instances``.
    """
    return {kind: folder / f"{name}_{kind}.tif" for kind in _KINDS}


def write_segmentation(
    folder: Path,
    name: str,
    result: Segmentation | LargeSegmentation,
    pixel_size: tuple[float, float] | None = None,
) -> None:
    """Write similarity, mask and instances of one image."""
    paths = result_paths(folder, name)
    several = len(result.names) > 1
    maps = result.maps if several else result.similarity
    write_tiff(paths["similarity"], maps, f"similarity ({result.kind})")
    write_tiff(paths["mask"], result.mask)
    write_tiff(paths["instances"], result.instances, pixel_size=pixel_size)


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows that have the same keys as CSV."""
    with open_atomically(path) as file:
        file.write(as_csv(rows))


def append_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Add rows to a table of `write_table`."""
    lines = csv_lines([row.values() for row in rows])
    # Unbuffered: the lines arrive in one piece.
    with explaining_writes(path), path.open("ab", buffering=0) as file:
        end = file.tell()
        if file.write(lines) != len(lines):
            # What a disk does that has room for some of them.
            file.truncate(end)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def name_results(images: Sequence[Path], folder: Path) -> dict[Path, str]:
    """Give each image a name for its results.

    The stem where it is the only one of its kind. Images of the same stem, as the
    real and the fake stain of one field often are, get their folder's name in front
    or their suffix behind.

    In the order given.
    """
    given = {path.resolve(): path for path in images}
    names = _tell_apart(list(given))
    target = folder.resolve()
    for path, name in names.items():
        for result in result_paths(target, name).values():
            if result in given:
                raise InputError(
                    f"The results of {given[path]} would overwrite {given[result]}; "
                    "choose another folder for them."
                )
    return {given[path]: name for path, name in names.items()}


def _tell_apart(paths: Sequence[Path]) -> dict[Path, str]:
    stems = Counter(_fold(path.stem) for path in paths)
    for namer in _NAMERS:
        names = {
            path: path.stem if stems[_fold(path.stem)] == 1 else namer(path)
            for path in paths
        }
        if len(set(map(_fold, names.values()))) == len(paths):
            return names
    double = next(path for path in paths if stems[_fold(path.stem)] > 1)
    raise InputError(
        f"Several images are called {double.name!r} and so are their folders; "
        "segment them one after the other, each into a folder of its own."
    )


def _fold(name: str) -> str:
    """Some file systems do not tell upper case from lower."""
    return name.casefold()


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
        """Look at an image file; an OSError if it is not there."""
        size, changed = stamp(path)
        return cls(str(path.resolve()), size, changed, settings)


def summarise(
    shown: str, name: str, result: Segmentation | LargeSegmentation | StackSegmentation
) -> Rows:
    """Describe the mask of an image or a whole stack: a row for each object class.

    The image is called `shown`, its results `name`; rows have all `COLUMNS`. An object
    through the planes of a stack counts once.
    """
    rows = []
    for number, one in enumerate(result.names, start=1):
        extent = measure_extent(result.mask, result.instances, number)
        rows.append(
            {
                "image": shown,
                "results": name,
                "class": one,
                "class_number": number,
                "threshold": result.thresholds[one],
                "objects": extent.objects,
                "pixels": extent.pixels,
                "area_fraction": extent.fraction,
            }
        )
    return rows


def write_record(folder: Path, name: str, job: Job, rows: Rows) -> None:
    """Note that an image is finished, whose results have been written."""
    record = {"job": asdict(job), "results": _sizes(folder, name), "rows": rows}
    with open_atomically(_record_path(folder, name)) as file:
        file.write(json.dumps(record, indent=1).encode())


def read_record(
    folder: Path, name: str, job: Job, *, since: int | None = None
) -> Rows | None:
    """Return the summary of an image that is finished with the same settings.

    None if there is no such record, or the results are no longer as they were. One that
    is older than `since`, in nanoseconds by the clock of the files, does not count.
    """
    path = _record_path(folder, name)
    # A record that was tampered with is no reason to stop: the image is done again.
    with suppress(*_DAMAGED):
        if since is not None and path.stat().st_mtime_ns <= since:
            return None
        record = _read(path)
        if record["job"] == asdict(job) and record["results"] == _sizes(folder, name):
            return _rows_of(record)
    return None


def open_record(folder: Path, name: str) -> None:
    """Note that results are about to be written or replaced."""
    with open_atomically(_record_path(folder, name)) as file:
        file.write(b'{"unfinished": true}')


def check_ours(
    folder: Path,
    names: Iterable[str],
    summary: Path,
    more: Callable[[Path, str], Iterable[Path]],
) -> None:
    """Refuse to replace results, or their summary, that no batch has written."""
    foreign = [
        path
        for name in names
        if not _record_path(folder, name).exists()
        for path in (*result_paths(folder, name).values(), *more(folder, name))
        if path.exists()
    ]
    if summary.exists() and not any(folder.glob(f"*{_ENDING}")):
        foreign.append(summary)
    if foreign:
        raise InputError(
            f"{foreign[0]} was not written by a batch and would be replaced; move it, "
            "or choose another folder for the results."
        )


def results_in(folder: Path) -> set[Path]:
    """Return the files in a folder that batches have written or begun."""
    names = (path.name.removesuffix(_ENDING) for path in folder.glob(f"*{_ENDING}"))
    return {path for name in names for path in result_paths(folder, name).values()}


def other_rows(folder: Path, names: Iterable[str]) -> Rows:
    """Return the summary of images of other names that earlier batches finished."""
    mine = {_record_path(folder, name) for name in names}
    found: Rows = []
    for path in sorted(folder.glob(f"*{_ENDING}")):
        if path in mine:
            continue
        with suppress(*_DAMAGED):
            found += _rows_of(_read(path)) or []
    return found


def _read(path: Path) -> Any:
    """Read a record; what is too large to be one is an InputError, a ValueError too."""
    check_size(path, _LARGEST_RECORD, "a record")
    return json.loads(path.read_bytes())


def _record_path(folder: Path, name: str) -> Path:
    return folder / f"{name}{_ENDING}"


def _sizes(folder: Path, name: str) -> dict[str, int]:
    return {
        kind: path.stat().st_size for kind, path in result_paths(folder, name).items()
    }


def _rows_of(record: Any) -> Rows | None:
    rows = record["rows"]
    whole = isinstance(rows, list) and bool(rows) and all(map(_is_row, rows))
    return rows if whole else None


def _is_row(row: Any) -> bool:
    return (
        isinstance(row, dict)
        and tuple(row) == tuple(COLUMNS)
        and all(type(row[name]) is kind for name, kind in COLUMNS.items())
    )
