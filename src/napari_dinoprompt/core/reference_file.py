"""References as files: safetensors with a JSON header, no pickle."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from napari_dinoprompt.core.atomic import open_atomically
from napari_dinoprompt.core.backbones.base import BackboneInfo
from napari_dinoprompt.core.errors import DinopromptError, ReferenceFileError
from napari_dinoprompt.core.intensity import IntensityWindow
from napari_dinoprompt.core.reference import Reference, Source
from napari_dinoprompt.core.statistics import FeatureStatistics
from napari_dinoprompt.core.version import software_version

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["SUFFIX", "load_reference", "save_reference"]

SUFFIX = ".reference.safetensors"
FORMAT_VERSION = 1
_HEADER = "napari-dinoprompt"


def save_reference(reference: Reference, path: Path) -> Path:
    """Write a reference, whole or not at all.

    Parameters
    ----------
    reference : Reference
    path : Path
        The suffix is added where it is missing.

    Returns
    -------
    Path
        What was written.

    Raises
    ------
    ReferenceFileError
        If it cannot be written; an older file of that name is kept.
    """
    if not path.name.endswith(SUFFIX):
        stem = path.name.removesuffix(".safetensors").removesuffix(".reference")
        path = path.with_name(stem + SUFFIX)
    header = {
        "format_version": FORMAT_VERSION,
        "software_version": software_version(),
        "backbone": asdict(reference.backbone),
        "upscale": reference.upscale,
        "window": asdict(reference.window),
        "scoring": reference.scoring,
        "statistics_count": reference.statistics.count,
        "classes": list(reference.classes),
        "planes": [list(plane) for plane in reference.planes],
        "sources": [asdict(source) for source in reference.sources],
        "auto_thresholds": dict(reference.auto_thresholds),
        "thresholds": dict(reference.thresholds),
    }
    content = save(
        {
            "vectors": reference.vectors,
            "points": reference.points,
            "source_of": reference.source_of,
            "mean": reference.statistics.mean,
            "scale": reference.statistics.scale,
        },
        metadata={_HEADER: json.dumps(header)},
    )
    try:
        with open_atomically(path) as file:
            file.write(content)
    except OSError as error:
        msg = f"The reference cannot be written to {path}: {error.strerror or error}."
        raise ReferenceFileError(msg) from error
    return path


def load_reference(path: Path) -> Reference:
    """Read a reference.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Reference

    Raises
    ------
    ReferenceFileError
        If the file is missing, damaged, foreign or from a newer version.
    """
    if not path.is_file():
        msg = f"There is no reference file {path}."
        raise ReferenceFileError(msg)
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            if _HEADER not in metadata:
                msg = f"{path} is not a reference of napari-dinoprompt."
                raise ReferenceFileError(msg)
            header = json.loads(metadata[_HEADER])
            version = header["format_version"]
            if version > FORMAT_VERSION:
                msg = (
                    f"{path} was written by a newer napari-dinoprompt "
                    f"({header.get('software_version', 'unknown')}); please update."
                )
                raise ReferenceFileError(msg)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        return _build(header, tensors)
    except ReferenceFileError:
        raise
    except (
        SafetensorError,
        DinopromptError,
        OSError,
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        reason = str(error).partition("\n")[0]
        msg = f"The reference {path} is damaged: {reason}"
        raise ReferenceFileError(msg) from error


def _build(header: dict[str, Any], tensors: dict[str, Any]) -> Reference:
    backbone = BackboneInfo(**header["backbone"])
    sources = tuple(
        Source(source["name"], (int(source["shape"][0]), int(source["shape"][1])))
        for source in header["sources"]
    )
    count = len(header["classes"])
    shapes = {
        "vectors": (count, backbone.dimension),
        "points": (count, 2),
        "source_of": (count,),
        "mean": (backbone.dimension,),
        "scale": (backbone.dimension,),
    }
    for name, shape in shapes.items():
        if tensors[name].shape != shape or not np.isfinite(tensors[name]).all():
            msg = f"{name} is not {shape} finite numbers"
            raise ValueError(msg)
    if count == 0 or not (tensors["source_of"] >= 0).all():
        msg = "it has no prompts"
        raise ValueError(msg)
    if (tensors["source_of"] >= len(sources)).any():
        msg = "a prompt belongs to no source"
        raise ValueError(msg)
    if header["scoring"] not in ("plain", "centred", "standardised"):
        msg = f"unknown scoring {header['scoring']!r}"
        raise ValueError(msg)
    planes = tuple(tuple(int(i) for i in plane) for plane in header["planes"])
    if len(planes) != count:
        msg = "it does not have one plane per prompt"
        raise ValueError(msg)
    upscale = float(header["upscale"])
    if not 0 < upscale < float("inf"):
        msg = f"its upscale is {upscale}"
        raise ValueError(msg)
    auto = {str(k): float(v) for k, v in header["auto_thresholds"].items()}
    if not np.isfinite(list(auto.values())).all():
        msg = "a threshold is not a number"
        raise ValueError(msg)
    reference = Reference(
        vectors=tensors["vectors"],
        classes=tuple(str(name) for name in header["classes"]),
        points=tensors["points"],
        planes=planes,
        sources=sources,
        source_of=tensors["source_of"],
        backbone=backbone,
        upscale=upscale,
        window=IntensityWindow(**header["window"]),
        statistics=FeatureStatistics(
            tensors["mean"], tensors["scale"], int(header["statistics_count"])
        ),
        scoring=header["scoring"],
        auto_thresholds=auto,
    )
    if auto.keys() != set(reference.object_classes):
        msg = "it does not have one threshold per class"
        raise ValueError(msg)
    return reference.with_thresholds(header["thresholds"])
