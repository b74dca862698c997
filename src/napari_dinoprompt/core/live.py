"""Scoring one image again and again while its prompts change.

What depends on the image alone is prepared once; a change of the prompts then costs
one product with the feature map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.estimate import Estimate, available_memory, estimate
from napari_dinoprompt.core.extraction import iter_features
from napari_dinoprompt.core.planes import as_plane, plane_shape
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.core.reference import Reference
from napari_dinoprompt.core.segmentation import Similarities, score
from napari_dinoprompt.core.similarity import CellLengths
from napari_dinoprompt.core.statistics import SourceMeasures, measure_source
from napari_dinoprompt.core.thresholds import resolve_thresholds

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping, Sequence

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features import FeatureMap

__all__ = ["LiveResult", "PreparedImage", "apply_thresholds", "prepare_image", "update"]


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """The features of an image with all that scoring them needs but prompts.

    Attributes
    ----------
    features : FeatureMap
    measures : SourceMeasures
        Of these features: the image is the source of its prompts.
    lengths : CellLengths
    """

    features: FeatureMap
    measures: SourceMeasures
    lengths: CellLengths

    @classmethod
    def of(cls, features: FeatureMap) -> PreparedImage:
        """Prepare a feature map."""
        measures = measure_source(features)
        lengths = CellLengths.of(features, measures.statistics, features.scoring)
        return cls(features, measures, lengths)

    def reference(
        self, points: ArrayLike, classes: Sequence[str], *, source: str
    ) -> Reference:
        """Make a reference from prompts on the image; as `Reference.from_prompts`."""
        return Reference.from_prompts(
            self.features, points, classes, source=source, measures=self.measures
        )

    def score(self, reference: Reference) -> Similarities:
        """Score the image against a reference made on it; as `score`."""
        return score(self.features, reference, self.lengths)


def prepare_image(
    read_plane: Callable[[], ArrayLike],
    get_backbone: Callable[[], Backbone],
    upscale: float,
) -> Generator[Progress | Estimate, None, PreparedImage]:
    """Read a plane, load the backbone and extract the features, step by step.

    Parameters
    ----------
    read_plane : callable returning (H, W) or (H, W, 3 or 4) array_like
        Called first, so that a lazy image is read where the work is done.
    get_backbone : callable returning Backbone
    upscale : float

    Yields
    ------
    Estimate
        Once the backbone is loaded.
    Progress
        After reading, with a total of 0, and after each batch of tiles.

    Returns
    -------
    PreparedImage

    Raises
    ------
    InputError
        If the image or the upscale cannot be used, or the features need more memory
        than there is; and what `load_backbone` raises.
    """
    plane = as_plane(read_plane())
    yield Progress(0, 0)
    backbone = get_backbone()
    needed = estimate(plane_shape(plane), backbone, upscale)
    yield needed
    if needed.bytes > available_memory(backbone.device):
        msg = (
            f"The features would need about {needed.bytes / 1e9:.1f} GB, more than is "
            "free. Choose a lower upscale, a smaller backbone or a part of the image."
        )
        raise InputError(msg)
    features = yield from iter_features(plane, backbone, upscale=upscale)
    return PreparedImage.of(features)


@dataclass(frozen=True, eq=False)
class LiveResult:
    """What the current prompts find.

    Attributes
    ----------
    reference : Reference
        Of the prompts, with the thresholds that the user set.
    similarities : Similarities
    thresholds : mapping of str to float
        In use, by object class: set by the user, or auto.
    mask : (H, W) ndarray of uint8
        Plain class numbers, not cleaned.
    """

    reference: Reference
    similarities: Similarities
    thresholds: Mapping[str, float]
    mask: NDArray[np.uint8]


def update(
    prepared: PreparedImage,
    points: ArrayLike,
    classes: Sequence[str],
    chosen: Mapping[str, float],
    *,
    source: str,
) -> LiveResult:
    """Find what the prompts find, after they changed.

    Parameters
    ----------
    prepared : PreparedImage
    points : (N, 2) array_like
        y and x in pixels.
    classes : sequence of N str
    chosen : mapping of str to float
        Thresholds that the user set; classes without one are on auto, and classes
        without prompts are passed over.
    source : str
        Name of the image.

    Returns
    -------
    LiveResult

    Raises
    ------
    InputError
        If no prompt is on an object, or one lies outside the image.
    """
    reference = prepared.reference(points, classes, source=source)
    similarities = prepared.score(reference)
    return apply_thresholds(reference, similarities, chosen)


def apply_thresholds(
    reference: Reference, similarities: Similarities, chosen: Mapping[str, float]
) -> LiveResult:
    """Cut similarities anew, after a threshold changed.

    Parameters
    ----------
    reference : Reference
    similarities : Similarities
        Of this reference.
    chosen : mapping of str to float
        As `update`.

    Returns
    -------
    LiveResult
    """
    names = similarities.names
    known = {name: value for name, value in chosen.items() if name in names}
    reference = reference.with_thresholds(known)
    thresholds = resolve_thresholds(reference)
    return LiveResult(
        reference, similarities, thresholds, similarities.mask(thresholds)
    )
