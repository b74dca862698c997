"""Zero-shot prompt segmentation with DINOv2 features.

The public names are imported when the first of them is used: importing the package
loads neither torch nor Qt nor napari.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_dinoprompt.core.backbones.identify import identify_checkpoint
    from napari_dinoprompt.core.backbones.load import load_backbone
    from napari_dinoprompt.core.comparison.compare import compare
    from napari_dinoprompt.core.comparison.report import Comparison
    from napari_dinoprompt.core.errors import DinopromptError
    from napari_dinoprompt.core.features.extraction import (
        extract_features,
        iter_features,
    )
    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.features.large import LazyFeatures
    from napari_dinoprompt.core.features.source import lazy_features
    from napari_dinoprompt.core.images.intensity import IntensityWindow, measure_window
    from napari_dinoprompt.core.masks.cleaning import Cleaning
    from napari_dinoprompt.core.masks.volumes import finish_volume
    from napari_dinoprompt.core.objects.export import export_objects
    from napari_dinoprompt.core.objects.table import ObjectData, objects_table
    from napari_dinoprompt.core.prompt_study.report import Study
    from napari_dinoprompt.core.prompt_study.study import study
    from napari_dinoprompt.core.references.from_image import make_reference
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.scoring.similarity import similarity_map
    from napari_dinoprompt.core.segmentation.large import LargeSegmentation
    from napari_dinoprompt.core.segmentation.segment import (
        Segmentation,
        SegmentOptions,
        segment,
    )
    from napari_dinoprompt.core.segmentation.select import Selection, select_objects
    from napari_dinoprompt.core.segmentation.stack import segment_stack
    from napari_dinoprompt.core.segmentation.stack_results import StackSegmentation

__all__ = [
    "Cleaning",
    "Comparison",
    "DinopromptError",
    "FeatureMap",
    "IntensityWindow",
    "LargeSegmentation",
    "LazyFeatures",
    "ObjectData",
    "Reference",
    "SegmentOptions",
    "Segmentation",
    "Selection",
    "StackSegmentation",
    "Study",
    "compare",
    "export_objects",
    "extract_features",
    "finish_volume",
    "identify_checkpoint",
    "iter_features",
    "lazy_features",
    "load_backbone",
    "make_reference",
    "measure_window",
    "objects_table",
    "segment",
    "segment_stack",
    "select_objects",
    "similarity_map",
    "study",
]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from napari_dinoprompt import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return __all__
