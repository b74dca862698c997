"""What is exported is read back by other people's code: same objects, same pixels."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from roifile import roiread
from scipy import ndimage as ndi
from shapely import contains_xy
from shapely.geometry import shape
from skimage.draw import polygon2mask
from skimage.measure import label

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.objects.export import ENDINGS, ExportKind, export_objects
from napari_dinoprompt.core.objects.table import ObjectData, objects_table

SIDE = 96


def odd_objects() -> NDArray[np.int32]:
    """Objects on the edges, of one pixel, touching, with holes and with corners."""
    noise = np.random.default_rng(3).random((SIDE, SIDE))
    found = label(noise > 0.55, connectivity=2).astype(np.int32)
    blobs = label(ndi.gaussian_filter(noise, 2) > 0.5).astype(np.int32)
    found[40:] = 0
    found[42:] = np.where(blobs[42:] > 0, blobs[42:] + 2000, 0)
    found[50, 50] = 5000
    found[60:80, 60:70], found[60:80, 70:80] = 6000, 6001
    found[65:70, 62:67] = 0
    return found


def export(
    folder: Path, kind: ExportKind, instances: NDArray[np.int32]
) -> tuple[Path, int]:
    table = objects_table(
        ObjectData(
            instances,
            mask=(instances > 0).astype(np.uint8),
            names=("nucleus",),
            pixel_size=(0.5,) * instances.ndim,
        )
    )
    path = folder / f"image{ENDINGS[kind]}"
    export_objects(path, instances, table)
    return path, len(table)


def pixel_centres() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    return x, y


def iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_shapely_reads_the_same_pixels_from_geojson(tmp_path: Path) -> None:
    instances = odd_objects()
    path, count = export(tmp_path, "geojson", instances)
    features = json.loads(path.read_text())["features"]
    assert len(features) == count == len(np.unique(instances)) - 1
    x, y = pixel_centres()
    for one in features:
        polygon = shape(one["geometry"])
        assert polygon.is_valid
        mine = instances == int(one["properties"]["name"])
        assert iou(contains_xy(polygon, x, y), mine) == 1
        assert polygon.area == one["properties"]["measurements"]["area_px"]
        assert one["properties"]["classification"] == {"name": "nucleus"}


def test_roifile_reads_the_same_pixels_with_holes_as_composites(tmp_path: Path) -> None:
    instances = odd_objects()
    path, count = export(tmp_path, "roi", instances)
    rois = roiread(path)
    assert isinstance(rois, list)
    assert len(rois) == count
    for one in rois:
        drawn = np.zeros((SIDE, SIDE), dtype=bool)
        for ring in one.coordinates(multi=True):
            # polygon2mask looks at whole numbers, where centres of pixels are not.
            drawn ^= polygon2mask((SIDE, SIDE), ring[:, ::-1] - 0.5 + 1e-4)
        assert iou(drawn, instances == int(one.name.split()[0])) == 1


def test_volumes_have_a_region_in_each_plane(tmp_path: Path) -> None:
    volume = np.zeros((4, 20, 20), np.int32)
    volume[1:3, 2:6, 3:9] = 7
    path, _ = export(tmp_path, "geojson", volume)
    features = json.loads(path.read_text())["features"]
    assert [one["geometry"]["plane"]["z"] for one in features] == [1, 2]
    path, _ = export(tmp_path, "roi", volume)
    rois = roiread(path)
    assert isinstance(rois, list)
    assert [one.position for one in rois] == [2, 3]


def test_large_planes_are_no_regions_of_imagej(tmp_path: Path) -> None:
    wide = np.zeros((2, 2**15), np.int32)
    with pytest.raises(InputError, match="Export GeoJSON"):
        export(tmp_path, "roi", wide)


def test_nothing_is_an_empty_file(tmp_path: Path) -> None:
    nothing = np.zeros((9, 9), np.int32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path, _ = export(tmp_path, "geojson", nothing)
        assert json.loads(path.read_text())["features"] == []
        path, _ = export(tmp_path, "csv", nothing)
    assert path.read_text() == "label\n"
