"""Prompts: points or regions with a class, on the planes of one image."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import InputError
from .validation import as_points

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray


# Which plane of a stack: indices along the axes before the last two.
PlaneIndex = tuple[int, ...]
# In letters; longer ones cannot be saved.
_LONGEST_NAME = 1000
_SHOWN = 60
OBJECT = "object"
BACKGROUND = "background"


@dataclass(frozen=True, eq=False)
class Prompts:
    """Points with their classes, on the planes of one image.

    Attributes
    ----------
    points : (N, 2) ndarray of float64
        y and x in pixels.
    classes : tuple of N str
        ``"object"``, ``"background"`` or names.
    planes : tuple of N tuples of int
        Plane of each point; by default those of a 2-D image, which are empty.
    regions : tuple of N ((n, 2) ndarrays of int64 or None)
        The pixels of a prompt that was drawn; None of a point, which stands for the
        object that it is on.
    """

    points: NDArray[np.float64]
    classes: tuple[str, ...]
    planes: tuple[PlaneIndex, ...] = ()
    regions: tuple[NDArray[np.int64] | None, ...] = ()

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 2:
            raise InputError(
                "Prompts must be (N, 2) points (y, x), not of shape "
                f"{self.points.shape}."
            )
        count = len(self.points)
        if len(self.classes) != count:
            msg = f"There are {count} prompts but {len(self.classes)} classes."
            raise InputError(msg)
        for name in dict.fromkeys(self.classes):
            _check_class(name)
        if not self.planes:
            object.__setattr__(self, "planes", ((),) * count)
        if not self.regions:
            object.__setattr__(self, "regions", (None,) * count)
        if len(self.planes) != count:
            msg = f"There are {count} prompts but {len(self.planes)} planes."
            raise InputError(msg)

    @classmethod
    def of(cls, points: ArrayLike, classes: Sequence[str] | None = None) -> Prompts:
        """Check points on one plane, at least one; all are objects by default.

        points: (N, 2) array_like.
        """
        # A copy: prompts must not change with the caller's array.
        where = as_points(points)
        if where.size == 0:
            msg = "There are no prompts: place at least one point on the image."
            raise InputError(msg)
        if isinstance(classes, str):
            msg = f"Classes are one name for each prompt, not {classes!r} for all."
            raise InputError(msg)
        return cls(where, (OBJECT,) * len(where) if classes is None else tuple(classes))

    def keep(self, chosen: NDArray[np.bool_]) -> Prompts:
        """Return some of the prompts.

        chosen: (N,) bool.
        """
        kept = np.flatnonzero(chosen)
        return Prompts(
            points=self.points[kept],
            classes=tuple(self.classes[i] for i in kept),
            planes=tuple(self.planes[i] for i in kept),
            regions=tuple(self.regions[i] for i in kept),
        )

    @classmethod
    def of_regions(
        cls,
        labels: NDArray[np.integer[Any]],
        classes: Mapping[int, str] | None = None,
        plane: PlaneIndex = (),
    ) -> Prompts:
        """Make a prompt of each label of a plane, at the pixel that is furthest inside.

        labels: (H, W); classes: by label, objects by default.
        """
        from scipy import ndimage as ndi

        points, names, regions = [], [], []
        for label, box in enumerate(ndi.find_objects(labels), start=1):
            if box is None:
                continue
            region = np.pad(labels[box] == label, 1)
            corner = np.array([one.start - 1 for one in box])
            depth = ndi.distance_transform_edt(region)
            deepest = np.unravel_index(int(depth.argmax()), region.shape)
            points.append(np.array(deepest, dtype=np.float64) + corner)
            names.append((classes or {}).get(label, OBJECT))
            regions.append(np.argwhere(region) + corner)
        if not points:
            raise InputError("There are no prompts: no region is drawn on the image.")
        planes = (plane,) * len(points)
        return cls(np.array(points), tuple(names), planes, tuple(regions))


def _check_class(name: object) -> None:
    """Refuse what could later be neither shown nor saved."""
    if not is_class_name(name):
        raise InputError(
            f"A class is a text of 1 to {_LONGEST_NAME} letters on one line, not "
            f"{_shorten(name)}."
        )


def is_class_name(name: object) -> bool:
    """Tell whether something can be the name of a class."""
    return (
        isinstance(name, str)
        and bool(name.strip())
        and len(name) <= _LONGEST_NAME
        # Control characters, and halves of pairs.
        and not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in name)
    )


def list_classes(names: Iterable[str]) -> str:
    """Name classes in a message: in one line, whatever a file called them."""
    return ", ".join(
        name if name.isprintable() and len(name) <= _SHOWN else _shorten(name)
        for name in names
    )


def _shorten(name: object) -> str:
    text = ascii(name)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
