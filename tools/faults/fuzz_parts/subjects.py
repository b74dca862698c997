"""What inputs are tried on: backbones and references, made once."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from napari_dinoprompt.core.backbones.load import load_backbone
from napari_dinoprompt.core.backbones.vit import wrap_model
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.references.reference import Reference

from .pictures import Picture

sys.path.append(str(Path(__file__).parents[3] / "tests" / "support"))

if TYPE_CHECKING:
    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features.feature_map import FeatureMap


BACKBONES = ("filterbank", "filterbank", "toy")
_SOURCES = {
    "uint8": Picture("spots", (64, 80), "u1", 3),
    "uint16": Picture("spots", (64, 80), "<u2", 3),
    "float": Picture("few nan", (64, 80), "<f4", 4),
    "flat": Picture("constant", (20, 20), "u1"),
    "toy": Picture("spots", (64, 80), "u1", 3),
}
REFERENCES = tuple(_SOURCES)


@cache
def backbone(name: str) -> Backbone:
    """Load a backbone: the filter bank, or a toy of a network."""
    if name == "filterbank":
        return load_backbone("filterbank", device="cpu")
    from toy_dinov2 import make_toy

    cpu = torch.device("cpu")
    return wrap_model("toy", make_toy(), block=None, device=cpu, dtype=torch.float32)


@cache
def features(source: str) -> FeatureMap:
    """Extract the features of an image that a reference is made on."""
    return extract_features(_SOURCES[source].array(), _backbone_of(source))


def points(source: str) -> np.ndarray:
    """Return where its prompts are: on the brightest pixels that hold data."""
    grey = np.nan_to_num(np.asarray(_SOURCES[source].array(), dtype=np.float64), nan=-1)
    brightest = np.argsort(grey, axis=None)[::-1][:400:80]
    return np.stack(np.unravel_index(brightest, grey.shape), axis=1).astype(float)


@cache
def reference(source: str, classes: tuple[str, ...] | None = None) -> Reference:
    """Make a reference."""
    return Reference.from_prompts(features(source), points(source), classes)


def warm_up() -> None:
    """Make all of them, before processes are made that share them."""
    for source in _SOURCES:
        features(source)
        for classes in (None, ("object", "object", "b", "background", "b")):
            reference(source, classes)


def backbone_of(source: str) -> Backbone:
    """Return the backbone of a reference."""
    return _backbone_of(source)


def _backbone_of(source: str) -> Backbone:
    return backbone("toy" if source == "toy" else "filterbank")
