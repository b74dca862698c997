"""Which image of a file is meant, and which of its channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.lazy_plane import SlicedArray, full_key

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class Pick:
    """What is wanted of a file that holds several images or channels.

    Attributes
    ----------
    series : int or None
        Which image of a TIFF, from 0; None if it holds only one.
    channel : str or None
        Number, from 0, or name of a channel; None takes all of them.
    """

    series: int | None = None
    channel: str | None = None

    def pick_channel(
        self, array: Any, axes: str, names: Sequence[str | None], path: Path
    ) -> tuple[Any, str]:
        """Take the channel from an array with one letter per axis."""
        if self.channel is None:
            return array, axes
        found = [at for at, axis in enumerate(axes) if axis not in "TZYX"]
        if len(found) != 1:
            raise InputError(
                f"{path} has no axis of channels (axes {axes}); leave out --channel."
            )
        (axis,) = found
        view = ChannelView(array, axis, self._number(array.shape[axis], names, path))
        rest = axes[:axis] + axes[axis + 1 :]
        return (view[...] if isinstance(array, np.ndarray) else view), rest

    def _number(self, count: int, names: Sequence[str | None], path: Path) -> int:
        known = [name or "" for name in names]
        if self.channel in known:
            return known.index(self.channel)
        if str(self.channel).isdecimal() and int(str(self.channel)) < count:
            return int(str(self.channel))
        listed = ", ".join(
            f"{at} ({one})" if one else str(at)
            for at, one in enumerate(known if len(known) == count else [""] * count)
        )
        raise InputError(
            f"{path} has no channel {self.channel!r}; its channels are {listed}."
        )


# The only image of a file, with all its channels.
EVERYTHING = Pick()


class ChannelView(SlicedArray):
    """One place along an axis of an array, read where it is sliced."""

    def __init__(self, array: Any, axis: int, number: int) -> None:
        self._array, self._axis, self._number = array, axis, number
        self.shape = (*array.shape[:axis], *array.shape[axis + 1 :])
        self.dtype = np.dtype(array.dtype)

    def __getitem__(self, part: Any) -> NDArray[Any]:
        """Read a part."""
        key = list(full_key(part, self.ndim))
        key.insert(self._axis, self._number)
        return np.asarray(self._array[tuple(key)])
