"""The public names, imported plainly when the package is asked for one of them."""

from __future__ import annotations

from napari_dinoprompt.core.backbones.identify import identify_checkpoint
from napari_dinoprompt.core.backbones.load import load_backbone
from napari_dinoprompt.core.comparison.compare import compare
from napari_dinoprompt.core.comparison.report import Comparison
from napari_dinoprompt.core.errors import DinopromptError
from napari_dinoprompt.core.features.extraction import extract_features, iter_features
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
