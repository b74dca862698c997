"""The table of objects, against scikit-image on the whole image and sums by hand."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage as ndi
from skimage.measure import label, regionprops_table

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.objects import boxes
from napari_dinoprompt.core.objects.table import ObjectData, objects_table


def blobs(*shape: int) -> NDArray[np.int32]:
    noise = ndi.gaussian_filter(np.random.default_rng(5).random(shape), 3)
    found = label(noise > np.quantile(noise, 0.7)).astype(np.int32)
    # Numbers with gaps, as they are after objects were removed.
    return found * 3


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "SIDES", {2: (64, 48), 3: (8, 16, 16)})


@pytest.mark.usefixtures("small_blocks")
def test_blocks_measure_what_the_whole_plane_has() -> None:
    instances = blobs(200, 230)
    light = np.random.default_rng(1).random(instances.shape).astype(np.float32)
    table = objects_table(ObjectData(instances, channels={"dapi": light}))
    names = ("label", "area", "centroid", "eccentricity", "solidity", "intensity_mean")
    expected = regionprops_table(instances, light, properties=names)
    pairs = {
        "label": "label",
        "area_px": "area",
        "y_px": "centroid-0",
        "x_px": "centroid-1",
        "eccentricity": "eccentricity",
        "solidity": "solidity",
        "mean_dapi": "intensity_mean",
    }
    for mine, theirs in pairs.items():
        np.testing.assert_allclose(table[mine], expected[theirs], rtol=1e-5)
    sums = ndi.sum_labels(light.astype(float), instances, expected["label"])
    np.testing.assert_allclose(table["sum_dapi"], sums, rtol=1e-6)


@pytest.mark.usefixtures("small_blocks")
def test_volumes_are_measured_in_blocks_too() -> None:
    instances = blobs(20, 60, 50)
    table = objects_table(ObjectData(instances, pixel_size=(2.0, 0.5, 0.5)))
    expected = regionprops_table(instances, properties=("label", "area", "centroid"))
    np.testing.assert_array_equal(table["volume_px"], expected["area"])
    np.testing.assert_allclose(table["volume_um3"], expected["area"] * 0.5)
    np.testing.assert_allclose(table["z_um"], expected["centroid-0"] * 2)
    assert "eccentricity" not in table


def test_classes_and_similarities_are_those_of_the_object() -> None:
    instances = np.zeros((20, 20), np.int32)
    instances[2:6, 2:6], instances[10:14, 2:6], instances[10:14, 10:14] = 4, 7, 9
    mask = np.zeros((20, 20), np.uint8)
    mask[2:6, 2:6], mask[10:14, 2:6] = 2, 1
    maps = {
        name: np.full((20, 20), value, np.float32)
        for name, value in (("cell", 0.25), ("debris", 0.75))
    }
    table = objects_table(
        ObjectData(instances, mask, ("cell", "debris"), maps, origin=(5.0, 9.0))
    )
    # What was painted is of no class.
    assert table["class"].tolist() == ["debris", "cell", ""]
    assert table["similarity"].tolist()[:2] == [0.75, 0.25]
    assert "y_um" not in table


def test_colours_are_columns_and_the_origin_counts() -> None:
    instances = np.zeros((9, 9), np.uint16)
    instances[4, 4] = 1
    rgb = np.arange(9 * 9 * 3, dtype=np.uint8).reshape(9, 9, 3)
    table = objects_table(
        ObjectData(
            instances, channels={"he": rgb}, pixel_size=(2.0, 3.0), origin=(10.0, 20.0)
        )
    )
    row = table.iloc[0]
    assert (row["y_um"], row["x_um"], row["area_um2"]) == (18.0, 32.0, 6.0)
    assert [row[f"mean_he_{one}"] for one in ("red", "green", "blue")] == rgb[
        4, 4
    ].tolist()
    assert (row["solidity"], row["area_px"]) == (1, 1)


def test_giants_keep_their_exact_area(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boxes, "SIDES", {2: (64, 64), 3: (8, 16, 16)})
    monkeypatch.setattr("napari_dinoprompt.core.objects.table._LARGEST_WINDOW", 2500)
    y, x = np.mgrid[:301, :301] - 150
    disc = ((y / 120) ** 2 + (x / 60) ** 2 < 1).astype(np.int32)
    row = objects_table(ObjectData(disc)).iloc[0]
    assert row["area_px"] == disc.sum()
    assert row["y_px"] == pytest.approx(150, abs=3)
    expected = regionprops_table(disc, properties=("eccentricity", "solidity"))
    assert row["eccentricity"] == pytest.approx(expected["eccentricity"][0], abs=0.02)
    diameter = 2 * np.sqrt(disc.sum() / np.pi)
    assert row["equivalent_diameter_px"] == pytest.approx(diameter, rel=0.02)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="whole numbers"):
        ObjectData(np.zeros((4, 4)))
    with pytest.raises(InputError, match="mask has shape"):
        ObjectData(np.zeros((4, 4), int), np.zeros((5, 4), np.uint8))
    with pytest.raises(InputError, match="2 lengths"):
        ObjectData(np.zeros((4, 4), int), pixel_size=(1.0, 1.0, 1.0))
