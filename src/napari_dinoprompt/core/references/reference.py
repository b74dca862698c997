"""References: vectors by class, thresholds in force, and warnings on use.

Everything that was estimated from an image (intensity window, mean and scale of the
features) is taken once from the source, kept here, and used unchanged on every other
image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.prompts import PlaneIndex, Prompts, list_classes

from .header import ReferenceFields, Source

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.features.large import LazyFeatures
    from napari_dinoprompt.core.features.statistics import SourceMeasures
    from napari_dinoprompt.core.images.intensity import IntensityWindow


# Objects that differ by less in size look the same to a backbone.
_PIXEL_TOLERANCE = 0.05
# Rounding, of the upscale itself or of the window's width.
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Reference(ReferenceFields):
    """Reference vectors and what they were made with.

    Attributes
    ----------
    vectors : (N, D) ndarray of float32
        One vector per prompt, as the backbone gave it; of a prompt that stands for an
        object, their mean in that object.
    classes : tuple of str
        The class of each prompt.
    areas : (N,) ndarray of float64
        Pixels of the object that each prompt stands for; 0 is the point alone.
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

    @classmethod
    def of(cls, fields: ReferenceFields) -> Reference:
        """Make a reference of all that it consists of.

        Parameters
        ----------
        fields : ReferenceFields

        Returns
        -------
        Reference
        """
        return cls(**vars(fields))

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
        points_only: bool = False,
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
        points_only : bool
            Take the features at the prompts alone, not those of the objects that they
            are on.

        Returns
        -------
        Reference

        Raises
        ------
        InputError
            If there are no prompts, a prompt lies outside the image or on no-data,
            or the numbers of points and classes differ.
        """
        prompts = Prompts.of(points, classes)
        measures = measures or features.measures
        return cls.from_planes(
            {(): features},
            prompts,
            measures,
            source=source,
            pixel_size=pixel_size,
            points_only=points_only,
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
        points_only: bool = False,
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
        points_only : bool
            As `from_prompts`.

        Returns
        -------
        Reference

        Raises
        ------
        InputError
            If a prompt lies outside its plane or on no-data.
        """
        from .from_prompts import iter_reference

        steps = iter_reference(
            features,
            prompts,
            measures,
            source=source,
            pixel_size=pixel_size,
            points_only=points_only,
        )
        return cls.of(run_to_end(steps).fields)

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
        from .file import load_reference

        return cls.of(load_reference(Path(path)))

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
        from .file import save_reference

        return save_reference(self, Path(path))

    def __add__(self, other: object) -> Reference:
        """Join the prompts of two references, see `join_references`."""
        if not isinstance(other, Reference):
            return NotImplemented
        from .joining import join_references

        return Reference.of(join_references(self, other))

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
        said = (
            _warn_of_upscale(self.upscale, upscale),
            _warn_of_window(self.window, window),
            _warn_of_pixels(self.sources, pixel_size),
        )
        return tuple(line for line in said if line)


def check_threshold(value: float, name: str) -> float:
    """Return a threshold of a class, unless it is no number in [-1, 1]."""
    if not (math.isfinite(value) and -1 <= value <= 1):
        shown = list_classes([name])
        msg = f"The threshold of {shown} must be a number in [-1, 1], not {value}."
        raise InputError(msg)
    return float(value)


def _warn_of_upscale(mine: float, other: float | None) -> str:
    if other is None or math.isclose(mine, other, rel_tol=_ROUNDING):
        return ""
    return (
        f"The reference was made at an upscale of {mine:g}, not {other:g}: objects "
        "look larger or smaller to the backbone."
    )


def _warn_of_window(mine: IntensityWindow, other: IntensityWindow | None) -> str:
    if other is None:
        return ""
    near = _ROUNDING * max(mine.high - mine.low, other.high - other.low)
    if abs(mine.low - other.low) <= near and abs(mine.high - other.high) <= near:
        return ""
    return (
        f"The reference was made in the intensity window {mine.low:g} to "
        f"{mine.high:g}, not {other.low:g} to {other.high:g}: a difference in "
        "brightness or contrast is forgiven."
    )


def _warn_of_pixels(
    sources: tuple[Source, ...], other: tuple[float, float] | None
) -> str:
    known = [one.pixel_size for one in sources if one.pixel_size is not None]
    if other is None or not known:
        return ""
    if any(_alike(size, other) for size in known):
        return ""
    mine = known[0]
    return (
        f"The reference was made on pixels of {mine[0]:g} x {mine[1]:g}, not "
        f"{other[0]:g} x {other[1]:g}: objects have another size in pixels."
    )


def _alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return all(
        abs(a / b - 1) <= _PIXEL_TOLERANCE if b else a == b
        for a, b in zip(other, one, strict=True)
    )


def resolve_thresholds(
    reference: Reference, threshold: float | None = None
) -> dict[str, float]:
    """Settle the threshold of each object class.

    By object class.
    """
    return {
        name: check_threshold(threshold, name)
        if threshold is not None
        else reference.thresholds.get(name, reference.auto_thresholds[name])
        for name in reference.object_classes
    }
