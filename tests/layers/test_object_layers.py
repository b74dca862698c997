"""Labels that napari saves for other programs, and points that it opens of them."""

from pathlib import Path

import numpy as np
import pandas as pd
from napari.layers import Labels
from roifile import ROI_TYPE, ImagejRoi, roiread

from napari_dinoprompt.session.object_layers import get_points_reader, write_objects


def test_labels_are_saved_with_their_features(tmp_path: Path) -> None:
    data = np.zeros((20, 30), np.int32)
    data[2:6, 3:9], data[10:13, 10:14] = 1, 3
    layer = Labels(data, features={"class": ["", "cell", "", "debris"]})
    path = tmp_path / "cells.csv"
    assert write_objects(str(path), layer.data, layer.as_layer_data_tuple()[1])
    table = pd.read_csv(path)
    assert table["label"].tolist() == [1, 3]
    assert table["class"].tolist() == ["cell", "debris"]
    assert table["area_px"].tolist() == [24, 12]
    write_objects(str(tmp_path / "cells.zip"), layer.data, {})
    rois = roiread(tmp_path / "cells.zip")
    assert isinstance(rois, list)
    assert len(rois) == 2


def test_points_of_imagej_become_a_layer(tmp_path: Path) -> None:
    roi = ImagejRoi.frompoints(np.array([[40, 12], [7, 55]]), name="points")
    roi.roitype = ROI_TYPE.POINT
    path = tmp_path / "points.roi"
    path.write_bytes(roi.tobytes())
    read = get_points_reader(str(path))
    assert read is not None
    ((data, meta, kind),) = read(str(path))
    assert (kind, meta["name"]) == ("points", "points")
    assert data.tolist() == [[12, 40], [55, 7]]
    assert meta["features"] == {"class": ["object", "object"]}
    other = tmp_path / "other.zip"
    other.write_bytes(b"no archive")
    assert get_points_reader(str(other)) is None
    assert get_points_reader("a.tif") is None
