"""What the files of all situations show, and the plain file of each content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from fault_parts.inputs import centres, draw
from skimage.draw import disk

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

SHAPE = (96, 120)
SQUARE = (104, 104)
"""A turned square fits, and would not be noticed."""


@dataclass(frozen=True)
class Situation:
    """A file as people have it.

    Attributes
    ----------
    kind : int
        Of the issue's list; 0 for those that are not on it.
    name : str
    source : str
        Repository and thread, "" for those of the list.
    write : callable
        Writes the file into a folder and returns its path.
    role : {"image", "truth", "fake", "points", "spacing"}
    like : str
        The content that the same numbers have as a plain file.
    plane : int or None
        Of the stack that the content is.
    options : tuple of str
        Of the command.
    """

    kind: int
    name: str
    source: str
    write: Callable[[Path], Path]
    role: str = "image"
    like: str = "grey8"
    plane: int | None = None
    options: tuple[str, ...] = ()
    expected: Any = None


def grey(seed: int = 0, shape: tuple[int, int] = SHAPE) -> NDArray[np.uint8]:
    """Bright discs on a dim noisy ground."""
    return draw(seed, shape)


def rgb(seed: int = 0) -> NDArray[np.uint8]:
    """Dark violet discs on a bright ground, as stained tissue has them."""
    share = grey(seed)[..., None] / 255
    colours = 245 - share * np.array([110, 190, 60])
    return np.asarray(colours.round().astype(np.uint8))


def labels(shape: tuple[int, int] = SHAPE) -> NDArray[np.uint16]:
    """Return the discs, numbered from 1."""
    found = np.zeros(shape, np.uint16)
    for number, centre in enumerate(centres(shape), start=1):
        found[disk(centre, 7, shape=shape)] = number
    return found


CONTENTS: dict[str, Callable[[], NDArray[Any]]] = {
    "grey8": grey,
    "square8": lambda: grey(0, SQUARE),
    "grey16": lambda: grey().astype(np.uint16) * 257,
    "grey12": lambda: grey().astype(np.uint16) * 16,
    "float": lambda: grey().astype(np.float32) / 255,
    "rgb8": rgb,
    "rgb16": lambda: rgb().astype(np.uint16) * 257,
}


def write_plain(folder: Path, like: str) -> Path:
    """Write a content as a plain TIFF."""
    path = folder / f"{like}.tif"
    pixels = CONTENTS[like]()
    tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else None)
    return path


def write_points(folder: Path, like: str) -> Path:
    """Write five prompts on discs."""
    path = folder / f"{like}.csv"
    lines = [f"{i},{y},{x}" for i, (y, x) in enumerate(prompts(like))]
    path.write_text("\n".join(["index,axis-0,axis-1", *lines]) + "\n")
    return path


def prompts(like: str) -> NDArray[np.float64]:
    """Return five prompts on discs, (5, 2)."""
    return centres(SQUARE if like == "square8" else SHAPE)[:5].astype(float)
