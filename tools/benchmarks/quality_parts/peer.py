"""The peer on the same tokens: the pipeline of the installed napari-dinosim.

Its extraction is not run. Our tokens are cut into its crops, and all that comes after
is its own code: reference vector, pseudo labels, nearest neighbours, smoothing,
enlargement. It says 0 where all is alike and cuts at 0.5.
"""

from __future__ import annotations

from fractions import Fraction
from importlib import import_module
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_dinoprompt.core.backbones.load import FILTERBANK
from napari_dinoprompt.core.errors import InputError
from quality_parts.methods import Method, Score, Scored

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features.feature_map import FeatureMap


NAME = "peer"

_TOKENS = 14
_THRESHOLD = 0.5  # where its slider stands
_MOST_CROPS = 4


def peer_method(backbone: Backbone) -> Method:
    """Make a method of the peer.

    Parameters
    ----------
    backbone : Backbone
        A vision transformer; a crop of the peer is one input of it.

    Returns
    -------
    Method

    Raises
    ------
    InputError
        If the package is not installed, or the backbone has no tokens for it.
    """
    if backbone.info.name == FILTERBANK:
        msg = "The peer works on tokens of a transformer, not on the filter bank."
        raise InputError(msg)
    try:
        import_module("napari_dinosim.utils.dinoSim_pipeline")
    except ImportError as error:
        msg = f"The peer needs the package napari-dinosim 0.1.5: {error}"
        raise InputError(msg) from error
    side = int(getattr(backbone, "tile", _TOKENS))
    return Method(NAME, _scorer(side), background=False)


def _scorer(side: int) -> Score:
    def score(
        source: FeatureMap,
        target: FeatureMap,
        image: NDArray[np.generic],
        points: NDArray[np.float64],
        classes: Sequence[str],
    ) -> Scored:
        pipeline, smooth = _pipeline(source, side)
        start = perf_counter()
        where = [(0, float(x), float(y)) for y, x in points]
        with torch.inference_mode():
            pipeline.set_reference_vector(where, smooth)
            if target is not source:
                feed_tokens(pipeline, target, side)
            distances = pipeline.get_ds_distances_sameRef(verbose=False)
            found = pipeline.distance_post_processing(
                distances, smooth, upsampling_mode="bilinear"
            )
        seconds = perf_counter() - start
        height, width = target.grid.shape
        distance: NDArray[np.float32] = found[0, :height, :width, 0]
        return Scored(-distance, -_THRESHOLD, distance < _THRESHOLD, seconds)

    return score


def _pipeline(source: FeatureMap, side: int) -> tuple[Any, Callable[..., Any]]:
    """Set the peer up as its widget does."""
    utils = import_module("napari_dinosim.utils.utils")
    package = import_module("napari_dinosim.utils.dinoSim_pipeline")
    patch = source.backbone.patch
    pipeline = package.DINOSim_pipeline(
        None,
        patch,
        torch.device("cpu"),
        None,
        source.backbone.dimension,
        dino_image_size=side * patch,
    )
    feed_tokens(pipeline, source, side)
    kernel = torch.tensor(utils.gaussian_kernel(size=3, sigma=1), dtype=torch.float32)
    return pipeline, lambda values: utils.torch_convolve(values, kernel)


def feed_tokens(pipeline: Any, features: FeatureMap, side: int) -> None:
    """Hand our tokens over as the crops that the peer would have made.

    Parameters
    ----------
    pipeline : DINOSim_pipeline
        Its embeddings and what it knows of the image are set.
    features : FeatureMap
        Mirrored at the bottom and right up to whole crops.
    side : int
        Tokens along a crop.

    Raises
    ------
    InputError
        If no few crops make a whole number of pixels.
    """
    rows, columns, dimension = features.vectors.shape
    cell = Fraction(features.grid.cell).limit_denominator(64)
    crop = cell * side
    # As many crops as make a whole number of pixels: two where a crop ends on a half.
    unit = crop.denominator
    if unit > _MOST_CROPS:
        msg = f"The peer cannot be fed with cells of {features.grid.cell:g} pixels."
        raise InputError(msg)
    down, across = (-(-n // (side * unit)) * unit for n in (rows, columns))
    row, column = (
        torch.from_numpy(np.pad(np.arange(n), (0, side * crops - n), mode="symmetric"))
        for n, crops in ((rows, down), (columns, across))
    )
    # Ours are kept in half precision; the peer computes in single.
    padded = features.vectors[row][:, column].float()
    crops = padded.reshape(down, side, across, side, dimension).transpose(1, 2)
    pipeline.embeddings = crops.reshape(-1, side, side, dimension).contiguous()
    pipeline.embeddings_on_cpu = pipeline.emb_precomputed = True
    pipeline.overlap = pipeline.padding = (0, 0)
    length = float(crop)
    pipeline.crop_shape = (length, length, 1)
    pipeline.original_size = (1, int(crop * down), int(crop * across), 1)
    pipeline.resized_ds_size, pipeline.resize_pad_ds_size = [], []
