"""A reference applied to a large plane, region by region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.similarity import as_map, score_plane

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.progress import Notice
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.streaming.lazy_features import LazyFeatures
    from napari_dinoprompt.core.streaming.regions import Region

__all__ = ["RegionScores", "iter_scores"]


@dataclass(frozen=True, eq=False)
class RegionScores:
    """What a reference finds in a region.

    Attributes
    ----------
    region : Region
    similarity : (K, h, w) ndarray of float32
        With each object class; NaN where the plane holds no data.
    claims : (h, w) ndarray of uint8
        The class that may claim a pixel, counted from 1, if its similarity is above
        the threshold; 0 for none: background, no data, or a region that is blank or
        nothing but noise.
    """

    region: Region
    similarity: NDArray[np.float32]
    claims: NDArray[np.uint8]


def iter_scores(
    features: LazyFeatures, reference: Reference, regions: Sequence[Region]
) -> Generator[Notice | RegionScores, None, None]:
    """Score regions of a plane in the order given; raises what `score_plane` raises.

    A notice is given if the device was too small.
    """
    for region in regions:
        outer = features.regions.outer(region)
        part = yield from features.iter_part(outer)
        here = (slice(None), *region.within(outer))
        with torch.inference_mode():
            scored = score_plane(part, reference)
            objects = scored.object_pixels()[here].cpu()
            rivals = scored.rivals()
        missing = None if part.no_data is None else part.no_data[here[1:]]
        similarity = np.stack([as_map(one, missing) for one in objects])
        claims: NDArray[np.uint8]
        if part.featureless:
            claims = np.zeros(similarity.shape[1:], dtype=np.uint8)
        elif rivals is None:
            claims = np.ones(similarity.shape[1:], dtype=np.uint8)
        else:
            claims = rivals[here].argmax(dim=0).byte().cpu().numpy()
        if missing is not None:
            claims[missing] = 0
        yield RegionScores(region, similarity, claims)
