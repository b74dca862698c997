"""What each prompt does: the result without it, and of it alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.core.prompts import BACKGROUND

from .prompt_maps import PromptMaps, Subset, iou, make_prompt_maps

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from .subject import Subject


# A prompt whose absence changes less of the mask can be spared.
_SPARE = 0.02
# An outlier's similarity with the others is below this share of their threshold, or
# its likeness is below theirs by this many robust standard deviations and this gap;
# chosen by measurement (docs/prompt-study.md).
_FAR_BELOW = 0.5
_DEVIATIONS, _LEAST_GAP = 2.0, 0.2
# Of a normal distribution, the standard deviation over the median deviation.
_ROBUST = 1.4826
_LEAST_PROMPTS = 3
# Above this cosine two prompts point the same way.
_ALIKE = 0.95


@dataclass(frozen=True, eq=False)
class Influence:
    """What each prompt of a reference does to the mask of one class.

    Arrays have one entry per prompt of the reference, in its order; NaN where nothing
    can be said, as of prompts of other object classes.

    Attributes
    ----------
    numbers : (N,) ndarray of int64
        As people count them, from 1.
    classes : tuple of N str
    points : (N, 2) ndarray of float64
        y and x in pixels.
    left_out : (N,) ndarray of float64
        What leaving the prompt out changes: blocks in which the two masks differ, of
        those in either.
    pixels : (N,) ndarray of float64
        The same as a share of the plane.
    left_out_iou : (N,) ndarray of float64
        IoU with the truth without it; NaN if there is no truth.
    alone : (N,) ndarray of float64
        IoU of the mask that it makes alone with that of all.
    alone_iou : (N,) ndarray of float64
        IoU with the truth of the mask that it makes alone.
    similarity : (N,) ndarray of float64
        Median cosine with the others of its class.
    full_iou : float
        IoU with the truth of all prompts together.
    outliers : tuple of int
        Indices of prompts that look like none of the others.
    redundant : tuple of tuple of int
        Indices of prompts that say the same.
    sentences : tuple of str
        Both in words.
    """

    numbers: NDArray[np.int64]
    classes: tuple[str, ...]
    points: NDArray[np.float64]
    left_out: NDArray[np.float64]
    pixels: NDArray[np.float64]
    left_out_iou: NDArray[np.float64]
    alone: NDArray[np.float64]
    alone_iou: NDArray[np.float64]
    similarity: NDArray[np.float64]
    full_iou: float
    outliers: tuple[int, ...]
    redundant: tuple[tuple[int, ...], ...]
    sentences: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The answer in words."""
        return " ".join(self.sentences)

    def rows(self) -> list[dict[str, object]]:
        """Return one record per prompt."""
        return [
            {
                "prompt": int(self.numbers[i]),
                "class": self.classes[i],
                "y": float(self.points[i, 0]),
                "x": float(self.points[i, 1]),
                **{name: float(getattr(self, name)[i]) for name in _FIGURES},
                "outlier": int(i in self.outliers),
                "same_as": " ".join(
                    str(other + 1)
                    for group in self.redundant
                    if i in group
                    for other in group
                    if other != i
                ),
            }
            for i in range(len(self.numbers))
        ]


_FIGURES = (
    *("left_out", "pixels", "left_out_iou", "alone", "alone_iou", "similarity"),
)


def iter_influence(
    subject: Subject, *, maps: PromptMaps | None = None
) -> Generator[Progress, None, Influence]:
    """Leave each prompt out, and take each alone, step by step."""
    classes = subject.reference.classes
    grounds = [i for i, name in enumerate(classes) if name == BACKGROUND]
    total = len(subject.members) + len(grounds)
    yield Progress(0, total)
    maps = maps or make_prompt_maps(subject)
    table = _Table(subject, maps)
    for place, index in enumerate(subject.members):
        table.take_object(place, int(index))
        yield Progress(place + 1, total)
    for done, index in enumerate(grounds, start=len(subject.members) + 1):
        table.take_background(index)
        yield Progress(done, total)
    return table.finish(grounds)


