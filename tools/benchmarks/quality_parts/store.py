"""Features of the planes, computed once and kept on disk."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from napari_dinoprompt.core.backbones.base import BackboneInfo
from napari_dinoprompt.core.backbones.load import FILTERBANK
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.features.feature_map import FeatureMap
from napari_dinoprompt.core.images.intensity import IntensityWindow, measure_window
from napari_dinoprompt.core.io.atomic import open_atomically
from napari_dinoprompt.core.tiling.grid import CellGrid
from quality_parts.data import NUCLEI_SETS
from quality_parts.fingerprints import code_of, feature_code, join
from quality_parts.variants import VARIANTS

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.base import Backbone


_SMALL = 700
_ENLARGED = 4.0
_IN_MEMORY = 4
_META = "feature_map"


def protocol_upscale(set_name: str, shape: tuple[int, ...], backbone: str) -> float:
    """Return the upscale that the quality protocol asks for.

    Parameters
    ----------
    set_name : str
    shape : tuple of int
        Of the plane.
    backbone : str
        The filter bank's cells are small as they are.

    Returns
    -------
    float
        4 for nuclei planes under 700 pixels that a transformer sees, else 1.
    """
    small = set_name in NUCLEI_SETS and max(shape[:2]) < _SMALL
    return _ENLARGED if small and backbone != FILTERBANK else 1.0


class FeatureStore:
    """Feature maps by image: in memory, on disk, or computed.

    A file is found again by the content of the plane, the backbone with its number
    format, upscale, window, and the code that makes features.

    Parameters
    ----------
    folder : Path
    backbone : Backbone
    precision : str
        The number format that the backbone computes in.
    variant : str, optional
        One of `VARIANTS` instead of the product's way to features.

    Attributes
    ----------
    backbone : Backbone
    computed : int
        How many maps were neither in memory nor on disk.
    """

    def __init__(
        self,
        folder: Path,
        backbone: Backbone,
        precision: str,
        variant: str | None = None,
    ) -> None:
        self.computed = 0
        self._variant = variant
        self._folder = folder
        self.backbone = backbone
        self._precision = precision
        self._held: OrderedDict[str, FeatureMap] = OrderedDict()

    def features(
        self,
        image: NDArray[np.generic],
        upscale: float,
        window: IntensityWindow | None = None,
    ) -> FeatureMap:
        """Return the feature map of an image.

        Parameters
        ----------
        image : (H, W) or (H, W, C) ndarray
        upscale : float
        window : IntensityWindow, optional
            The image's own by default.

        Returns
        -------
        FeatureMap
            On the CPU.
        """
        window = window or measure_window(image)
        key = self._key(image, upscale, window)
        if key not in self._held:
            path = self._folder / f"{key[:32]}.safetensors"
            self._held[key] = self._read(path) or self._compute(
                path, image, upscale, window
            )
        self._held.move_to_end(key)
        while len(self._held) > _IN_MEMORY:
            self._held.popitem(last=False)
        return self._held[key]

    def _key(
        self, image: NDArray[np.generic], upscale: float, window: IntensityWindow
    ) -> str:
        content = hashlib.sha256(np.ascontiguousarray(image).data).hexdigest()
        return join(
            f"{image.dtype} {image.shape} {content}",
            json.dumps(asdict(self.backbone.info)),
            self._precision,
            f"{upscale!r} {window.low!r} {window.high!r}",
            feature_code(),
            *(
                [self._variant, code_of(VARIANTS[self._variant])]
                if self._variant
                else ()
            ),
        )

    def _compute(
        self,
        path: Path,
        image: NDArray[np.generic],
        upscale: float,
        window: IntensityWindow,
    ) -> FeatureMap:
        extract = VARIANTS[self._variant] if self._variant else extract_features
        found = extract(image, self.backbone, upscale=upscale, window=window)
        self.computed += 1
        tensors, about = _take_apart(found)
        with open_atomically(path) as file:
            file.write(save(tensors, {_META: json.dumps(about)}))
        return _put_together(tensors, about)

    def _read(self, path: Path) -> FeatureMap | None:
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                about = json.loads(file.metadata()[_META])
                # Copies lie in memory as computed ones do, so that sums over them are
                # rounded in the same way.
                tensors = {
                    name: file.get_tensor(name).clone() for name in about["tensors"]
                }
        except (SafetensorError, OSError, KeyError):
            return None  # damaged: computed anew
        return _put_together(tensors, about)


# Fields of a feature map that are records themselves.
_RECORDS = {"grid": CellGrid, "backbone": BackboneInfo, "window": IntensityWindow}


def _take_apart(features: FeatureMap) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Split a feature map, whatever its fields, into tensors and what JSON holds."""
    tensors: dict[str, torch.Tensor] = {}
    arrays: list[str] = []
    others: dict[str, Any] = {}
    for name in (field.name for field in fields(features)):
        value = getattr(features, name)
        if isinstance(value, np.ndarray):
            arrays.append(name)
            value = torch.from_numpy(value)
        if isinstance(value, torch.Tensor):
            tensors[name] = value.cpu().contiguous()
        else:
            others[name] = asdict(value) if name in _RECORDS else value
    return tensors, {"tensors": list(tensors), "arrays": arrays, "others": others}


def _put_together(
    tensors: dict[str, torch.Tensor], about: dict[str, Any]
) -> FeatureMap:
    values: dict[str, Any] = {**tensors, **about["others"]}
    values |= {name: tensors[name].numpy() for name in about["arrays"]}
    for name in ("shape", "origin"):
        values["grid"][name] = tuple(values["grid"][name])  # JSON has no tuples
    for name, record in _RECORDS.items():
        values[name] = record(**values[name])
    return FeatureMap(**values)
