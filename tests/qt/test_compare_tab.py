"""Real against fakes in the dock."""

from __future__ import annotations

import imageio.v3 as iio
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from napari.layers import Labels
from qtpy.QtWidgets import QFileDialog

from napari_dinoprompt._qt.compare.table import CompareObjects, _tell_apart
from napari_dinoprompt.core.comparison.columns import format_figure
from napari_dinoprompt.core.comparison.compare import compare
from napari_dinoprompt.core.io.points import read_prompts
from napari_dinoprompt.sample_data import sample_files


@pytest.fixture
def trio(prompted, scene):
    """The real with prompts, a fake that misses a disc, and one that adds one."""
    # Where pale discs are found as well: what is compared is no matter of the rule.
    prompted.drag_threshold(0.7)
    prompted.settle()
    missing, added = scene.image.copy(), scene.image.copy()
    missing[30:50, 10:30] = 20
    added[60:80, 60:80] = scene.image[5:25, 5:25]
    missing_layer = prompted.add_image(missing, name="missing")
    added_layer = prompted.add_image(added, name="added")
    return prompted, prompted.state.image, missing_layer, added_layer


def choose(bench, real, *fakes, draws: int = 3) -> None:
    bench.turn_to("Compare")
    panel = bench.dock.compare.panel
    panel.choose(real, fakes)
    panel._draws.setValue(draws)


def comparison_of(bench):
    found = bench.work.tab_jobs.comparing.comparison
    assert found is not None
    return found


def names(bench) -> list[str]:
    return [layer.name for layer in bench.viewer.layers]


def test_the_real_is_what_is_segmented_until_chosen(bench, scene, other_scene) -> None:
    first = bench.add_image(other_scene.image, name="first")
    bench.add_image(scene.image, name="second")
    bench.open()
    bench.settle()
    bench.turn_to("Compare")
    panel = bench.dock.compare.panel
    assert panel.real is bench.state.image is not first
    row = panel._real.findText("first")
    panel._real.setCurrentIndex(row)
    panel._real.activated.emit(row)
    bench.add_image(scene.image, name="third")
    assert panel.real is first


def test_table_is_that_of_core(trio) -> None:
    bench, real, missing, added = trio
    bench.turn_to("Segment")
    bench.click([(65, 15)])
    choose(bench, real, missing, added, draws=4)
    bench.press("Compare")
    expected = compare(
        real.data,
        [missing.data, added.data],
        bench.work.session.reference(),
        names=["missing", "added"],
        draws=4,
    )
    found = comparison_of(bench)
    # The advice is that for the table, not the one of before.
    assert bench.hint == bench.dock.compare.hint
    np.testing.assert_equal(found.table, expected.table)
    np.testing.assert_equal(found.noise_floor, expected.noise_floor)
    table = bench.dock.compare.table
    heads = [table.horizontalHeaderItem(i).text() for i in range(table.columnCount())]
    assert heads == ["missing", "added", "noise\nfloor"]
    titles = [table.verticalHeaderItem(i).text() for i in range(table.rowCount())]
    row = titles.index("only in real ↓")
    assert [table.item(row, i).text() for i in range(2)] == ["1", "0"]
    row = titles.index("only in fake ↓")
    assert [table.item(row, i).text() for i in range(2)] == ["0", "1"]
    row = titles.index("IoU ↑")
    assert "95 %" in table.item(row, 0).toolTip()
    assert "Noise floor" in table.item(row, 0).toolTip()
    tooltip = table.verticalHeaderItem(row).toolTip()
    assert "Higher is more like the real" in tooltip
    assert "Jaccard" in tooltip


def lines_of(objects: CompareObjects) -> list[str]:
    return [objects._list.item(row).text() for row in range(objects._list.count())]


def test_click_on_an_object_moves_the_camera(trio) -> None:
    bench, real, missing, added = trio
    real.scale = (2, 3)
    # With one more, dim discs are no longer found in part.
    bench.click([(65, 15)])
    choose(bench, real, missing, added)
    bench.press("Compare")
    objects = bench.dock.compare.objects
    assert [line.partition(":")[0] for line in lines_of(objects)] == ["only in real"]
    objects._list.setCurrentRow(0)
    centre = bench.viewer.scene.camera.center[-2:]
    np.testing.assert_allclose(centre, (2 * 40, 3 * 20), atol=4)
    # The column of the other fake turns to its objects.
    bench.dock.compare.table.setCurrentCell(0, 1)
    kinds = [line.partition(":")[0] for line in lines_of(objects)]
    assert kinds.count("only in fake") == 1
    objects._list.setCurrentRow(kinds.index("only in fake"))
    centre = bench.viewer.scene.camera.center[-2:]
    np.testing.assert_allclose(centre, (2 * 70, 3 * 70), atol=4)


