"""Where one more prompt would settle the most doubt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_dinoprompt.core.auto_threshold import rarity_of
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.progress import Progress, run_through
from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.core.studying.doubt import (
    distances,
    make_crowd,
    place_vectors,
)
from napari_dinoprompt.core.studying.prompt_maps import make_prompt_maps
from napari_dinoprompt.core.studying.subsets import Subset

if TYPE_CHECKING:
    from collections.abc import Generator

    from numpy.typing import NDArray

    from napari_dinoprompt.core.studying.prompt_maps import PromptMaps
    from napari_dinoprompt.core.studying.subject import Subject

__all__ = ["Rule", "Suggestion", "Suggestions", "iter_suggestions", "suggest"]

Rule = Literal["nearest", "change", "crowd"]
"""How places are ranked. *nearest*: by how near the similarity is to the threshold,
among the half of the places that most of the plane resembles. *change*: by how much of
the mask a prompt there is expected to change, as an object and as background by how
likely each is. *crowd*: by how much of the plane is in doubt and resembles the place.
What each gains is in docs/prompt-study.md."""

_CANDIDATES, _CROWD = 600, 3000
# Of the spread of all similarities: what is nearer to the threshold is in doubt.
_IN_DOUBT = 0.25
# The steepest half of the candidates lies on rims, where a click is ambiguous.
_SMOOTH = 0.5
# Room around prompts, earlier suggestions and the border.
_CELLS_APART, _PIXELS_APART = 3.0, 8.0
# Places that resemble an earlier suggestion less than this ask something new.
_ALIKE = 0.9


@dataclass(frozen=True)
class Suggestion:
    """A place for one more prompt.

    Attributes
    ----------
    point : (float, float)
        y and x in pixels.
    likely : str
        The class that the mask gives the place now, or ``"background"``; the user
        knows better.
    settles : float
        Share of the plane that is expected to change sides once it is answered.
    similarity : float
        Of the place, as the mask is cut.
    reason : str
        In words.
    """

    point: tuple[float, float]
    likely: str
    settles: float
    similarity: float
    reason: str


@dataclass(frozen=True, eq=False)
class Suggestions:
    """Places for one more prompt.

    Attributes
    ----------
    places : tuple of Suggestion
        The best first; each later one is to be shown when those before were skipped.
    threshold : float
        What the mask is cut at.
    """

    places: tuple[Suggestion, ...]
    threshold: float

    def rows(self) -> list[dict[str, object]]:
        """Return one record per place."""
        return [
            {
                "rank": rank,
                "y": one.point[0],
                "x": one.point[1],
                "likely": one.likely,
                "settles": one.settles,
                "similarity": one.similarity,
                "reason": one.reason,
            }
            for rank, one in enumerate(self.places, start=1)
        ]


def suggest(
    subject: Subject, *, count: int = 20, seed: int = 0, rule: Rule = "nearest"
) -> Suggestions:
    """Find places for one more prompt; see `iter_suggestions`."""
    return run_through(iter_suggestions(subject, count=count, seed=seed, rule=rule))


def iter_suggestions(
    subject: Subject,
    *,
    count: int = 20,
    seed: int = 0,
    rule: Rule = "nearest",
    maps: PromptMaps | None = None,
) -> Generator[Progress, None, Suggestions]:
    """Find places for one more prompt, step by step.

    They lie near the threshold, away from prompts, from each other, from the border
    and from the rims of objects.

    Parameters
    ----------
    subject : Subject
    count : int
        How many, at most.
    seed : int
        Of the places that are tried.
    rule : {"nearest", "change", "crowd"}
        How they are ranked, see `Rule`.
    maps : PromptMaps, optional
        Of the subject, if they are known.

    Yields
    ------
    Progress

    Returns
    -------
    Suggestions
        Fewer places, or none, where nothing is in doubt or there is no room.

    Raises
    ------
    InputError
        If no place is asked for.
    """
    if count < 1:
        msg = f"The number of suggestions must be at least 1, not {count}."
        raise InputError(msg)
    yield Progress(0, 3)
    maps = maps or make_prompt_maps(subject)
    yield Progress(1, 3)
    subset = Subset(
        maps, range(maps.count), rarity=rarity_of(subject.reference.scoring)
    )
    threshold = subset.find().threshold
    margin = subset.margins(threshold)
    rng = np.random.default_rng(seed)
    tried = _candidates(subject, maps, margin, rng)
    if len(tried.points) == 0:
        return Suggestions((), threshold)
    crowd_at = rng.choice(margin.size, min(_CROWD, margin.size), replace=False)
    rows, columns = np.unravel_index(np.sort(crowd_at), margin.shape)
    crowd = make_crowd(subject, _pixels(rows, columns, maps, subject), threshold)
    yield Progress(2, 3)
    units = place_vectors(subject, tried.points)
    changes = crowd.changes(units)
    expected = tried.chance * changes[:, 0] + (1 - tried.chance) * changes[:, 1]
    resembling = units @ crowd.units.T
    alike = (resembling > _ALIKE).mean(axis=1)
    # A lone speck may be anything, and tells about nothing else.
    common = alike >= np.median(alike)
    if rule == "change":
        value = expected
    elif rule == "crowd":
        doubt = _doubt(margin[rows, columns], tried.width)
        value = tried.doubt * (resembling.clip(min=0) ** 4 @ doubt)
    else:
        value = np.where(common, tried.doubt, 0)
    order = _pick(value, units, tried.points, _room(subject), count)
    places = tuple(
        _suggestion(subject, tried, k, threshold, float(expected[k]), float(alike[k]))
        for k in order
    )
    yield Progress(3, 3)
    return Suggestions(places, threshold)


@dataclass(frozen=True, eq=False)
class _Tried:
    """Places that come into question.

    Attributes
    ----------
    points : (C, 2) ndarray of float64
    margin : (C,) ndarray of float64
        Similarity less the threshold.
    doubt, chance : (C,) ndarrays of float64
        How near the threshold it is, and how likely an object, both in [0, 1].
    width : float
        Similarity within which there is doubt.
    """

    points: NDArray[np.float64]
    margin: NDArray[np.float64]
    doubt: NDArray[np.float64]
    chance: NDArray[np.float64]
    width: float


def _candidates(
    subject: Subject,
    maps: PromptMaps,
    margin: NDArray[np.float32],
    rng: np.random.Generator,
) -> _Tried:
    held = np.ones(margin.shape, np.bool_) if maps.held is None else maps.held
    width = max(_IN_DOUBT * float(margin[held].std()), 1e-3)
    doubt = _doubt(margin, width)
    down, across = np.gradient(margin) if min(margin.shape) > 1 else (margin, margin)
    slope = np.hypot(down, across)
    rows, columns = np.nonzero(held & (doubt > 0.01))
    points = _pixels(rows, columns, maps, subject)
    room = _room(subject)
    height, across_pixels = subject.features.grid.shape
    upper = np.array([height, across_pixels]) - 1 - room
    inside = ((points >= room) & (points <= upper)).all(axis=1)
    rows, columns, points = rows[inside], columns[inside], points[inside]
    if len(points) == 0:
        empty = np.zeros(0)
        return _Tried(points, empty, empty, empty, width)
    weight = doubt[rows, columns].astype(np.float64)
    some = min(4 * _CANDIDATES, len(points))
    chosen = rng.choice(len(points), some, replace=False, p=weight / weight.sum())
    prompts = subject.reference.points[subject.here]
    chosen = chosen[distances(points[chosen], prompts) >= room]
    rows, columns, points = rows[chosen], columns[chosen], points[chosen]
    if len(points):
        steep = slope[rows, columns]
        smooth = np.argsort(steep)[: max(1, int(_SMOOTH * len(steep)))][:_CANDIDATES]
        rows, columns, points = rows[smooth], columns[smooth], points[smooth]
    near = margin[rows, columns].astype(np.float64)
    return _Tried(
        points=points,
        margin=near,
        doubt=_doubt(near, width),
        chance=1 / (1 + np.exp(-np.clip(2 * near / width, -30, 30))),
        width=width,
    )


def _doubt(margin: NDArray[np.floating], width: float) -> NDArray[np.float64]:
    return np.asarray(np.exp(-((margin / width) ** 2)), dtype=np.float64)


def _room(subject: Subject) -> float:
    return max(_CELLS_APART * subject.features.grid.cell, _PIXELS_APART)


def _pixels(
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    maps: PromptMaps,
    subject: Subject,
) -> NDArray[np.float64]:
    """Return the middles of kept blocks in pixels, within the plane."""
    block = np.stack((rows, columns), axis=1) * maps.scale + (maps.block - 1) / 2
    return np.clip(block, 0, np.asarray(subject.features.grid.shape) - 1)


def _pick(
    value: NDArray[np.float64],
    units: NDArray[np.float32],
    points: NDArray[np.float64],
    room: float,
    count: int,
) -> list[int]:
    """Take the best, then the best of those that ask something else elsewhere."""
    left = value.astype(np.float64).copy()
    chosen: list[int] = []
    for _ in range(min(count, len(left))):
        best = int(np.argmax(left))
        if left[best] < 0:
            break
        chosen.append(best)
        near = np.sqrt(((points - points[best]) ** 2).sum(axis=1)) < room
        alike = (units @ units[best]).clip(0, 1)
        left *= 1 - 0.5 * alike**4
        left[near] = -1
    return chosen


def _suggestion(
    subject: Subject,
    tried: _Tried,
    k: int,
    threshold: float,
    settles: float,
    alike: float,
) -> Suggestion:
    similarity = float(tried.margin[k]) + threshold
    inside = tried.margin[k] > 0
    likely = subject.class_name if inside else BACKGROUND
    side = "just above" if inside else "just below"
    y, x = tried.points[k]
    return Suggestion(
        point=(float(y), float(x)),
        likely=likely,
        settles=settles,
        similarity=similarity,
        reason=(
            f"Its similarity of {similarity:.2f} is {side} the threshold of "
            f"{threshold:.2f}; {100 * alike:.1f} % of the image looks the same, and an "
            f"answer would change about {100 * settles:.1f} % of it."
        ),
    )