class _Table:
    """Collects the figures of the prompts."""

    def __init__(self, subject: Subject, maps: PromptMaps) -> None:
        self._subject = subject
        self._maps = maps
        self._all = self._find(maps, range(maps.count))
        count = len(subject.reference.classes)
        self._figures = {name: np.full(count, math.nan) for name in _FIGURES}
        self._missed = np.zeros(maps.count, dtype=np.bool_)
        self._cuts = np.ones(maps.count)
        self._likeness = np.full(maps.count, math.nan)

    def _find(self, maps: PromptMaps, members: range | list[int]) -> NDArray[np.bool_]:
        return Subset(maps, members).find().mask

    def take_object(self, place: int, index: int) -> None:
        """Leave out one prompt of the class, and take it alone."""
        maps, figures = self._maps, self._figures
        alone = self._find(maps, [place])
        figures["alone"][index] = iou(alone, self._all)
        if maps.truth is not None:
            figures["alone_iou"][index] = iou(alone, maps.truth)
        if maps.count > 1:
            others = [one for one in range(maps.count) if one != place]
            found = Subset(maps, others).find()
            here = bool(self._subject.here[index])
            self._missed[place] = not here or not found.mask[self._block(index)]
            self._cuts[place] = found.threshold
            square = maps.gram[np.ix_(others, others)].sum()
            along = maps.gram[place, others].sum()
            self._likeness[place] = along / math.sqrt(max(square, 1e-12))
            self._compare(index, found.mask)

    def _block(self, index: int) -> tuple[int, int]:
        """Find the block of a prompt; of one on another plane any will do."""
        point = self._subject.reference.points[index]
        last = np.asarray(self._all.shape) - 1
        row, column = np.clip((point + 0.5) // self._maps.scale, 0, last)
        return int(row), int(column)

    def take_background(self, index: int) -> None:
        """Leave out one background prompt; alone it finds nothing."""
        without = make_prompt_maps(
            self._subject, without=index, places=self._maps.places
        )
        self._compare(index, self._find(without, range(without.count)))

    def _compare(self, index: int, mask: NDArray[np.bool_]) -> None:
        maps, figures = self._maps, self._figures
        figures["left_out"][index] = 1 - iou(mask, self._all)
        differ = int(np.count_nonzero(mask ^ self._all))
        figures["pixels"][index] = differ / max(1, maps.blocks)
        if maps.truth is not None:
            figures["left_out_iou"][index] = iou(mask, maps.truth)

    def finish(self, grounds: list[int]) -> Influence:
        """Judge the prompts and put it into words."""
        reference, members = self._subject.reference, self._subject.members
        maps, figures = self._maps, self._figures
        alike = likeness(maps.gram)
        figures["similarity"][members] = alike
        units = reference.unit_vectors()[grounds].astype(np.float64)
        figures["similarity"][grounds] = likeness(units @ units.T)
        apart = find_outliers(alike, self._likeness, self._cuts, self._missed)
        outliers = tuple(int(members[i]) for i in apart)
        # NaN, of a lone prompt, is not spare.
        spare = [bool(figures["left_out"][i] <= _SPARE) for i in members]
        redundant = tuple(
            tuple(int(members[i]) for i in group)
            for group in alike_groups(maps.gram, spare)
        )
        truth = maps.truth
        return Influence(
            numbers=np.arange(1, len(reference.classes) + 1),
            classes=reference.classes,
            points=reference.points,
            **figures,
            full_iou=math.nan if truth is None else iou(self._all, truth),
            outliers=outliers,
            redundant=redundant,
            sentences=_say(outliers, redundant),
        )


def _say(
    outliers: tuple[int, ...], redundant: tuple[tuple[int, ...], ...]
) -> tuple[str, ...]:
    lines = [f"Prompt {i + 1} looks like none of the others." for i in outliers]
    for group in redundant:
        *first, last = (str(i + 1) for i in group)
        lines.append(f"Prompts {', '.join(first)} and {last} say the same.")
    return tuple(lines) or ("Every prompt fits the others and adds something.",)


def likeness(gram: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the median cosine of each prompt with the others; NaN for a lone one.

    Takes gram (n, n). Unlike with a mean, one bad prompt hardly lowers the others.
    """
    if len(gram) < 2:
        return np.full(len(gram), np.nan)
    others = gram[~np.eye(len(gram), dtype=np.bool_)].reshape(len(gram), -1)
    return np.asarray(np.median(others, axis=1))


def find_outliers(
    likeness: NDArray[np.float64],
    similarity: NDArray[np.float64],
    threshold: NDArray[np.float64],
    missed: NDArray[np.bool_],
) -> tuple[int, ...]:
    """Find the prompts that look like none of the others.

    Each is asked of the others, as a place of the image: they do not find it. Beside
    that, its similarity with them is not even near to what they are cut at, or it
    stands apart from theirs with each other.

    Takes likeness, similarity, threshold, missed (n,): `likeness` of each, its cosine
    with the prototype of the others, what they are cut at, and whether it lies outside
    their mask. The least alike comes first; at most every third prompt, and none of
    fewer than three, of which nobody could tell.
    """
    count = len(likeness)
    if count < _LEAST_PROMPTS:
        return ()
    apart = (similarity < _FAR_BELOW * threshold) | (likeness < _lower_end(likeness))
    order = np.argsort(likeness)
    return tuple(int(i) for i in order if apart[i] and missed[i])[: max(1, count // 3)]


def _lower_end(likeness: NDArray[np.float64]) -> float:
    """Return what likeness the prompts have at least, but for the least alike."""
    rest = np.sort(likeness)[1:]
    middle = float(np.median(rest))
    spread = _ROBUST * float(np.median(np.abs(rest - middle)))
    return middle - max(_DEVIATIONS * spread, _LEAST_GAP)


def alike_groups(
    gram: NDArray[np.float64], spare: Sequence[bool]
) -> tuple[tuple[int, ...], ...]:
    """Find groups of prompts that are all alike and can each be spared.

    Takes gram (n, n).
    """
    free = [i for i in range(len(gram)) if spare[i]]
    groups: list[tuple[int, ...]] = []
    while free:
        first, *rest = free
        group = [first]
        for other in rest:
            if all(gram[other, one] >= _ALIKE for one in group):
                group.append(other)
        if len(group) > 1:
            groups.append(tuple(group))
        free = [i for i in rest if i not in group]
    return tuple(groups)
