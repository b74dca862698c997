"""From similarities to a mask of classes, a clean mask and instances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.validation import whole_from_zero

from .splitting import split_region

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from numpy.typing import NDArray


# Pixels or voxels that are looked at together.
_BLOCK = 16_000_000


@dataclass(frozen=True)
class Cleaning:
    """What is done to a plain mask.

    Attributes
    ----------
    min_size : int
        Objects of fewer pixels are removed.
    max_size : int or None
        Objects of more pixels are removed, after touching ones were separated; None
        keeps them all.
    fill_holes : bool
        Whether holes inside objects are filled.
    split : bool
        Whether touching objects are separated, and each gets a number of its own.

    Raises
    ------
    InputError
        If `min_size` or `max_size` is no whole number, or negative, or the smallest
        object would be larger than the largest.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> dp.Cleaning(min_size=20, fill_holes=True, split=True)
    Cleaning(min_size=20, fill_holes=True, split=True, max_size=None)
    """

    min_size: int = 0
    fill_holes: bool = False
    split: bool = False
    max_size: int | None = None

    def __post_init__(self) -> None:
        for name, which in (("min_size", "smallest"), ("max_size", "largest")):
            given = getattr(self, name)
            size = None if given is None else whole_from_zero(given)
            if size is None and (given is not None or name == "min_size"):
                msg = f"The {which} object must have 0 or more pixels, not {given}."
                raise InputError(msg)
            # numpy's integers have an end.
            object.__setattr__(self, name, size)
        if self.max_size is not None and self.max_size < self.min_size:
            raise InputError(
                f"No object has at least {self.min_size} and at most {self.max_size} "
                "pixels; make the largest object larger than the smallest."
            )

    def keeps(self, sizes: NDArray[Any]) -> NDArray[np.bool_]:
        """Tell which numbered objects are kept.

        Parameters
        ----------
        sizes : (N,) ndarray of integers
            In pixels.

        Returns
        -------
        (N,) ndarray of bool
        """
        kept = np.ones(len(sizes), dtype=bool)
        # The mask is clean, so that only parts can be too small.
        if self.split and self.min_size > 1:
            kept &= sizes >= self.min_size
        if self.max_size is not None:
            kept &= sizes <= self.max_size
        return kept


def class_mask(
    objects: torch.Tensor,
    thresholds: Sequence[float],
    competing_scores: torch.Tensor | None,
) -> NDArray[np.uint8]:
    """Give each pixel the class that claims it.

    A pixel belongs to a class if its similarity is above that class's threshold, and
    it competes best for the pixel among all classes.

    objects: (K, H, W) float32, similarities with the object classes; competing_scores:
    (K, H, W) float32 or None. Returns (H, W) uint8: 0, or the number of the class
    counted from 1.
    """
    limits = objects.new_tensor(list(thresholds))[:, None, None]
    claimed = objects > limits
    mask: NDArray[np.uint8]
    if competing_scores is None:
        # True is 1, which is the number of the only class.
        mask = claimed[0].cpu().numpy().view(np.uint8)
        return mask
    winner = competing_scores.argmax(dim=0)
    held = claimed.gather(0, winner[None])[0]
    mask = ((winner + 1) * held).byte().cpu().numpy()
    return mask


def clean_and_label(
    mask: NDArray[np.uint8],
    cleaning: Cleaning,
    no_data: NDArray[np.bool_] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Clean a plain mask and number its objects: (H, W) uint8 and int32.

    Pixels without data stay 0, whatever is filled around them. Where splitting dropped
    a fragment below the smallest size, both are 0.
    """
    cleaned = clean_mask(mask, cleaning)
    if no_data is not None:
        cleaned[no_data] = 0
    instances = split_instances(cleaned, cleaning)
    cleaned[instances == 0] = 0
    return cleaned, instances


def clean_mask(mask: NDArray[np.uint8], cleaning: Cleaning) -> NDArray[np.uint8]:
    """Remove small objects and fill holes, in a plane or through those of a volume.

    mask: (H, W) or (Z, H, W) uint8, class numbers. Returns the same: a hole takes the
    class that encloses it most closely. A speck that is removed leaves no hole in what
    is around it.
    """
    cleaned = mask.copy()
    if cleaning.fill_holes:
        _fill_holes(cleaned)
    if cleaning.min_size > 1:
        _remove_small(cleaned, cleaning.min_size)
        if cleaning.fill_holes:
            _fill_holes(cleaned)
    return cleaned


def _remove_small(mask: NDArray[np.uint8], min_size: int) -> None:
    for number in classes_in(mask):
        labels, count = label_regions(mask == number)
        small = count_sizes(labels, count) < min_size
        small[0] = False
        mask[small[labels]] = 0


def _fill_holes(mask: NDArray[np.uint8]) -> None:
    """Fill what a class encloses; of several, the one that does so most closely."""
    from scipy import ndimage as ndi

    classes = classes_in(mask)
    free = mask == 0
    smallest = np.full(mask.shape, mask.size, np.int64) if len(classes) > 1 else None
    filled: list[tuple[int, NDArray[np.bool_]]] = []
    for number in classes:
        labels, count = ndi.label(mask != number, output=np.int32)
        hole = np.ones(count + 1, dtype=bool)
        hole[0] = False
        hole[_on_the_edges(labels)] = False
        inside = hole[labels] & free
        if smallest is not None:
            sizes = count_sizes(labels, count)
            inside &= sizes[labels] < smallest
            smallest[inside] = sizes[labels[inside]]
        filled.append((number, inside))
    for number, inside in filled:
        mask[inside] = number


def _on_the_edges(labels: NDArray[np.int32]) -> NDArray[np.int32]:
    axes = range(labels.ndim)
    edges = [labels.take(at, axis).ravel() for axis in axes for at in (0, -1)]
    return np.unique(np.concatenate(edges))


def label_regions(region: NDArray[np.bool_]) -> tuple[NDArray[np.int32], int]:
    """Number what is connected, corner to corner too, in a plane or a volume."""
    from scipy import ndimage as ndi

    # scikit-image's takes twice the memory: its numbers have 64 bits.
    labels, count = ndi.label(region, np.ones((3,) * region.ndim), output=np.int32)
    return labels, int(count)


def count_sizes(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Count the pixels or voxels of each number, without a copy of the whole."""
    sizes = np.zeros(count + 1, dtype=np.int64)
    flat = labels.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        sizes += np.bincount(flat[start : start + _BLOCK], minlength=count + 1)
    return sizes


def classes_in(mask: NDArray[np.uint8]) -> list[int]:
    """List the class numbers of a mask, plane by plane: there may be many."""
    height, width = mask.shape[-2:]
    planes = mask.reshape(-1, height * width)
    return sorted({int(one) for plane in planes for one in np.unique(plane)} - {0})


def split_instances(mask: NDArray[np.uint8], cleaning: Cleaning) -> NDArray[np.int32]:
    """Number the objects of a clean mask.

    mask: (H, W) uint8, class numbers. Returns (H, W) int32: 0, or the number of the
    object counted from 1.
    """
    from skimage.measure import label
    from skimage.segmentation import relabel_sequential

    instances = np.zeros(mask.shape, dtype=np.int32)
    for number in classes_in(mask):
        region = mask == number
        parts = split_region(region).labels if cleaning.split else label(region)
        parts[~cleaning.keeps(np.bincount(parts.ravel()))[parts]] = 0
        found = parts > 0
        instances[found] = parts[found] + instances.max()
    return np.asarray(relabel_sequential(instances)[0], dtype=np.int32)
