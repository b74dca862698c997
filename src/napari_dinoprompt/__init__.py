"""Zero-shot prompt segmentation with DINOv2 features.

The public functions are imported when they are first used: importing the package
loads neither torch nor Qt nor napari.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_dinoprompt.core.backbones import load_backbone
    from napari_dinoprompt.core.comparing.comparison import compare
    from napari_dinoprompt.core.comparing.report import Comparison
    from napari_dinoprompt.core.errors import DinopromptError
    from napari_dinoprompt.core.extraction import extract_features, iter_features
    from napari_dinoprompt.core.features import FeatureMap
    from napari_dinoprompt.core.intensity import IntensityWindow, measure_window
    from napari_dinoprompt.core.masks import Cleaning
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation import (
        Segmentation,
        SegmentOptions,
        segment,
    )
    from napari_dinoprompt.core.similarity import similarity_map
    from napari_dinoprompt.core.stacking.results import StackSegmentation
    from napari_dinoprompt.core.stacking.segmentation import segment_stack
    from napari_dinoprompt.core.stacking.volumes import finish_volume
    from napari_dinoprompt.core.streaming.lazy_features import LazyFeatures
    from napari_dinoprompt.core.streaming.sampling import lazy_features
    from napari_dinoprompt.core.streaming.segmentation import LargeSegmentation
    from napari_dinoprompt.core.studying.report import Study
    from napari_dinoprompt.core.studying.study import study

__all__ = [
    "Cleaning",
    "Comparison",
    "DinopromptError",
    "FeatureMap",
    "IntensityWindow",
    "LargeSegmentation",
    "LazyFeatures",
    "Reference",
    "SegmentOptions",
    "Segmentation",
    "StackSegmentation",
    "Study",
    "compare",
    "extract_features",
    "finish_volume",
    "iter_features",
    "lazy_features",
    "load_backbone",
    "measure_window",
    "segment",
    "segment_stack",
    "similarity_map",
    "study",
]

_HOMES = {
    "Cleaning": "masks",
    "Comparison": "comparing.report",
    "DinopromptError": "errors",
    "FeatureMap": "features",
    "IntensityWindow": "intensity",
    "LargeSegmentation": "streaming.segmentation",
    "LazyFeatures": "streaming.lazy_features",
    "Reference": "references.reference",
    "SegmentOptions": "segmentation",
    "Segmentation": "segmentation",
    "StackSegmentation": "stacking.results",
    "Study": "studying.report",
    "compare": "comparing.comparison",
    "extract_features": "extraction",
    "finish_volume": "stacking.volumes",
    "iter_features": "extraction",
    "lazy_features": "streaming.sampling",
    "load_backbone": "backbones",
    "measure_window": "intensity",
    "segment": "segmentation",
    "segment_stack": "stacking.segmentation",
    "similarity_map": "similarity",
    "study": "studying.study",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.core.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
