"""Points of Fiji, ImageJ and QuPath as prompts."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from roifile import ROI_TYPE, ImagejRoi

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.points import read_prompts

POINTS = [[12.0, 40.0], [55.0, 7.0]]


def fiji(path: Path, rows: list[str], header: str = " ,Area,Mean,X,Y,Slice") -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def roi(points: list[list[float]], slice_number: int | None = None) -> bytes:
    xy = np.array(points)[:, ::-1].astype(np.int32)
    made = ImagejRoi.frompoints(xy, name="points", position=slice_number)
    made.roitype = ROI_TYPE.POINT
    return bytes(made.tobytes())


def geojson(path: Path, *geometries: dict, name: str = "") -> Path:
    properties = {"objectType": "annotation"}
    if name:
        properties["classification"] = {"name": name}  # type: ignore[assignment]
    features = [
        {"type": "Feature", "geometry": one, "properties": properties}
        for one in geometries
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_fijis_table_has_x_before_y(tmp_path: Path) -> None:
    rows = ["1,0,200,40,12,1", "2,0,180,7,55,1"]
    assert read_prompts(fiji(tmp_path / "a.csv", rows)).points.tolist() == POINTS


def test_fijis_table_in_units_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="line 2: X and Y seem to be in units"):
        read_prompts(fiji(tmp_path / "a.csv", ["1,0,200,8.137,2.441,1"]))
    with pytest.raises(InputError, match="must be numbers"):
        read_prompts(fiji(tmp_path / "a.csv", ["1,0,200,x,2,1"]))
    with pytest.raises(InputError, match="2 slices"):
        read_prompts(fiji(tmp_path / "a.csv", ["1,0,200,4,2,1", "2,0,200,4,2,3"]))


def test_imagejs_points_are_read_alone_and_zipped(tmp_path: Path) -> None:
    path = tmp_path / "points.roi"
    path.write_bytes(roi(POINTS))
    assert read_prompts(path).points.tolist() == POINTS
    path = tmp_path / "RoiSet.zip"
    with zipfile.ZipFile(path, "w") as folder:
        for at, point in enumerate(POINTS):
            folder.writestr(f"{at}.roi", roi([point]))
    assert read_prompts(path).points.tolist() == POINTS
    with zipfile.ZipFile(path, "w") as folder:
        for at, point in enumerate(POINTS):
            folder.writestr(f"{at}.roi", roi([point], at))
    with pytest.raises(InputError, match="2 slices"):
        read_prompts(path)


def test_qupaths_points_have_their_class(tmp_path: Path) -> None:
    xy = [[x + 0.5, y + 0.5] for y, x in POINTS]
    path = geojson(
        tmp_path / "a.geojson", {"type": "MultiPoint", "coordinates": xy}, name="Tumor"
    )
    prompts = read_prompts(path)
    assert prompts.points.tolist() == POINTS
    assert prompts.classes == ("Tumor", "Tumor")
    path = geojson(
        path, *({"type": "Point", "coordinates": one, "plane": {"z": 0}} for one in xy)
    )
    assert read_prompts(path).classes == ("object", "object")


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"{}", "no GeoJSON"),
        (b"[1, 2]", "no GeoJSON"),
        (b'{"features": []}', "holds no points"),
        (b'{"features": [{"geometry": {"type": "Polygon"}}]}', "only points"),
        (b'{"features": [{"geometry": {"type": "Point"}}]}', "no GeoJSON"),
        (
            b'{"features": [{"geometry": {"type": "Point", "coordinates": "ab"}}]}',
            "no GeoJSON",
        ),
    ],
)
def test_other_json_is_refused(tmp_path: Path, content: bytes, wrong: str) -> None:
    path = tmp_path / "a.geojson"
    path.write_bytes(content)
    with pytest.raises(InputError, match=wrong):
        read_prompts(path)


def test_regions_and_damage_are_refused(tmp_path: Path) -> None:
    made = ImagejRoi.frompoints(np.array([[1, 1], [5, 1], [5, 5]]), name="cell")
    path = tmp_path / "cell.roi"
    path.write_bytes(made.tobytes())
    with pytest.raises(InputError, match="no point \\(cell\\)"):
        read_prompts(path)
    for content in (b"", b"Iout", b"PK nothing"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="no file of ImageJ"):
            read_prompts(path)
