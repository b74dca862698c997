"""References: the prompts' vectors by class, with all that is needed to use them.

Everything that was estimated from an image (intensity window, mean and scale of the
features) is taken once from the source, kept here, and used unchanged on every other
image.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import IncompatibleReferenceError, InputError
from napari_dinoprompt.core.given import as_points
from napari_dinoprompt.core.prompts import BACKGROUND, OBJECT, Prompts, list_classes
from napari_dinoprompt.core.statistics import unit_vectors
from napari_dinoprompt.core.thresholds import check_threshold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import BackboneInfo, Scoring
    from napari_dinoprompt.core.features import FeatureMap
    from napari_dinoprompt.core.intensity import IntensityWindow
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.statistics import FeatureStatistics, SourceMeasures
    from napari_dinoprompt.core.streaming.lazy_features import LazyFeatures

__all__ = ["Reference", "Source"]


@dataclass(frozen=True)
class Source:
    """An image that prompts were placed on.

    Attributes
    ----------
    name : str
        For people; never used as a path.
    shape : (int, int)
        Height and width in pixels.
    pixel_size : (float, float) or None
        Height and width of a pixel, in the units of the image; None if not known.
    content_hash : str
        Of the planes that hold prompts, as `hash_planes` has it; empty if not known.
    """

    name: str
    shape: tuple[int, int]
    pixel_size: tuple[float, float] | None = None
    content_hash: str = ""


@dataclass(frozen=True, eq=False)
class Reference:
    """Reference vectors and what they were made with.

    Attributes
    ----------
    vectors : (N, D) ndarray of float32
        One vector per prompt, as the backbone gave it.
    classes : tuple of str
        The class of each prompt.
    points : (N, 2) ndarray of float64
        y and x of each prompt in pixels of its source.
    planes : tuple of N tuples of int
        The plane of its source that each prompt lies on, as indices along the axes
        before the last two; empty in a 2-D image.
    sources : tuple of Source
        The images.
    source_of : (N,) ndarray of int64
        Index into `sources` per prompt.
    backbone : BackboneInfo
        What computed the vectors.
    upscale : float
        Canvas pixels per image pixel.
    window : IntensityWindow
        Grey values of the source that the backbone saw as 0 and 1.
    statistics : FeatureStatistics
        Mean and scale of the source's features.
    scoring : {"plain", "centred", "standardised"}
        What of the statistics is applied before the cosine.
    auto_thresholds : mapping of str to float
        By object class, as `auto_thresholds` chose it on the source. They are kept,
        so that an image that holds no object cannot lower them.
    thresholds : mapping of str to float
        Thresholds that a user set, by class; classes without one are on auto.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> features = dp.extract_features(image, backbone)
    >>> points = [(20, 60), (20, 100), (60, 60)]
    >>> reference = dp.Reference.from_prompts(features, points)
    >>> reference.object_classes, len(reference.vectors)
    (('object',), 3)
    >>> path = reference.save("discs")
    >>> path.name
    'discs.reference.safetensors'
    >>> dp.Reference.load(path).points.tolist() == reference.points.tolist()
    True
    """

    vectors: NDArray[np.float32]
    classes: tuple[str, ...]
    points: NDArray[np.float64]
    planes: tuple[PlaneIndex, ...]
    sources: tuple[Source, ...]
    source_of: NDArray[np.int64]
    backbone: BackboneInfo
    upscale: float
    window: IntensityWindow
    statistics: FeatureStatistics
    scoring: Scoring
    auto_thresholds: Mapping[str, float]
    thresholds: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_prompts(
        cls,
        features: FeatureMap | LazyFeatures,
        points: ArrayLike,
        classes: Sequence[str] | None = None,
        *,
        source: str = "image",
        pixel_size: tuple[float, float] | None = None,
        measures: SourceMeasures | None = None,
    ) -> Reference:
        """Make a reference from prompts on one image.

        Parameters
        ----------
        features : FeatureMap or LazyFeatures
            Of the image that the prompts lie on.
        points : (N, 2) array_like
            y and x of the prompts in pixels, N at least 1.
        classes : sequence of N str, optional
            ``"object"``, ``"background"`` or names; all are ``"object"`` by default.
        source : str
            Name of the image.
        pixel_size : (float, float), optional
            Height and width of a pixel, if known.
        measures : SourceMeasures, optional
            Of `features`, if they are known already.

        Returns
        -------
        Reference

        Raises
        ------
        InputError
            If there are no prompts, a prompt lies outside the image or on no-data,
            or the numbers of points and classes differ.
        """
        # A copy: the reference must not change with the caller's array.
        where = as_points(points)
        if where.size == 0:
            msg = "There are no prompts: place at least one point on the image."
            raise InputError(msg)
        if isinstance(classes, str):
            msg = f"Classes are one name for each prompt, not {classes!r} for all."
            raise InputError(msg)
        names = (OBJECT,) * len(where) if classes is None else tuple(classes)
        prompts = Prompts(where, names)
        measures = measures or features.measures
        return cls.from_planes(
            {(): features}, prompts, measures, source=source, pixel_size=pixel_size
        )

    @classmethod
    def from_planes(
        cls,
        features: Mapping[PlaneIndex, FeatureMap | LazyFeatures],
        prompts: Prompts,
        measures: SourceMeasures,
        *,
        source: str = "image",
        pixel_size: tuple[float, float] | None = None,
    ) -> Reference:
        """Make a reference from prompts on several planes of one stack.

        Parameters
        ----------
        features : mapping of plane index to FeatureMap or LazyFeatures
            Of every plane that holds a prompt, all of one backbone, upscale and
            window.
        prompts : Prompts
            At least one.
        measures : SourceMeasures
            Pooled over the planes that hold prompts.
        source : str
            Name of the stack.
        pixel_size : (float, float), optional
            Height and width of a pixel, if known.

        Returns
        -------
        Reference

        Raises
        ------
        InputError
            If a prompt lies outside its plane or on no-data.
        """
        from napari_dinoprompt.core.references.making import make_reference

        made = make_reference(
            features,
            prompts,
            measures,
            source=source,
            lengths={},
            pixel_size=pixel_size,
        )
        return made.reference

    @classmethod
    def load(cls, path: str | Path) -> Reference:
        """Read a reference file.

        Parameters
        ----------
        path : str or Path
            A ``*.reference.safetensors`` file.

        Returns
        -------
        Reference

        Raises
        ------
        ReferenceFileError
            If the file is missing, damaged, foreign or from a newer version.
        """
        from napari_dinoprompt.core.references.file import load_reference

        return load_reference(Path(path))

    def save(self, path: str | Path) -> Path:
        """Write the reference to a file, whole or not at all.

        Parameters
        ----------
        path : str or Path
            The suffix ``.reference.safetensors`` is added where it is missing.

        Returns
        -------
        Path
            What was written.

        Raises
        ------
        ReferenceFileError
            If it cannot be written; an older file of that name is kept.
        """
        from napari_dinoprompt.core.references.file import save_reference

        return save_reference(self, Path(path))

    def __add__(self, other: object) -> Reference:
        """Join the prompts of two references, see `join_references`."""
        if not isinstance(other, Reference):
            return NotImplemented
        from napari_dinoprompt.core.references.joining import join_references

        return join_references(self, other)

    @property
    def class_names(self) -> tuple[str, ...]:
        """All classes in order of first appearance, *background* last."""
        names = dict.fromkeys(self.classes)
        objects = [name for name in names if name != BACKGROUND]
        return (*objects, BACKGROUND) if BACKGROUND in names else tuple(objects)

    @property
    def object_classes(self) -> tuple[str, ...]:
        """The classes that make masks; class number 1, 2, … in this order."""
        return tuple(name for name in self.class_names if name != BACKGROUND)

    def unit_vectors(self) -> NDArray[np.float32]:
        """Return the prompts' vectors with the statistics applied, at length 1.

        Returns
        -------
        (N, D) ndarray of float32
            A vector without length stays 0.
        """
        mean, inverse = self.affine()
        return unit_vectors((self.vectors - mean) * inverse)

    def affine(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return what the scoring subtracts from vectors and multiplies them with.

        Returns
        -------
        mean, inverse_scale : (D,) ndarrays of float32
        """
        return self.statistics.affine(self.scoring)

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

    def with_thresholds(self, thresholds: Mapping[str, float]) -> Reference:
        """Return a copy that carries thresholds set by a user.

        Parameters
        ----------
        thresholds : mapping of str to float
            In [-1, 1], by class. Classes that are left out are on auto; an empty
            mapping puts all on auto.

        Returns
        -------
        Reference

        Raises
        ------
        InputError
            If a threshold is not a number in [-1, 1] or its class is unknown.
        """
        checked = {}
        for name, value in thresholds.items():
            self.members(name)
            checked[name] = check_threshold(value, name)
        return replace(self, thresholds=checked)

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

    def warnings_for(
        self,
        *,
        upscale: float | None = None,
        window: IntensityWindow | None = None,
        pixel_size: tuple[float, float] | None = None,
    ) -> tuple[str, ...]:
        """Say what differs from how this reference was made, and may still be meant.

        Parameters
        ----------
        upscale : float, optional
            That an image is enlarged by.
        window : IntensityWindow, optional
            That it is seen in.
        pixel_size : (float, float), optional
            Of the image, in the units of the sources.

        Returns
        -------
        tuple of str
            One line each; empty if nothing differs. What is not given or not known is
            passed over.
        """
        from napari_dinoprompt.core.references.warnings import warn_of

        return warn_of(self, upscale=upscale, window=window, pixel_size=pixel_size)

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
            msg = (
                f"The reference has no class {list_classes([name])!r}; it has {known}."
            )
            raise InputError(msg)
        return members
