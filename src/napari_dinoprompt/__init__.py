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
    from napari_dinoprompt.core.reference import Reference
    from napari_dinoprompt.core.segmentation import (
        Segmentation,
        SegmentOptions,
        segment,
    )
    from napari_dinoprompt.core.similarity import similarity_map

__all__ = [
    "Cleaning",
    "Comparison",
    "DinopromptError",
    "FeatureMap",
    "IntensityWindow",
    "Reference",
    "SegmentOptions",
    "Segmentation",
    "compare",
    "extract_features",
    "iter_features",
    "load_backbone",
    "measure_window",
    "segment",
    "similarity_map",
]

_HOMES = {
    "Cleaning": "masks",
    "Comparison": "comparing.report",
    "DinopromptError": "errors",
    "FeatureMap": "features",
    "IntensityWindow": "intensity",
    "Reference": "reference",
    "SegmentOptions": "segmentation",
    "Segmentation": "segmentation",
    "compare": "comparing.comparison",
    "extract_features": "extraction",
    "iter_features": "extraction",
    "load_backbone": "backbones",
    "measure_window": "intensity",
    "segment": "segmentation",
    "similarity_map": "similarity",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.core.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
