"""Masks of many planes before they are cleaned, in little memory."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from napari_dinoprompt.core.prompts import PlaneIndex

    Missing = NDArray[np.bool_] | None

__all__ = ["PlainMasks"]


class PlainMasks:
    """Plain masks of the planes of one stack, compressed.

    They can be cleaned anew in any way without being computed again.

    Parameters
    ----------
    size : (int, int)
        Height and width of the planes in pixels.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._packed: dict[PlaneIndex, tuple[bytes, bytes | None]] = {}
        # Packed when the next one comes: of most stacks one plane is ever looked at.
        self._last: tuple[PlaneIndex, NDArray[np.uint8], Missing] | None = None

    def __contains__(self, index: object) -> bool:
        return index in self._packed or (
            self._last is not None and self._last[0] == index
        )

    def __iter__(self) -> Iterator[PlaneIndex]:
        yield from self._packed
        if self._last is not None:
            yield self._last[0]

    def __len__(self) -> int:
        return len(self._packed) + (self._last is not None)

    def add(self, index: PlaneIndex, mask: NDArray[np.uint8], missing: Missing) -> None:
        """Keep the mask of a plane that is not there yet.

        Parameters
        ----------
        index : tuple of int
        mask : (H, W) ndarray of uint8
            Not to be changed any more.
        missing : (H, W) ndarray of bool or None
            Pixels without data.
        """
        if index in self:
            return
        if self._last is not None:
            before, plain, none = self._last
            packed = None if none is None else zlib.compress(_bytes(none), 1)
            self._packed[before] = (zlib.compress(_bytes(plain), 1), packed)
        self._last = (index, mask, missing)

    def get(self, index: PlaneIndex) -> tuple[NDArray[np.uint8], Missing]:
        """Return the mask of a plane and its pixels without data."""
        # Read once: another thread may be adding planes.
        last = self._last
        if last is not None and last[0] == index:
            return last[1:]
        packed, missing = self._packed[index]
        mask = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(self._size)
        if missing is None:
            return mask, None
        none = np.frombuffer(zlib.decompress(missing), np.bool_).reshape(self._size)
        return mask, none

    def volume(self, at: PlaneIndex, depth: int) -> tuple[NDArray[np.uint8], Missing]:
        """Return the masks of all planes of a volume.

        Parameters
        ----------
        at : tuple of int
            Along the axes before the last of the stack.
        depth : int
            Length of that last axis.

        Returns
        -------
        mask : (depth, H, W) ndarray of uint8
        missing : (depth, H, W) ndarray of bool or None
        """
        mask = np.empty((depth, *self._size), dtype=np.uint8)
        missing: Missing = None
        for z in range(depth):
            mask[z], none = self.get((*at, z))
            if none is not None:
                if missing is None:
                    missing = np.zeros(mask.shape, dtype=bool)
                missing[z] = none
        return mask, missing


def _bytes(plane: NDArray[np.generic]) -> memoryview:
    return np.ascontiguousarray(plane).data.cast("B")
