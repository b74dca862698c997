"""Scoring one image again and again while its prompts change.

What depends on the image alone is prepared once; a change of the prompts then costs
one product with the feature map.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_dinoprompt.core.backbones import load_backbone
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.estimate import available_memory, estimate
from napari_dinoprompt.core.extraction import Progress, iter_features
from napari_dinoprompt.core.planes import as_plane, plane_shape
from napari_dinoprompt.core.reference import Reference
from napari_dinoprompt.core.segmentation import Similarities, score
from napari_dinoprompt.core.similarity import CellLengths
from napari_dinoprompt.core.statistics import FeatureStatistics, measure_statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features import FeatureMap

__all__ = ["BackboneChoice", "PreparedImage", "prepare_image"]


@dataclass(frozen=True)
class BackboneChoice:
    """Everything that decides which backbone is loaded and how.

    Attributes
    ----------
    name : str
    checkpoint : str or None
    device, precision : str
        As `load_backbone` takes them.
    """

    name: str
    checkpoint: str | None = None
    device: str = "auto"
    precision: str = "auto"

    def load(self) -> Backbone:
        """Load the backbone; errors as `load_backbone`."""
        return load_backbone(
            self.name,
            checkpoint=self.checkpoint,
            device=self.device,
            precision=self.precision,
        )


@dataclass(frozen=True, eq=False)
class PreparedImage:
    """The features of an image with all that scoring them needs but prompts.

    Attributes
    ----------
    features : FeatureMap
    statistics : FeatureStatistics
        Of these features: the image is the source of its prompts.
    lengths : CellLengths
    """

    features: FeatureMap
    statistics: FeatureStatistics
    lengths: CellLengths

    @classmethod
    def of(cls, features: FeatureMap) -> PreparedImage:
        """Prepare a feature map."""
        statistics = measure_statistics(features)
        lengths = CellLengths.of(features, statistics, features.scoring)
        return cls(features, statistics, lengths)

    def reference(
        self, points: ArrayLike, classes: Sequence[str], *, source: str
    ) -> Reference:
        """Make a reference from prompts on the image; as `Reference.from_prompts`."""
        return Reference.from_prompts(
            self.features, points, classes, source=source, statistics=self.statistics
        )

    def score(self, reference: Reference) -> Similarities:
        """Score the image against a reference made on it; as `score`."""
        return score(self.features, reference, self.lengths)


def prepare_image(
    read_plane: Callable[[], ArrayLike],
    get_backbone: Callable[[], Backbone],
    upscale: float,
) -> Generator[Progress, None, PreparedImage]:
    """Read a plane, load the backbone and extract the features, step by step.

    Parameters
    ----------
    read_plane : callable returning (H, W) or (H, W, 3 or 4) array_like
        Called first, so that a lazy image is read where the work is done.
    get_backbone : callable returning Backbone
    upscale : float

    Yields
    ------
    Progress
        After reading, after loading, and after each batch of tiles.

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
    yield Progress(0, 0)
    needed = estimate(plane_shape(plane), backbone, upscale)
    if backbone.device.type == "cpu" and needed.bytes > available_memory():
        msg = (
            f"The features would need about {needed.bytes / 1e9:.1f} GB, more than is "
            "free. Choose a lower upscale, a smaller backbone or a part of the image."
        )
        raise InputError(msg)
    features = yield from iter_features(plane, backbone, upscale=upscale)
    return PreparedImage.of(features)
