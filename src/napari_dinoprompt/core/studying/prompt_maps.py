"""One similarity map per prompt, from which that of any subset is a sum.

A cosine is linear in the sum of the prompts' unit vectors, and so is its fit to the
light. A map per prompt is therefore all that hundreds of subsets need.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.prompts import BACKGROUND
from napari_dinoprompt.core.similarity import BACKGROUND_SHARE, cosines
from napari_dinoprompt.core.studying.layers import Layers, Lens, block_means

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.studying.subject import Subject

__all__ = ["PromptMaps", "make_prompt_maps"]


@dataclass(frozen=True, eq=False)
class PromptMaps:
    """The maps of the prompts of one class, and what all subsets have in common.

    Attributes
    ----------
    prompts : Layers
        One map per prompt.
    background : Layers or None
        The share of the nearest background prompt, which is taken from each map.
    rival : (h, w) ndarray of float32 or None
        The highest similarity with another class, background included.
    gram : (n, n) ndarray of float64
        Cosines between the prompts.
    taken : (n,) ndarray of float64
        What the background takes from each prompt's own similarity.
    squares : (n, 2) ndarray of int64
        Square of `pool` cells that each prompt lies in; -9 on another plane.
    pool : int
        Side of the squares of cells of which one may be a best match.
    held : (h, w) ndarray of bool or None
        Blocks that hold data; None if all do.
    truth : (h, w) ndarray of bool or None
        Blocks of which most pixels are truly of an object.
    scale : float
        Pixels per row and column of the masks.
    """

    prompts: Layers
    background: Layers | None
    rival: NDArray[np.float32] | None
    gram: NDArray[np.float64]
    taken: NDArray[np.float64]
    squares: NDArray[np.int64]
    pool: int
    held: NDArray[np.bool_] | None
    truth: NDArray[np.bool_] | None
    scale: float

    @property
    def count(self) -> int:
        """How many prompts the class has."""
        return len(self.gram)

    @property
    def blocks(self) -> int:
        """How many blocks of the masks hold data."""
        if self.held is not None:
            return int(np.count_nonzero(self.held))
        return int(np.prod(self.prompts.shown.shape[1:]))


def make_prompt_maps(subject: Subject, without: int | None = None) -> PromptMaps:
    """Make the map of each prompt of the class that is studied.

    Parameters
    ----------
    subject : Subject
    without : int, optional
        A background prompt that is left out, by its index in the reference.

    Returns
    -------
    PromptMaps
    """
    features, reference = subject.features, subject.reference
    places = reference.points[subject.members]
    lens = Lens(features, places)
    units = reference.unit_vectors()
    own = units[subject.members]
    grounds = units[
        [
            index
            for index, name in enumerate(reference.classes)
            if name == BACKGROUND and index != without
        ]
    ]
    background = None
    taken = np.zeros(len(own))
    with torch.inference_mode():
        maps = cosines(features, reference, own, subject.lengths)
        prompts = Layers.stack([lens.look(one) for one in maps])
        near = cosines(features, reference, grounds, subject.lengths)
        if len(grounds):
            share = BACKGROUND_SHARE * near.amax(dim=0).clamp(min=0)
            background = lens.look(share)
            taken = BACKGROUND_SHARE * (own @ grounds.T).max(axis=1).clip(min=0)
        rival = _rival(subject, lens, grounds)
    gram = (own @ own.T).astype(np.float64)
    elsewhere = ~subject.here[subject.members]
    # Prompts on other planes have no place here; their own vectors tell.
    prompts.at[:, elsewhere] = gram[:, elsewhere]
    if background is not None:
        background.at[elsewhere] = taken[elsewhere]
    squares = np.floor(
        (features.grid.to_cells(places) + 0.5) / (lens.pool * lens.cell_thin)
    ).astype(np.int64)
    squares[elsewhere] = -9
    held = None if lens.held is None else np.asarray(lens.kept(lens.held), np.bool_)
    return PromptMaps(
        prompts=prompts,
        background=background,
        rival=rival,
        gram=gram,
        taken=np.asarray(taken, dtype=np.float64),
        squares=squares,
        pool=lens.pool,
        held=held,
        truth=_truth(subject, lens),
        scale=lens.step * lens.thin,
    )


def _rival(
    subject: Subject, lens: Lens, grounds: NDArray[np.float32]
) -> NDArray[np.float32] | None:
    """Find the highest similarity with another class; what is taken cancels out."""
    reference = subject.reference
    prototypes = [
        reference.prototype(name)
        for name in reference.object_classes
        if name != subject.class_name
    ]
    if len(grounds):
        total = grounds.sum(axis=0)
        prototypes.append(total / max(float(np.linalg.norm(total)), 1e-12))
    if not prototypes:
        return None
    maps = cosines(subject.features, reference, np.stack(prototypes), subject.lengths)
    rival = lens.plain(maps.amax(dim=0))
    return np.asarray(lens.kept(rival), dtype=np.float32)


def _truth(subject: Subject, lens: Lens) -> NDArray[np.bool_] | None:
    if subject.truth is None:
        return None
    there = block_means(subject.truth, lens.blocks, lens.step) > 0.5
    return np.asarray(lens.kept(there), dtype=np.bool_)