def test_truth_gives_the_errors_their_names(trio) -> None:
    bench, real, missing, added = trio
    truth = np.zeros(real.data.shape, np.int32)
    for number, (y, x) in enumerate([(15, 15), (15, 45), (40, 20), (65, 15), (45, 50)]):
        truth[y - 5 : y + 6, x - 5 : x + 6] = number + 1
    layer = Labels(truth, name="truth")
    bench.viewer.layers.append(layer)
    choose(bench, real, missing, added)
    bench.dock.compare.panel._truth.choose(layer)
    bench.press("Compare")
    lines = lines_of(bench.dock.compare.objects)
    assert any(line.startswith("missed") for line in lines)
    heads = bench.dock.compare.table.horizontalHeaderItem(0).text()
    assert heads == "real"


def test_maps_lie_over_the_real(trio) -> None:
    bench, real, missing, added = trio
    real.translate = (3, 4)
    choose(bench, real, missing, added)
    bench.press("Compare")
    before = names(bench)
    bench.press("Show maps")
    new = [name for name in names(bench) if name not in before]
    kinds = ("feature distance", "squared error", "SSIM", "agreement")
    assert new == [f"{fake} {kind}" for fake in ("missing", "added") for kind in kinds]
    agreement = bench.viewer.layers["missing agreement"]
    maps = comparison_of(bench).reports[0].measures.maps
    np.testing.assert_array_equal(agreement.data, maps.agreement)
    np.testing.assert_array_equal(agreement.translate, (3, 4))
    assert list(agreement.features["agreement"]) == [
        "in both",
        "only in real",
        "only in fake",
    ]
    bench.press("Show maps")
    assert len(names(bench)) == len(before) + len(new)
    # They go with the result.
    bench.press("Compare")
    assert names(bench) == before


def test_colours_are_those_of_the_files(trio) -> None:
    bench, real, missing, _ = trio
    choose(bench, real, missing, draws=0)
    bench.press("Compare")
    bench.press("Show maps")
    shown = bench.viewer.layers["missing agreement"]
    (panel,) = [
        one
        for one in comparison_of(bench).figure().findobj(Axes)
        if one.get_title(loc="left").startswith("agreement")
    ]
    (drawn,) = panel.images
    for value in (1, 2, 3):
        in_file = drawn.cmap(drawn.norm(value))
        np.testing.assert_allclose(shown.get_color(value), in_file, atol=1 / 255)
        assert to_hex(in_file) in bench.dock.compare._legend.text().lower()


def test_numbers_are_written_as_in_the_files(trio) -> None:
    bench, real, missing, added = trio
    choose(bench, real, missing, added, draws=2)
    bench.press("Compare")
    found, table = comparison_of(bench), bench.dock.compare.table
    for row, column in enumerate(found.columns):
        for place, report in enumerate(found.rows):
            value = report.measures.figures[column.key]
            assert table.item(row, place).text() == format_figure(column.key, value)


def test_side_by_side_and_back(trio) -> None:
    bench, real, missing, added = trio
    choose(bench, real, missing, added)
    bench.dock.compare.panel._input.choose(missing)
    bench.press("Compare")
    before = {layer: layer.visible for layer in bench.viewer.layers}
    bench.press("Side by side")
    grid = bench.viewer.canvas.grid
    assert grid.enabled
    shown = list(bench.viewer.layers)
    cells = [
        [shown[i].name for i in indices if shown[i].visible]
        for _, indices in grid.iter_viewboxes(shown)
    ]
    assert cells[:3] == [
        ["scene as compared", "scene mask [1]"],
        ["missing as compared", "missing agreement"],
        ["added as compared", "added agreement"],
    ]
    one, other = (
        bench.viewer.layers[f"{name} similarity"] for name in ("missing", "added")
    )
    one.contrast_limits = (0.1, 0.8)
    assert tuple(other.contrast_limits) == (0.1, 0.8)
    bench.press("Side by side")
    assert not grid.enabled
    assert {layer: layer.visible for layer in before} == before


def test_fake_of_other_size_and_type(trio) -> None:
    bench, real, missing, _ = trio
    large = np.kron(missing.data, np.ones((2, 2), np.uint8)).astype(np.uint16) * 257
    layer = bench.add_image(np.stack([large] * 3, axis=-1), name="large", rgb=True)
    choose(bench, real, missing, layer, draws=0)
    bench.press("Compare")
    one, other = comparison_of(bench).table
    assert one["only_in_real"] == other["only_in_real"] == 1
    assert other["iou"] == pytest.approx(one["iou"], abs=0.1)


