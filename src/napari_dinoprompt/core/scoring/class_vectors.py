"""The prompts' vectors by class: all that similarities and thresholds need of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import IncompatibleReferenceError, InputError
from napari_dinoprompt.core.features.statistics import FeatureStatistics, unit_vectors
from napari_dinoprompt.core.prompts import BACKGROUND, list_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import BackboneInfo, Scoring


@dataclass(frozen=True, eq=False)
class ClassVectors:
    """Vectors with their classes and what is done to vectors before the cosine.

    Attributes
    ----------
    vectors : (N, D) ndarray of float32
        One vector per prompt, as the backbone gave it; of a prompt that stands for an
        object, their mean in that object.
    classes : tuple of str
        The class of each prompt.
    areas : (N,) ndarray of float64
        Pixels of the object that each prompt stands for; 0 is the point alone.
    backbone : BackboneInfo
        What computed the vectors.
    statistics : FeatureStatistics
        Mean and scale of the source's features.
    scoring : {"plain", "centred", "standardised"}
        What of the statistics is applied before the cosine.
    """

    vectors: NDArray[np.float32]
    classes: tuple[str, ...]
    areas: NDArray[np.float64]
    backbone: BackboneInfo
    statistics: FeatureStatistics
    scoring: Scoring

    @property
    def class_names(self) -> tuple[str, ...]:
        """All classes in order of first appearance, *background* last."""
        ground = (BACKGROUND,) if BACKGROUND in self.classes else ()
        return (*self.object_classes, *ground)

    @property
    def object_classes(self) -> tuple[str, ...]:
        """The classes that make masks; class number 1, 2, … in this order."""
        return tuple(name for name in dict.fromkeys(self.classes) if name != BACKGROUND)

    def members(self, name: str) -> NDArray[np.bool_]:
        """Tell which prompts are of a class.

        Parameters
        ----------
        name : str
            One of `class_names`.

        Returns
        -------
        (N,) ndarray of bool

        Raises
        ------
        InputError
            If no prompt has this class.
        """
        members = np.asarray([held == name for held in self.classes])
        if not members.any():
            known = list_classes(self.class_names)
            raise InputError(
                f"The reference has no class {list_classes([name])!r}; it has {known}."
            )
        return members

    def affine(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what the scoring subtracts from vectors and multiplies them with.

        Returns
        -------
        mean, inverse_scale : (D,) ndarrays of float32
        """
        return self.statistics.affine(self.scoring)

    def unit_vectors(self) -> NDArray[np.float32]:
        """Return the prompts' vectors with the statistics applied, at length 1.

        Returns
        -------
        (N, D) ndarray of float32
            A vector without length stays 0.
        """
        mean, inverse = self.affine()
        return unit_vectors((self.vectors - mean) * inverse)

    def prototype(self, name: str) -> NDArray[np.float32]:
        """Return the mean of a class's unit vectors, at length 1 again.

        Parameters
        ----------
        name : str
            One of `class_names`.

        Returns
        -------
        (D,) ndarray of float32

        Raises
        ------
        InputError
            If no prompt has this class.
        """
        members = self.unit_vectors()[self.members(name)]
        return np.asarray(unit_vectors(members.mean(axis=0, keepdims=True))[0])

    def leave_one_out(self, name: str) -> NDArray[np.float32]:
        """Return each prompt's similarity with the prototype of its class's others.

        Parameters
        ----------
        name : str
            One of `class_names`.

        Returns
        -------
        (n,) ndarray of float32
            Empty if the class has fewer than two prompts.
        """
        members = self.unit_vectors()[self.members(name)]
        if len(members) < 2:
            return np.zeros(0, dtype=np.float32)
        others = unit_vectors(members.sum(axis=0) - members)
        return np.asarray((members * others).sum(axis=1))

    def check_backbone(self, backbone: BackboneInfo) -> None:
        """Refuse a backbone other than the one of these vectors.

        Parameters
        ----------
        backbone : BackboneInfo
            For example ``features.backbone``.

        Raises
        ------
        IncompatibleReferenceError
            If backbone, block, weights or dimension differ.
        """
        if backbone == self.backbone:
            return
        mine, other = str(self.backbone), str(backbone)
        if mine == other:
            mine += f" with weights {self.backbone.weights_hash[:12]}"
            other += f" with weights {backbone.weights_hash[:12]}"
        msg = f"The reference was made with {mine}; it does not fit {other}."
        raise IncompatibleReferenceError(msg)

    def check_objects(self) -> None:
        """Refuse to segment with background prompts only.

        Raises
        ------
        InputError
            If no class makes a mask.
        """
        if not self.object_classes:
            msg = "All prompts are background: add at least one on an object."
            raise InputError(msg)
