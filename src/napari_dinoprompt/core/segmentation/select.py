"""Objects from elsewhere, of which a reference chooses those like its prompts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt.core.features.feature_map import FeatureMap
from napari_dinoprompt.core.images.labels import as_objects
from napari_dinoprompt.core.images.lazy_plane import LazyArray, read_part
from napari_dinoprompt.core.objects.scores import ObjectScores, iter_object_scores
from napari_dinoprompt.core.objects.table import ObjectData, objects_table
from napari_dinoprompt.core.progress import Notice, Progress, runs_to_end
from napari_dinoprompt.core.references.reference import Reference, resolve_thresholds

from .large import ResultStore
from .similarities import Scores, maps_of, score_classes

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    import pandas as pd
    from numpy.typing import NDArray

    from napari_dinoprompt.core.features.large import LazyFeatures


@dataclass(frozen=True, eq=False)
class Selection:
    """Objects that resemble the prompts of a reference, of all that were given.

    Attributes
    ----------
    given : (H, W) or (Z, H, W) array of integers
        All objects.
    similarities : mapping of str to array of float32
        Maps by class.
    scores : ObjectScores
        Their mean similarity with each class.
    thresholds : mapping of str to float
        The score from which on an object is of a class.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> from skimage.measure import label
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> features = dp.extract_features(image, dp.load_backbone("filterbank"))
    >>> reference = dp.Reference.from_prompts(features, [(20, 20), (60, 60)])
    >>> found = dp.select_objects(label(image > 0), features, reference)
    >>> len(found.cut({"object": 0.999}).objects_table())
    0
    """

    given: Any
    similarities: Mapping[str, Any]
    scores: ObjectScores
    thresholds: Mapping[str, float]

    def cut(self, thresholds: Mapping[str, float]) -> Selection:
        """Choose anew, by other thresholds.

        Parameters
        ----------
        thresholds : mapping of str to float
            By class; the others stay.

        Returns
        -------
        Selection
        """
        return replace(self, thresholds={**self.thresholds, **thresholds})

    @property
    def mask(self) -> LazyArray:
        """(H, W) or (Z, H, W) array of uint8, made as it is sliced: class numbers."""
        return self._painted(self.scores.classes(self.thresholds))

    @property
    def instances(self) -> LazyArray:
        """The same of int32: the objects that are chosen, with the numbers they had."""
        chosen = self.scores.classes(self.thresholds) > 0
        return self._painted((self.scores.labels * chosen).astype(np.int32))

    def objects_table(
        self,
        channels: Mapping[str, Any] | None = None,
        pixel_size: tuple[float, ...] | None = None,
    ) -> pd.DataFrame:
        """Measure the objects that are chosen, as `Segmentation.objects_table`.

        Parameters
        ----------
        channels : mapping of str to array, optional
            Images whose intensities are wanted.
        pixel_size : sequence of float, optional
            Distance of pixels along each axis in micrometres.

        Returns
        -------
        pandas.DataFrame

        Raises
        ------
        InputError
            If a channel has another shape.
        """
        names, maps = self.scores.names, self.similarities
        found = self.instances, self.mask, names, maps, channels, pixel_size
        return objects_table(ObjectData(*found))

    def _painted(self, values: NDArray[Any]) -> LazyArray:
        read = partial(_read_painted, self.given, self.scores, values)
        return LazyArray(tuple(self.given.shape), values.dtype, read)


def _read_painted(
    given: Any, scores: ObjectScores, values: NDArray[Any], part: tuple[Any, ...]
) -> NDArray[Any]:
    return scores.paint(read_part(given, part), values)


def iter_select(
    given: Any,
    similarities: Mapping[str, Any],
    pixels: Mapping[str, float],
    chosen: Mapping[str, float] | None = None,
) -> Generator[Progress, None, Selection]:
    """Choose objects by maps of their image.

    `pixels` are the thresholds of pixels by class; `chosen` those of objects that the
    user set, the others are on auto.
    """
    scores = yield from iter_object_scores(given, similarities)
    thresholds = {**scores.thresholds(pixels), **(chosen or {})}
    return Selection(given, similarities, scores, thresholds)


def iter_select_objects(
    labels: Any,
    features: FeatureMap | LazyFeatures,
    reference: Reference,
    threshold: float | None = None,
) -> Generator[Progress | Notice, None, Selection]:
    """Choose, of objects that are known, those that look like the prompts.

    Whatever found them, such as StarDist, Cellpose or a person: each is kept or dropped
    as a whole, by its mean similarity. Of several classes the most similar counts.

    Parameters
    ----------
    labels : (H, W) array of whole numbers
        Objects; 0 is background. Of a large plane anything that can be sliced.
    features : FeatureMap or LazyFeatures
        Of the image.
    reference : Reference
    threshold : float, optional
        Mean similarity from which on an object is chosen, for all classes. By default
        half way between objects like the prompted ones, as the reference's threshold
        tells of them, and the mean of those below.

    Yields
    ------
    Progress
    Notice

    Returns
    -------
    Selection

    Raises
    ------
    InputError
        If the labels are not of the image, or no whole numbers.
    IncompatibleReferenceError
        If the features are of another backbone than the reference.

    References
    ----------
    Ridler, Calvard, "Picture thresholding using an iterative selection method", IEEE
    Trans. SMC 8, 1978: the default threshold, but with the upper mean given.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> from skimage.measure import label
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> image[:, 80:] //= 4
    >>> features = dp.extract_features(image, dp.load_backbone("filterbank"))
    >>> reference = dp.Reference.from_prompts(features, [(20, 20), (60, 60)])
    >>> found = dp.select_objects(label(image > 0), features, reference)
    >>> found.scores.labels.size, np.unique(found.instances[...]).size - 1
    (16, 8)
    """
    given = as_objects(labels) if isinstance(labels, np.ndarray | list) else labels
    scores: Scores
    if isinstance(features, FeatureMap):
        scores = score_classes(features, reference)
    else:
        scores = ResultStore.of(features, reference, plain=False)
        yield from scores.iter_fill(features, reference, features.regions.regions)
    names = reference.object_classes
    chosen = None if threshold is None else dict.fromkeys(names, threshold)
    pixels = resolve_thresholds(reference)
    return (yield from iter_select(given, maps_of(scores), pixels, chosen))


select_objects = runs_to_end("select_objects", iter_select_objects)
