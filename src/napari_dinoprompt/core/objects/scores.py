"""Objects that come from elsewhere, chosen by how much they resemble the prompts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.lazy_plane import read_part
from napari_dinoprompt.core.progress import Progress

from .boxes import blocks_of, places_of

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from numpy.typing import NDArray


# What a threshold of pixels is of the similarity of the objects that it is for; as for
# points that are on no object.
_SHARE = 0.7
_STEPS = 100
_SAME = 1e-6


@dataclass(frozen=True, eq=False)
class ObjectScores:
    """How much each object resembles each class: its mean similarity.

    Attributes
    ----------
    names : tuple of K str
        Object classes.
    labels : (N,) ndarray of int64
        Object numbers, rising.
    scores : (N, K) ndarray of float64
        NaN for objects without data.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    scores: NDArray[np.float64]

    def thresholds(self, pixels: Mapping[str, float]) -> dict[str, float]:
        """Choose where objects of each class begin, from the thresholds of pixels.

        As `object_threshold`.
        """
        return {
            name: object_threshold(self.scores[:, at], pixels[name])
            for at, name in enumerate(self.names)
        }

    def classes(self, thresholds: Mapping[str, float]) -> NDArray[np.uint8]:
        """Give each object the class that it resembles most, if it does so enough.

        Returns (N,) uint8: class numbers from 1; 0 for an object of no class.
        """
        known = np.nan_to_num(self.scores, nan=-2.0)
        best = known.argmax(axis=1)
        limits = np.array([thresholds[name] for name in self.names])
        enough = known[np.arange(len(known)), best] > limits[best]
        return np.where(enough, best + 1, 0).astype(np.uint8)

    def paint(self, instances: NDArray[Any], values: NDArray[Any]) -> NDArray[Any]:
        """Give the pixels of each object its value, (N,); 0 elsewhere."""
        padded = np.concatenate((np.zeros(1, values.dtype), values))
        return np.asarray(padded[places_of(self.labels, instances)])


def iter_object_scores(
    instances: Any, similarities: Mapping[str, Any]
) -> Generator[Progress, None, ObjectScores]:
    """Take the mean similarity of each object with each class, block by block.

    Parameters
    ----------
    instances : (H, W) or (Z, H, W) array of integers
        Object numbers.
    similarities : mapping of str to array of float32
        Maps by class, of the same shape; NaN where there is no data.

    Yields
    ------
    Progress

    Returns
    -------
    ObjectScores

    Raises
    ------
    InputError
        If shapes do not fit.
    """
    for one in similarities.values():
        if tuple(one.shape) != tuple(instances.shape):
            raise InputError(
                f"The objects have shape {tuple(instances.shape)}, the image "
                f"{tuple(one.shape)}; give objects that were found in this image."
            )
    sums: dict[int, NDArray[np.float64]] = {}
    blocks = list(blocks_of(tuple(instances.shape)))
    for done, block in enumerate(blocks, start=1):
        labels, local = np.unique(read_part(instances, block), return_inverse=True)
        flat = local.ravel()
        found = np.zeros((len(labels), len(similarities), 2))
        for at, one in enumerate(similarities.values()):
            values = np.asarray(read_part(one, block), dtype=np.float64).ravel()
            known = np.isfinite(values)
            found[:, at, 0] = np.bincount(flat[known], values[known], len(labels))
            found[:, at, 1] = np.bincount(flat[known], minlength=len(labels))
        for label, one in zip(labels.tolist(), found, strict=True):
            sums[label] = sums[label] + one if label in sums else one
        yield Progress(done, len(blocks))
    sums.pop(0, None)
    order = sorted(sums)
    every = np.array([sums[one] for one in order]).reshape(-1, len(similarities), 2)
    with np.errstate(invalid="ignore"):
        scores = every[..., 0] / every[..., 1]
    return ObjectScores(tuple(similarities), np.array(order, np.int64), scores)


def object_threshold(scores: NDArray[np.float64], pixels: float) -> float:
    """Choose the score from which on an object is of a class.

    Half way between objects like the prompted ones and the mean of all that are below.

    Parameters
    ----------
    scores : (N,) ndarray of float64
    pixels : float
        The threshold of pixels, which tells how much prompted objects resemble their
        prompts.

    Returns
    -------
    float

    Notes
    -----
    As Ridler and Calvard, "Picture thresholding using an iterative selection method",
    IEEE Trans. SMC 8, 1978, but that the upper mean is known: where nothing resembles
    the prompts, nothing is chosen.
    """
    known = scores[np.isfinite(scores)]
    # No more alike than the best, lest no object be chosen where all are clear.
    like = min(pixels / _SHARE, float(known.max(initial=pixels)))
    threshold = pixels
    for _ in range(_STEPS):
        below = known[known < threshold]
        if not len(below):
            break
        before, threshold = threshold, (float(below.mean()) + like) / 2
        if abs(threshold - before) < _SAME:
            break
    # Where all are alike there are no two groups.
    return min(threshold, pixels)
