"""A mask that is too large to hold: cleaned, and its objects numbered.

The same as `cleaning.clean_and_label` on the whole mask, block by
block. Sizes and holes are those of the whole plane, however many blocks they cross.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.progress import Progress

from .block_splitting import SplitSizes, split_blocks
from .blocks import Block, Regions, cut_blocks, number_regions

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    import zarr
    from numpy.typing import DTypeLike, NDArray

    from .cleaning import Cleaning


_CHUNK = 512
_NO_HOLE = np.iinfo(np.int64).max


def finish_streamed(
    mask: Any,
    cleaning: Cleaning,
    group: zarr.Group,
    no_data: Any = None,
    *,
    sizes: SplitSizes | None = None,
) -> Generator[Progress, None, tuple[zarr.Array[Any], zarr.Array[Any]]]:
    """Clean a plain mask and number its objects, block by block.

    mask: (H, W) uint8; no_data: (H, W) bool. Returns mask (H, W) zarr.Array uint8;
    instances (H, W) zarr.Array int32.

    Notes
    -----
    Both are the same as for the whole mask at once, numbers included, with two
    exceptions when touching objects are split. Where two markers of an object have
    exactly the same height, a pixel half way between them may go to either. An object
    that is larger than a window is split window by window, and pixels count there as
    no further from the background than the windows overlap.

    Memory is needed for a few windows, and about 60 bytes for each piece of an object
    or of the background in a block.
    """
    sizes = sizes or SplitSizes()
    shape = (int(mask.shape[0]), int(mask.shape[1]))
    blocks = cut_blocks(shape, sizes.block)
    chunks = (_CHUNK, _CHUNK)
    cleaned = make_array(group, "mask", shape, chunks, np.uint8)
    instances = make_array(group, "instances", shape, chunks, np.int32)
    classes: set[int] = set()
    for block in blocks:
        part = np.asarray(mask[block.part], dtype=np.uint8)
        classes.update(np.unique(part).tolist())
        cleaned[block.part] = part
        yield Progress(block.number + 1, 0)
    found = sorted(classes - {0})
    steps = _steps(cleaned, instances, cleaning, no_data, found, blocks, sizes)
    total = len(blocks) * _count_passes(cleaning, no_data, len(found))
    for done, _ in enumerate(steps, start=1):
        yield Progress(min(done, total), total)
    return cleaned, instances


def make_array(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    chunks: tuple[int, ...],
    dtype: DTypeLike,
    fill: float = 0,
) -> Any:
    """Make an array for results of a large plane."""
    from zarr.codecs import BloscCodec

    return group.create_array(
        name,
        shape=shape,
        chunks=chunks,
        dtype=np.dtype(dtype),
        fill_value=fill,
        # Fast to read: several times on the way, and while the user pans.
        compressors=BloscCodec(cname="lz4", clevel=1),
    )


def _count_passes(cleaning: Cleaning, no_data: Any, classes: int) -> int:
    removing = cleaning.min_size > 1
    fills = (1 + removing) * cleaning.fill_holes
    numbering = 3 if cleaning.split else 2
    return fills * (classes + 1) + 2 * removing + (no_data is not None) + numbering


def _steps(
    cleaned: Any,
    instances: Any,
    cleaning: Cleaning,
    no_data: Any,
    classes: Sequence[int],
    blocks: list[Block],
    sizes: SplitSizes,
) -> Generator[None, None, None]:
    if cleaning.fill_holes:
        yield from _fill_holes(cleaned, classes, blocks)
    if cleaning.min_size > 1:
        yield from _remove_small(cleaned, cleaning.min_size, blocks)
        if cleaning.fill_holes:
            yield from _fill_holes(cleaned, classes, blocks)
    if no_data is not None:
        for block in blocks:
            part = cleaned[block.part]
            part[np.asarray(no_data[block.part], dtype=bool)] = 0
            cleaned[block.part] = part
            yield
    regions = yield from _objects(cleaned, blocks)
    if cleaning.split:
        yield from split_blocks(cleaned, instances, regions, blocks, cleaning, sizes)
        return
    order = np.lexsort((regions.seeds, regions.keys))
    numbers = np.zeros(len(order) + 1, dtype=np.int32)
    kept = cleaning.keeps(regions.sizes)
    order = order[kept[order]]
    numbers[order] = np.arange(1, len(order) + 1)
    for block in blocks:
        part = cleaned[block.part]
        found = np.asarray(regions.paint(block, part, numbers), np.int32)
        instances[block.part] = found
        if not kept.all():
            cleaned[block.part] = part * (found > 0)
        yield


def _objects(cleaned: Any, blocks: list[Block]) -> Generator[None, None, Regions]:
    def keys(rows: slice, columns: slice) -> NDArray[np.uint8]:
        return np.asarray(cleaned[rows, columns])

    # Diagonal neighbours are one object.
    return number_regions(keys, cleaned.shape, blocks, connectivity=2)


def _remove_small(
    cleaned: Any, min_size: int, blocks: list[Block]
) -> Generator[None, None, None]:
    regions = yield from _objects(cleaned, blocks)
    kept = np.append(regions.sizes >= min_size, False)
    for block in blocks:
        part = cleaned[block.part]
        cleaned[block.part] = part * regions.paint(block, part, kept)
        yield


def _fill_holes(
    cleaned: Any, classes: Sequence[int], blocks: list[Block]
) -> Generator[None, None, None]:
    """Fill what is enclosed by a class; the smallest enclosure counts."""
    height, width = cleaned.shape
    around: list[tuple[int, Regions, NDArray[np.int64]]] = []
    for number in classes:

        def keys(rows: slice, columns: slice, number: int = number) -> Any:
            return cleaned[rows, columns] != number

        regions = yield from number_regions(
            keys, (height, width), blocks, connectivity=1
        )
        boxes = regions.boxes
        open_ended = (boxes[:, :2] == 0).any(axis=1) | (
            boxes[:, 2:] == (height, width)
        ).any(axis=1)
        areas = np.where(open_ended, _NO_HOLE, regions.sizes)
        around.append((number, regions, np.append(areas, _NO_HOLE)))
    for block in blocks:
        part = cleaned[block.part]
        filled = part.copy()
        smallest = np.full(part.shape, _NO_HOLE)
        for number, regions, areas in around:
            area = regions.paint(block, part != number, areas)
            closest = (part == 0) & (area < smallest)
            filled[closest] = number
            smallest[closest] = area[closest]
        cleaned[block.part] = filled
        yield
