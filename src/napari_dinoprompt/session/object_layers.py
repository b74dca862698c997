"""Objects that napari saves for other programs, and their points that it opens."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_dinoprompt import layers
from napari_dinoprompt.core.io.foreign_points import JSON_SUFFIXES, ROI_SUFFIXES
from napari_dinoprompt.core.io.points import read_prompts

if TYPE_CHECKING:
    from collections.abc import Callable


def write_objects(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save the objects of a Labels layer; the suffix decides, as `export_objects`.

    What is in the layer's features goes along where its rows are the objects' numbers.
    """
    from napari_dinoprompt.core.objects.export import export_objects
    from napari_dinoprompt.core.objects.table import ObjectData, objects_table

    labels = data[0] if isinstance(data, list | tuple) else data
    table = objects_table(ObjectData(np.asarray(labels)))
    features = meta.get("features")
    if features is not None and len(features) > table["label"].max():
        rows = features.iloc[table["label"]].reset_index(drop=True)
        more = [name for name in rows.columns if name not in table]
        table = table.join(rows[more])
    export_objects(path, labels, table)
    return [path]


def get_points_reader(path: Any) -> Callable[[Any], list[Any]] | None:
    """Return what reads points of ImageJ and QuPath; None for other files."""
    paths = [Path(one) for one in (path if isinstance(path, list) else [path])]
    return _read if all(map(_may_be_points, paths)) else None


def _may_be_points(path: Path) -> bool:
    if path.suffix != ".zip":
        return path.suffix in ROI_SUFFIXES + JSON_SUFFIXES
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as folder:
        return any(name.endswith(".roi") for name in folder.namelist())


def _read(path: Any) -> list[Any]:
    found = []
    for one in path if isinstance(path, list) else [path]:
        prompts = read_prompts(Path(one))
        features = {layers.CLASS_COLUMN: list(prompts.classes)}
        meta = {"name": Path(one).stem, "features": features}
        found.append((prompts.points, meta, "points"))
    return found
