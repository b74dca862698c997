"""Objects as files of other programs: QuPath, ImageJ and Fiji, spreadsheets."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.atomic import open_atomically, write_bytes
from napari_dinoprompt.core.progress import Progress, runs_to_end

from .polygons import Outline, iter_outlines

if TYPE_CHECKING:
    from collections.abc import Generator

    import pandas as pd

# What objects can be exported as.
ExportKind = Literal["geojson", "roi", "csv"]

# What comes behind the name of an image.
ENDINGS: dict[ExportKind, str] = {
    "geojson": "_objects.geojson",
    "roi": "_objects_rois.zip",
    "csv": "_objects.csv",
}

_SUFFIXES = (".geojson", ".zip", ".csv")
# ImageJ keeps the box of a region in 16 bits.
_LONGEST_ROI = 2**15 - 1
# What ImageJ's composites say before each vertex, and at the end of each ring.
_MOVE_TO, _LINE_TO, _CLOSE = 0, 1, 4


def iter_export_objects(
    path: str | Path, instances: Any, table: pd.DataFrame
) -> Generator[Progress, None, None]:
    """Write the objects of an image, with what was measured of them.

    Parameters
    ----------
    path : path
        Its suffix decides. ``.geojson``: polygons along the edges of pixels, with class
        and measurements, as QuPath reads them. ``.zip``: regions of ImageJ and Fiji;
        those with holes or of several parts are composites. ``.csv``: the table alone.
    instances : (H, W) or (Z, H, W) array of integers
        Object numbers.
    table : pandas.DataFrame
        As `objects_table`; objects that are not in it are left out.

    Yields
    ------
    Progress

    Raises
    ------
    InputError
        If the suffix is another one, or an image is too large for ImageJ's regions.
    CannotWriteError

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> instances = np.zeros((20, 20), int)
    >>> instances[3:8, 4:9] = 1
    >>> table = dp.objects_table(dp.ObjectData(instances))
    >>> dp.export_objects("example_objects.csv", instances, table)
    """
    path = Path(path)
    if path.suffix not in _SUFFIXES:
        msg = f"Objects are exported as {', '.join(_SUFFIXES)}, not {path.name!r}."
        raise InputError(msg)
    if path.suffix == ".csv":
        write_bytes(path, table.to_csv(index=False, lineterminator="\n").encode())
        return
    rows = dict(
        zip(table["label"].tolist(), table.to_dict(orient="records"), strict=True)
    )
    if path.suffix == ".zip" and max(instances.shape) > _LONGEST_ROI:
        raise InputError(
            f"ImageJ's regions end at {_LONGEST_ROI} pixels, and the image is "
            f"{' × '.join(map(str, instances.shape))}. Export GeoJSON instead."
        )
    with open_atomically(path) as file:
        write = _write_rois if path.suffix == ".zip" else _write_geojson
        yield from write(file, iter_outlines(instances), rows)


export_objects = runs_to_end("export_objects", iter_export_objects)


def _write_geojson(
    file: Any, found: Any, rows: dict[int, dict[str, Any]]
) -> Generator[Progress, None, None]:
    file.write(b'{"type": "FeatureCollection", "features": [')
    separator = b"\n"
    for one in found:
        if isinstance(one, Progress):
            yield one
        elif one.label in rows:
            feature = _feature(one, rows[one.label])
            file.write(separator + json.dumps(feature, ensure_ascii=False).encode())
            separator = b",\n"
    file.write(b"\n]}\n")


def _feature(outline: Outline, row: dict[str, Any]) -> dict[str, Any]:
    # Rings are closed, x before y.
    polygons = [
        [[*ring[:, ::-1].tolist(), ring[0, ::-1].tolist()] for ring in part]
        for part in outline.parts
    ]
    geometry: dict[str, Any] = (
        {"type": "Polygon", "coordinates": polygons[0]}
        if len(polygons) == 1
        else {"type": "MultiPolygon", "coordinates": polygons}
    )
    if outline.plane is not None:
        geometry["plane"] = {"c": -1, "z": outline.plane, "t": 0}
    numbers = {
        name: value
        for name, value in row.items()
        if name != "label" and not isinstance(value, str) and np.isfinite(value)
    }
    properties = {
        "objectType": "detection",
        "name": str(outline.label),
        "measurements": numbers,
    }
    if row.get("class"):
        properties["classification"] = {"name": row["class"]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _write_rois(
    file: Any, found: Any, rows: dict[int, dict[str, Any]]
) -> Generator[Progress, None, None]:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as folder:
        for one in found:
            if isinstance(one, Progress):
                yield one
            elif one.label in rows:
                name = " ".join((str(one.label), rows[one.label].get("class", "")))
                name = name.strip() + (
                    "" if one.plane is None else f" z{one.plane + 1}"
                )
                # Zip takes a slash for a folder.
                entry = f"{name.replace('/', '_')}.roi"
                folder.writestr(entry, _roi(one, name))


def _roi(outline: Outline, name: str) -> bytes:
    from roifile import ROI_TYPE, ImagejRoi

    rings = [ring[:, ::-1] for part in outline.parts for ring in part]
    every = np.concatenate(rings)
    roi = ImagejRoi.frompoints(every, name=name, position=outline.plane)
    if len(rings) == 1:
        roi.roitype = ROI_TYPE.POLYGON
    else:
        roi.roitype = ROI_TYPE.RECT
        roi.integer_coordinates, roi.n_coordinates = None, 0
        path: list[float] = []
        for ring in rings:
            for at, (x, y) in enumerate(ring.tolist()):
                path += (_LINE_TO if at else _MOVE_TO, x, y)
            path.append(_CLOSE)
        roi.multi_coordinates = np.array(path, dtype=np.float32)
        roi.shape_roi_size = len(path)
    # The box ends with the last vertex.
    roi.right, roi.bottom = (int(last) for last in every.max(axis=0))
    return bytes(roi.tobytes())