def test_another_field_is_one_message(trio) -> None:
    bench, real, *_ = trio
    wide = bench.add_image(real.data[:40], name="wide")
    choose(bench, real, wide)
    bench.press("Compare")
    assert "aspect" in bench.hint
    assert bench.work.tab_jobs.comparing.comparison is None


def test_cancelled_run_gives_nothing(trio, gate, idle) -> None:
    bench, real, missing, added = trio
    bench.work.features.shelf._kept = None
    choose(bench, real, missing, added)
    bench.button("Compare").click()
    bench.qtbot.waitUntil(lambda: gate.tiles == 1)
    bench.button("Cancel").click()
    gate.open()
    idle()
    assert bench.hint == "Stopped."
    assert bench.work.tab_jobs.comparing.comparison is None
    assert bench.dock.compare.table.isHidden()


def test_layer_deleted_meanwhile(trio, gate, idle) -> None:
    bench, real, missing, added = trio
    bench.work.features.shelf._kept = None
    choose(bench, real, missing, added)
    bench.button("Compare").click()
    bench.qtbot.waitUntil(lambda: gate.tiles == 1)
    bench.viewer.layers.remove(added)
    gate.open()
    idle()
    assert bench.hint == "added was deleted: its comparison is gone."
    assert bench.work.tab_jobs.comparing.comparison is None


def test_layer_deleted_afterwards(trio) -> None:
    bench, real, missing, added = trio
    choose(bench, real, missing, added)
    bench.press("Compare")
    bench.press("Show maps")
    bench.press("Side by side")
    bench.viewer.layers.remove(missing)
    assert bench.hint == "missing was deleted: its comparison is gone."
    assert not bench.viewer.canvas.grid.enabled
    assert not any("agreement" in name for name in names(bench))
    assert bench.dock.compare.table.isHidden()


def test_pixels_replaced_afterwards(trio) -> None:
    bench, real, missing, added = trio
    choose(bench, real, missing, added)
    bench.press("Compare")
    missing.data = added.data.copy()
    assert "compare again" in bench.hint
    assert bench.work.tab_jobs.comparing.comparison is None


def test_export(trio, tmp_path, monkeypatch) -> None:
    bench, real, missing, added = trio
    choose(bench, real, missing, added)
    bench.press("Compare")
    folder = tmp_path / "report"
    monkeypatch.setattr(
        QFileDialog, "getExistingDirectory", lambda *_, **__: str(folder)
    )
    bench.press("Export…")
    assert str(folder) in bench.hint
    suffixes = {path.suffix for path in folder.rglob("*")}
    assert {".csv", ".json", ".png"} <= suffixes


def test_two_docks_show_one_comparison(trio) -> None:
    bench, real, missing, added = trio
    second = bench.open()
    second.tabs.setCurrentIndex(2)
    choose(bench, real, missing, added)
    bench.press("Compare")
    assert second.compare.table.columnCount() == bench.dock.compare.table.columnCount()
    assert second.compare.table.rowCount() > 10


def test_sample_end_to_end(bench, answer) -> None:
    """The undertrained fake is the worse one, with a reference of the library."""
    files = sample_files("early")
    layers = {
        role: bench.add_image(
            iio.imread(files[f"nuclei_{role}"])[:256, :256], name=role
        )
        for role in ("fake_undertrained", "fake_trained", "real")
    }
    bench.open()
    bench.settle()
    bench.choose(layers["real"])
    bench.settle()
    prompts = read_prompts(files["prompts"])
    inside = (prompts.points < 250).all(axis=1)
    bench.click(prompts.points[inside][:4])
    answer("nuclei")
    bench.turn_to("References")
    bench.press("Save prompts as reference…")
    choose(bench, layers["real"], layers["fake_undertrained"], layers["fake_trained"])
    box = bench.dock.compare.panel._reference
    box.setCurrentIndex(box.findText("nuclei"))
    bench.press("Compare")
    found = comparison_of(bench)
    expected = compare(
        layers["real"].data,
        [layers["fake_undertrained"].data, layers["fake_trained"].data],
        bench.work.session.reference(),
        names=["fake_undertrained", "fake_trained"],
        draws=3,
    )
    np.testing.assert_equal(found.table, expected.table)
    undertrained, trained = found.table
    assert undertrained["iou"] < trained["iou"]


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (["fake"], ["fake"]),
        (["early (undertrained)", "early (trained)"], ["undertrained", "trained"]),
        (["a", "b"], ["a", "b"]),
        (["fake", "fake two"], ["fake", "two"]),
        (["fake 1", "fake 10"], ["1", "10"]),
    ],
)
def test_heads_tell_fakes_apart(names: list[str], shown: list[str]) -> None:
    assert _tell_apart(names) == shown
