"""Where the result is in doubt, and what a prompt there would change."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.core.similarity import BACKGROUND_SHARE
from napari_dinoprompt.core.statistics import unit_vectors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.studying.subject import Subject

__all__ = ["Crowd", "distances", "make_crowd", "place_vectors"]


@dataclass(frozen=True, eq=False)
class Crowd:
    """Places spread over a plane that stand for all of it.

    Attributes
    ----------
    units : (M, D) ndarray of float32
        Their vectors at length 1.
    along : (M,) ndarray of float32
        Product of each with the sum of the class's unit vectors.
    total : (D,) ndarray of float32
        That sum.
    nearest : (M,) ndarray of float32
        Cosine with the nearest background prompt, at least 0.
    rival : (M,) ndarray of float32
        Similarity with the background's prototype; -inf where there is none.
    grounds : (m, D) ndarray of float32
        Unit vectors of the background prompts.
    threshold : float
        What the prompts are cut at.
    """

    units: NDArray[np.float32]
    along: NDArray[np.float32]
    total: NDArray[np.float32]
    nearest: NDArray[np.float32]
    rival: NDArray[np.float32]
    grounds: NDArray[np.float32]
    threshold: float

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which of the places are in the mask."""
        length = max(float(np.linalg.norm(self.total)), 1e-6)
        likeness = self.along / length
        above = likeness - BACKGROUND_SHARE * self.nearest > self.threshold
        return np.asarray(above & (likeness > self.rival))

    def changes(self, added: NDArray[np.float32]) -> NDArray[np.float64]:
        """Tell what one more prompt would change, as an object and as background.

        Parameters
        ----------
        added : (C, D) ndarray of float32
            Vectors of possible prompts, at length 1.

        Returns
        -------
        (C, 2) ndarray of float64
            Shares of the places that would change sides.
        """
        now, found = self.mask, np.zeros((len(added), 2))
        length = max(float(np.linalg.norm(self.total)), 1e-6)
        likeness = self.along / length
        ground = self.grounds.sum(axis=0)
        for k, unit in enumerate(added):
            near = self.units @ unit
            longer = max(float(np.linalg.norm(self.total + unit)), 1e-6)
            as_object = (self.along + near) / longer
            above = as_object - BACKGROUND_SHARE * self.nearest > self.threshold
            found[k, 0] = np.mean(now != (above & (as_object > self.rival)))
            nearest = np.maximum(self.nearest, near)
            away = max(float(np.linalg.norm(ground + unit)), 1e-6)
            rival = (self.units @ ground + near) / away
            above = likeness - BACKGROUND_SHARE * nearest > self.threshold
            found[k, 1] = np.mean(now != (above & (likeness > rival)))
        return found


def make_crowd(
    subject: Subject, places: NDArray[np.float64], threshold: float
) -> Crowd:
    """Look at places that stand for a plane.

    Parameters
    ----------
    subject : Subject
    places : (M, 2) ndarray of float64
        y and x in pixels.
    threshold : float

    Returns
    -------
    Crowd
    """
    reference = subject.reference
    prompts = reference.unit_vectors()
    units = place_vectors(subject, places)
    total = prompts[subject.members].sum(axis=0)
    grounds = prompts[[name == BACKGROUND for name in reference.classes]]
    nearest = np.zeros(len(units), dtype=np.float32)
    rival = np.full(len(units), -math.inf, dtype=np.float32)
    if len(grounds):
        nearest = (units @ grounds.T).max(axis=1).clip(min=0)
        rival = units @ reference.prototype(BACKGROUND)
    return Crowd(
        units=units,
        along=units @ total,
        total=total,
        nearest=nearest,
        rival=rival,
        grounds=grounds,
        threshold=threshold,
    )


def place_vectors(subject: Subject, places: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the vectors at some places, with the statistics applied, at length 1."""
    mean, inverse = subject.reference.affine()
    return unit_vectors((subject.features.interpolate(places) - mean) * inverse)


def distances(
    places: NDArray[np.float64], others: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return how far each place is from the nearest of some others, in pixels."""
    if len(others) == 0:
        return np.full(len(places), math.inf)
    apart = places[:, None] - others[None]
    return np.asarray(np.sqrt((apart**2).sum(axis=2)).min(axis=1))
