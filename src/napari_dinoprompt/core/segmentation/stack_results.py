"""Where the results of a stack are kept: in memory, or in zarr arrays on disk.

A plane that is finished is noted after its arrays were written. Whatever stops the
work, the next run goes on after the last plane that is noted.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.zarr import check_array
from napari_dinoprompt.core.objects.table import ObjectData, objects_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from numpy.typing import DTypeLike, NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex

    from .large import LargeSegmentation
    from .segment import Segmentation

    Missing = NDArray[np.bool_] | None
    # Class numbers before they are cleaned, and the pixels without data.
    PlainMask = tuple[NDArray[np.uint8], Missing]


# Up to this size results are plain numpy arrays.
_NUMPY_BYTES = 1_000_000_000
_CHUNK = 4096
_MARK = "dinoprompt"
_NOTES = "objects"
_UNFINISHED = -1


@dataclass(frozen=True, eq=False)
class StackSegmentation:
    """The result of `segment_stack`.

    Its arrays are numpy arrays, or zarr arrays whose chunks lie in one plane where they
    are large or a store was given.

    Attributes
    ----------
    similarities : mapping of str to (..., H, W) array of float32
        By object class, in the order of the class numbers; NaN where there is no data.
    mask : (..., H, W) array of uint8
        Class numbers after cleaning.
    instances : (..., H, W) array of int32
        Object numbers; none is used twice in the stack.
    thresholds : mapping of str to float
        What was used, by class.
    objects_3d : bool
        Whether objects go through the planes.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> features = dp.extract_features(image, backbone)
    >>> points = [(20, 60), (20, 100), (60, 60)]
    >>> reference = dp.Reference.from_prompts(features, points)
    >>> result = dp.segment_stack(np.stack([image, image // 2]), reference, backbone)
    >>> result.mask.shape, list(result.similarities)
    ((2, 160, 160), ['object'])
    """

    similarities: Mapping[str, Any]
    mask: Any
    instances: Any
    thresholds: Mapping[str, float]
    objects_3d: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """Object classes; class number k + 1 is ``names[k]``."""
        return tuple(self.similarities)

    @property
    def similarity(self) -> Any:
        """The similarity with the first object class."""
        return next(iter(self.similarities.values()))

    def objects_table(
        self,
        channels: Mapping[str, Any] | None = None,
        pixel_size: tuple[float, float, float] | None = None,
    ) -> pd.DataFrame:
        """Measure the objects, as `Segmentation.objects_table`.

        Objects that do not go through the planes are measured in their planes.

        Parameters
        ----------
        channels : mapping of str to (..., H, W) or (..., H, W, 3) array, optional
            Images of the shape of the stack.
        pixel_size : (float, float, float), optional
            Distance of voxels along z, y and x in micrometres.

        Returns
        -------
        pandas.DataFrame
            Where there are several planes or volumes, a column ``plane`` tells which.

        Raises
        ------
        InputError
            If a channel has another shape.
        """
        import pandas as pd

        axes = 3 if self.objects_3d else 2
        size = None if pixel_size is None else pixel_size[-axes:]
        tables = []
        for at in np.ndindex(self.instances.shape[:-axes]):

            def part(array: Any, at: PlaneIndex = at) -> Any:
                return array[at] if at else array

            maps = {name: part(one) for name, one in self.similarities.items()}
            given = {name: part(one) for name, one in (channels or {}).items()}
            found = part(self.instances), part(self.mask), self.names, maps
            table = objects_table(ObjectData(*found, given, size))
            if at:
                table.insert(1, "plane", ",".join(map(str, at)))
            tables.append(table)
        return pd.concat(tables, ignore_index=True)


@dataclass(frozen=True, eq=False)
class StackPlane:
    """One plane that is finished.

    Attributes
    ----------
    index : tuple of int
        Which one.
    mask : (H, W) array of uint8
        Class numbers after cleaning.
    instances : (H, W) array of int32
        Object numbers from 1 on.
    objects : int
        How many there are.
    first : int
        How many the planes before hold; in the stack they are numbered on from there.
    segmentation : Segmentation or LargeSegmentation or None
        A plane without data has NaN for similarity; None where the plain mask was
        known before.
    """

    index: PlaneIndex
    mask: Any
    instances: Any
    objects: int
    first: int
    segmentation: Segmentation | LargeSegmentation | None


@dataclass(frozen=True, eq=False)
class StackArrays:
    """The arrays that results are written into.

    Attributes
    ----------
    similarities : tuple of (..., H, W) arrays of float32
        One for each object class.
    mask, instances : (..., H, W) array of uint8 and of int32
    plain : (..., H, W) array of uint8 or None
        The masks before cleaning, if objects are numbered through the planes.
    notes : (...) array of int32
        How many objects each finished plane has; below 0 it is not finished.
    """

    similarities: tuple[Any, ...]
    mask: Any
    instances: Any
    plain: Any | None
    notes: Any

    def finished(self) -> dict[PlaneIndex, int]:
        """Return the planes that are finished, with the number of their objects."""
        notes = np.asarray(self.notes[...])
        return {
            index: int(count) for index, count in np.ndenumerate(notes) if count >= 0
        }

    def put(self, plane: StackPlane) -> None:
        """Write a plane that was segmented, then note it."""
        assert plane.segmentation is not None
        at, maps = plane.index, plane.segmentation.maps
        for number, array in enumerate(self.similarities):
            _copy(array, at, maps[number])
        if self.plain is None:
            _copy(self.mask, at, plane.mask)
            _copy(self.instances, at, plane.instances, plane.first)
        else:
            # Nothing was cleaned.
            _copy(self.plain, at, plane.mask)
        self.notes[at] = plane.objects if self.plain is None else 0

    def plain_volume(self, at: PlaneIndex) -> PlainMask:
        """Read the masks of all planes of a volume, (Z, H, W), as `PlainMasks` does."""
        assert self.plain is not None
        mask = np.asarray(self.plain[(*at, ...)])
        missing = np.empty(mask.shape, dtype=bool)
        for z in range(len(mask)):
            np.isnan(np.asarray(self.similarities[0][(*at, z)]), out=missing[z])
        return mask, missing if missing.any() else None


def _copy(array: Any, at: PlaneIndex, plane: Any, first: int = 0) -> None:
    """Write a plane block by block; numbers above 0 go on from `first`."""
    for start in range(0, plane.shape[0], _CHUNK):
        rows = slice(start, start + _CHUNK)
        block = np.asarray(plane[rows])
        if first:
            block = np.where(block > 0, block + np.int32(first), block)
        array[(*at, rows)] = block


class PlainMasks(Mapping["PlaneIndex", "PlainMask"]):
    """Plain masks of the planes of one stack, compressed.

    They can be cleaned anew in any way without being computed again. Planes are of
    `size`, height and width in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._packed: dict[PlaneIndex, tuple[bytes, bytes | None]] = {}
        # Packed when the next one comes: of most stacks one plane is ever looked at.
        self._last: tuple[PlaneIndex, NDArray[np.uint8], Missing] | None = None

    def __contains__(self, index: object) -> bool:
        # In this order: another thread may be adding planes.
        last = self._last
        return (last is not None and last[0] == index) or index in self._packed

    def __iter__(self) -> Iterator[PlaneIndex]:
        yield from self._packed
        if self._last is not None:
            yield self._last[0]

    def __len__(self) -> int:
        return len(self._packed) + (self._last is not None)

    def __getitem__(self, index: PlaneIndex) -> PlainMask:
        # Read once: another thread may be adding planes.
        last = self._last
        if last is not None and last[0] == index:
            return last[1:]
        mask, missing = self._packed[index]
        none = None if missing is None else self._unpack(missing, np.bool_)
        return self._unpack(mask, np.uint8), none

    def _unpack(self, packed: bytes, dtype: DTypeLike) -> NDArray[Any]:
        return np.frombuffer(zlib.decompress(packed), dtype).reshape(self._size)

    def add(self, index: PlaneIndex, mask: NDArray[np.uint8], missing: Missing) -> None:
        """Keep the mask of a plane, not to be changed any more, if it is not there."""
        if index in self:
            return
        if self._last is not None:
            before, plain, none = self._last
            self._packed[before] = (_pack(plain), None if none is None else _pack(none))
        self._last = (index, mask, missing)

    def volume(self, at: PlaneIndex, depth: int) -> PlainMask:
        """Return the masks of all planes of a volume, (depth, H, W)."""
        masks, missing = zip(*(self[(*at, z)] for z in range(depth)), strict=True)
        if all(one is None for one in missing):
            return np.stack(masks), None
        none = np.zeros(self._size, dtype=bool)
        return np.stack(masks), np.stack(
            [none if one is None else one for one in missing]
        )


def _pack(plane: NDArray[np.generic]) -> bytes:
    return zlib.compress(np.ascontiguousarray(plane).data.cast("B"), 1)


def open_arrays(
    store: Any,
    lengths: tuple[int, ...],
    size: tuple[int, int],
    classes: int,
    *,
    plain: bool,
    settings: str,
) -> StackArrays:
    """Make the arrays for the results of a stack, or find those that were begun.

    `store` is a path, a zarr.Group or None for memory; `plain` whether plain masks are
    kept; `settings` a hash of all that the planes depend on. A store that holds
    something else or cannot be used is an InputError.
    """
    needed = math.prod(lengths) * math.prod(size) * (4 * classes + 6)
    in_memory = store is None and needed <= _NUMPY_BYTES
    group = None if in_memory else _open_group(store, settings)
    chunks = (1,) * len(lengths) + tuple(min(side, _CHUNK) for side in size)

    def make(name: str, dtype: DTypeLike, fill: float) -> Any:
        axes = len(lengths) if name == _NOTES else len(lengths) + 2
        shape = (lengths + size)[:axes]
        if group is None:
            return np.full(shape, fill, dtype=dtype)
        return _array_in(group, name, shape, chunks[:axes], np.dtype(dtype), fill)

    return StackArrays(
        similarities=tuple(
            make(f"similarity_{number}", np.float32, math.nan)
            for number in range(1, classes + 1)
        ),
        mask=make("mask", np.uint8, 0),
        instances=make("instances", np.int32, 0),
        plain=make("plain_mask", np.uint8, 0) if plain else None,
        notes=make(_NOTES, np.int32, _UNFINISHED),
    )


def _array_in(
    group: Any,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: np.dtype[Any],
    fill: float,
) -> Any:
    """Return an array that was begun, if it is as it would be made now, or make it."""
    import zarr

    # zarr raises whatever it stumbles over in a damaged folder.
    try:
        if name not in group:
            return group.create_array(
                name, shape=shape, chunks=chunks, dtype=dtype, fill_value=fill
            )
    except (KeyError, TypeError, ValueError) as error:
        raise _damaged(group, name) from error
    array = group[name]
    if (
        not isinstance(array, zarr.Array)
        or tuple(array.shape) != shape
        or array.dtype != dtype
    ):
        raise _damaged(group, name)
    check_array(array, _place(group))
    try:
        # A note that cannot be read is found now, and not after hours.
        if name == _NOTES:
            array[...]
    except (OSError, RuntimeError, TypeError, ValueError) as error:
        raise _damaged(group, name) from error
    return array


def _damaged(group: Any, name: str) -> InputError:
    return InputError(
        f"The results in {_place(group)} are damaged ({name}); delete them, or choose "
        "another place."
    )


def _place(group: Any) -> Path:
    """Return the folder of a group, or the name of another store."""
    return Path(getattr(group.store, "root", str(group.store_path)))


def _open_group(store: Any, settings: str) -> Any:
    import zarr

    if store is None:
        group: Any = zarr.create_group(store=zarr.storage.MemoryStore())
    elif isinstance(store, zarr.Group):
        group = store
    else:
        path = Path(store)
        if path.is_file() or (path.is_dir() and not _is_group(path)):
            raise InputError(
                f"{path} holds something else than results of a stack; choose another "
                "folder."
            )
        for begun in path.glob("*.partial"):
            # Of a program that was killed; zarr would wonder about it.
            begun.unlink(missing_ok=True)
        try:
            group = zarr.open_group(str(path), mode="a")
        except (ValueError, KeyError, TypeError) as error:
            msg = f"{path} cannot be used for the results: {error}"
            raise InputError(msg) from error
    mark = group.attrs.get(_MARK)
    if mark is None and not any(True for _ in group):
        # Before any array: from here on the group is known to be ours.
        group.attrs[_MARK] = {"settings": settings}
    elif not isinstance(mark, Mapping) or mark.get("settings") != settings:
        raise InputError(
            f"{store} holds results of another stack, reference or version, or of "
            "other options; choose another place, or delete it."
        )
    return group


def _is_group(path: Path) -> bool:
    # Killed before its first file was whole, a program leaves that file's beginning.
    return (path / "zarr.json").is_file() or all(
        file.suffix == ".partial" for file in path.iterdir()
    )
