"""Prompts that were kept are offered again, and come back as they were."""

from __future__ import annotations

import gc
import json
import os
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import dask.array as da
import numpy as np
import pytest
from napari.components import ViewerModel
from napari.layers import Image, Points

from napari_dinoprompt._qt.recovery import autosave
from napari_dinoprompt._qt.recovery.offers import describe_time
from napari_dinoprompt.core.masks.cleaning import Cleaning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytestqt.qtbot import QtBot


@pytest.fixture
def folder() -> Path:
    """Where this test keeps its prompts."""
    return Path(os.environ["DINOPROMPT_RECOVERY"])


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(autosave, "_DELAY_MS", 5)


@pytest.fixture
def again(bench, qtbot: QtBot) -> Iterator:
    """Another viewer, as in the next program."""
    other = type(bench)(qtbot, ViewerModel())
    yield other
    for dock in other.docks:
        dock.controller.stop()
    other.close()


def offered(bench) -> str:
    """Return what the line of the dock offers; empty while it is hidden."""
    panel = bench.dock.segment.recovery
    return "" if panel.isHidden() else panel._accept.text()


def restore(bench) -> None:
    bench.dock.segment.recovery._accept.click()
    bench.settle()


def forget(bench, idle) -> None:
    bench.dock.segment.recovery._dismiss.click()
    idle()


def kept(folder: Path) -> list[dict]:
    """Return all records on the disk."""
    return [
        image
        for path in folder.glob("*.prompts.json")
        for image in json.loads(path.read_text())["images"]
    ]


def wait_until_kept(bench, folder: Path, prompts: int) -> None:
    def there() -> bool:
        return [len(one["classes"]) for one in kept(folder)] == [prompts]

    bench.qtbot.waitUntil(there, timeout=5000)


def open_again(again, image: np.ndarray, **options: object):
    again.add_image(image, **options)
    again.open()
    again.settle()
    return again


# --- what is kept


def test_prompts_are_on_the_disk_a_moment_later(prompted, folder, scene) -> None:
    wait_until_kept(prompted, folder, 2)
    prompted.drag_threshold(0.4)
    prompted.settle()
    prompted.qtbot.waitUntil(lambda: kept(folder)[0]["thresholds"] == {"object": 0.4})
    (record,) = kept(folder)
    np.testing.assert_array_equal(record["points"], scene.bright[:2])
    assert record["settings"]["backbone"] == "filterbank"


def test_each_image_keeps_its_own_cleaning(prompted, folder, other_scene) -> None:
    wait_until_kept(prompted, folder, 2)
    prompted.clean(min_size=9)
    prompted.choose(prompted.add_image(other_scene.image, name="other"))
    prompted.settle()
    prompted.click(other_scene.bright[:3])
    prompted.clean(min_size=0, fill=True)
    prompted.close()
    cleaning = {one["image"]: one["settings"]["cleaning"] for one in kept(folder)}
    plain = {"min_size": 0, "max_size": None, "fill_holes": False, "split": False}
    assert cleaning == {
        "scene": {**plain, "min_size": 9},
        "other": {**plain, "fill_holes": True},
    }


def test_the_last_edit_is_kept_when_the_dock_is_closed(prompted, folder, scene) -> None:
    prompted.prompts.add(scene.bright[2])
    prompted.close()
    assert [len(one["classes"]) for one in kept(folder)] == [3]


def test_a_cleared_image_is_not_offered(prompted, again, folder, scene) -> None:
    wait_until_kept(prompted, folder, 2)
    prompted.press("Clear")
    prompted.close()
    assert not list(folder.glob("*"))
    assert offered(open_again(again, scene.image)) == ""


def test_nothing_is_written_without_prompts(ready, folder) -> None:
    ready.work.choose_cleaning(Cleaning(min_size=3))
    ready.close()
    assert not folder.exists()


def test_prompts_of_a_sample_are_kept_once_they_are_changed(
    prompted, folder, scene
) -> None:
    """`dinoprompt demo` places some: they are nobody's work."""
    wait_until_kept(prompted, folder, 2)
    prompted.state.given = np.array(prompted.prompts.data)
    prompted.drag_threshold(0.4)
    prompted.settle()
    prompted.qtbot.waitUntil(lambda: not kept(folder))
    prompted.click(scene.bright[2])
    wait_until_kept(prompted, folder, 3)


# --- what comes back


def test_restored_prompts_give_the_same_mask(prompted, again, scene) -> None:
    prompted.click(scene.dim[:1], "background")
    prompted.work.add_class("bar")
    prompted.click(scene.bar)
    prompted.choose_upscale("1.5")
    prompted.dock.prompts._points_only.click()
    prompted.drag_threshold(0.37)
    prompted.clean(min_size=20, fill=True)
    mask, hidden = prompted.mask, prompted.work.session.selected_class
    prompted.close()
    open_again(again, scene.image, name="another name")
    assert offered(again).startswith("Restore 4 prompts of today, ")
    assert not len(again.prompts.data)
    restore(again)
    assert offered(again) == ""
    np.testing.assert_array_equal(again.mask, mask)
    session = again.work.session
    assert session.classes == ["object", "background", "bar"]
    assert session.selected_class == hidden
    assert session.cleaning == Cleaning(20, fill_holes=True)
    assert session.points_only
    assert again.dock.prompts._points_only.isChecked()
    assert (again.upscale_shown, again.threshold_shown) == ("×1.5", 0.37)


@pytest.mark.parametrize(
    "placed",
    [{"scale": (0.35, 0.7), "rotate": 31}, {"scale": (2, 3), "translate": (5, -7)}],
    ids=["turned", "scaled"],
)
def test_prompts_lie_on_the_same_pixels_however_the_layer_lies(
    bench, again, scene, placed
) -> None:
    bench.add_image(scene.image, **placed)
    bench.open()
    bench.settle()
    bench.click(scene.bright[:3])
    where, mask = np.array(bench.prompts.data), bench.mask
    bench.close()
    open_again(again, scene.image, **placed)
    restore(again)
    np.testing.assert_array_equal(again.prompts.data, where)
    np.testing.assert_array_equal(again.mask, mask)


def test_prompts_follow_the_pixels_to_another_scale(prompted, again, scene) -> None:
    mask = prompted.mask
    prompted.close()
    open_again(again, scene.image, scale=(0.5, 0.5))
    restore(again)
    np.testing.assert_allclose(again.prompts.data, scene.bright[:2])
    np.testing.assert_allclose(again.prompts.scale, (0.5, 0.5))
    np.testing.assert_array_equal(again.mask, mask)


def test_undo_takes_the_restored_prompts_away_in_one_step(
    prompted, again, scene
) -> None:
    prompted.close()
    open_again(again, scene.image)
    restore(again)
    assert len(again.prompts.data) == 2
    again.press("Undo")
    assert not len(again.prompts.data)
    # They are not lost: what was restored goes when the dock is closed.
    assert offered(again).startswith("Restore 2 prompts")
    restore(again)
    assert len(again.prompts.data) == 2


def test_restored_prompts_are_kept_once(prompted, again, folder, scene) -> None:
    prompted.close()
    open_again(again, scene.image)
    restore(again)
    again.click(scene.bright[2])
    again.close()
    gc.collect()
    assert [len(one["classes"]) for one in kept(folder)] == [3]
    assert len(list(folder.glob("*.prompts.json"))) == 1


def test_what_was_not_restored_stays(prompted, again, folder, scene) -> None:
    prompted.close()
    open_again(again, scene.image)
    again.click(scene.bright[2])
    assert offered(again) == ""
    again.close()
    assert sorted(len(one["classes"]) for one in kept(folder)) == [1, 2]


def test_forgotten_prompts_are_gone_and_older_ones_are_offered(
    prompted, again, idle, folder, scene
) -> None:
    prompted.close()
    open_again(again, scene.image)
    again.click(scene.bright[2])
    again.close()
    open_again(again, scene.image)
    assert not again.prompts.data.size or offered(again) == ""
    again.viewer.layers.clear()
    again.add_image(scene.image)
    again.settle()
    assert offered(again).startswith("Restore 1 prompt of")
    forget(again, idle)
    assert offered(again).startswith("Restore 2 prompts of")
    forget(again, idle)
    assert offered(again) == ""
    again.close()
    assert not kept(folder)


def test_other_pixels_are_offered_nothing(prompted, again, other_scene) -> None:
    prompted.close()
    assert offered(open_again(again, other_scene.image, name="scene")) == ""


def test_prompts_of_a_stack_come_back_on_their_planes(
    bench, again, scene, other_scene
) -> None:
    planes = np.stack([scene.image, other_scene.image, scene.image[::-1]])
    lazy = da.from_array(planes, chunks=(1, *scene.image.shape))
    bench.add_image(lazy, contrast_limits=(0, 255))
    bench.open()
    bench.settle()
    where = [(0, *scene.bright[0]), (1, *other_scene.bright[0])]
    bench.prompts.add(where)
    bench.settle()
    bench.viewer.dims.set_point(0, 2)
    bench.settle()
    mask = bench.mask[2]
    bench.close()
    # The same image, read whole this time.
    open_again(again, planes)
    restore(again)
    np.testing.assert_array_equal(again.prompts.data, where)
    again.viewer.dims.set_point(0, 2)
    again.settle()
    np.testing.assert_array_equal(again.mask[2], mask)


def test_points_of_the_users_own_are_kept_and_restored_into_ours(
    ready, again, scene
) -> None:
    own = Points(scene.bright[:3], name="own")
    ready.viewer.layers.append(own)
    ready.work.choose_prompts(own)
    ready.settle()
    ready.close()
    open_again(again, scene.image)
    again.viewer.layers.append(empty := Points(ndim=2))
    again.work.choose_prompts(empty)
    again.settle()
    restore(again)
    assert not len(empty.data)
    assert again.work.session.current.owns_prompts
    np.testing.assert_array_equal(again.prompts.data, scene.bright[:3])


def test_a_file_of_weights_is_not_opened_by_itself(
    prompted, again, folder, scene
) -> None:
    prompted.close()
    (path,) = folder.glob("*.prompts.json")
    content = json.loads(path.read_text())
    content["images"][0]["settings"]["own_weights"] = True
    path.write_text(json.dumps(content))
    open_again(again, scene.image)
    restore(again)
    assert again.work.session.request.backbone.checkpoint is None
    assert len(again.prompts.data) == 2
    assert "choose it again under Advanced" in again.hint


# --- several images, docks and programs


def test_a_program_at_work_is_left_alone(prompted, again, folder, scene, idle) -> None:
    wait_until_kept(prompted, folder, 2)
    assert offered(open_again(again, scene.image)) == ""
    again.click(scene.bright[3])
    prompted.click(scene.bright[2])
    again.qtbot.waitUntil(
        lambda: sorted(len(k["classes"]) for k in kept(folder)) == [1, 3]
    )


def test_a_removed_image_that_comes_back_gets_its_prompts(ready, scene) -> None:
    image = ready.state.image
    ready.prompts.add(scene.bright[0])
    ready.viewer.layers.remove(image)
    ready.settle()
    assert offered(ready) == ""
    ready.add_image(scene.image)
    ready.settle()
    assert offered(ready).startswith("Restore 1 prompt of")
    restore(ready)
    np.testing.assert_array_equal(ready.prompts.data, scene.bright[:1])


def test_a_deleted_prompts_layer_is_offered_back(prompted, scene) -> None:
    mask = prompted.mask
    prompted.viewer.layers.remove(prompted.prompts)
    prompted.settle()
    assert offered(prompted).startswith("Restore 2 prompts")
    restore(prompted)
    np.testing.assert_array_equal(prompted.prompts.data, scene.bright[:2])
    np.testing.assert_array_equal(prompted.mask, mask)


def test_closing_the_viewer_keeps_what_was_there(prompted, again, scene) -> None:
    # napari removes all layers before its window goes.
    prompted.viewer.layers.clear()
    prompted.close()
    assert offered(open_again(again, scene.image)).startswith("Restore 2 prompts")


def test_each_image_has_its_own(prompted, again, folder, scene, other_scene) -> None:
    other = prompted.add_image(other_scene.image)
    prompted.choose(other)
    prompted.settle()
    prompted.click(other_scene.bright[:1])
    prompted.choose_upscale("2")
    prompted.settle()
    prompted.close()
    assert {r["settings"]["upscale"]: len(r["classes"]) for r in kept(folder)} == {
        1.0: 2,
        2.0: 1,
    }
    open_again(again, scene.image)
    assert offered(again).startswith("Restore 2 prompts")
    again.choose(again.add_image(other_scene.image))
    again.settle()
    assert offered(again).startswith("Restore 1 prompt of")


def test_a_dock_that_opens_again_offers_nothing_and_keeps_one_record(
    prompted, folder, scene
) -> None:
    prompted.close()
    prompted.open()
    prompted.settle()
    assert offered(prompted) == ""
    prompted.click(scene.bright[2])
    prompted.close()
    assert [len(one["classes"]) for one in kept(folder)] == [3]


def test_replaced_pixels_are_another_image(prompted, again, scene, other_scene) -> None:
    prompted.state.image.data = other_scene.image
    prompted.settle()
    prompted.close()
    assert offered(open_again(again, scene.image)) == ""
    again.choose(again.add_image(other_scene.image))
    again.settle()
    assert offered(again).startswith("Restore 2 prompts")


# --- trouble


def test_a_folder_that_cannot_be_written_is_said_once(
    bench, scene, monkeypatch, tmp_path
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("DINOPROMPT_RECOVERY", str(tmp_path / "file" / "recovery"))
    bench.add_image(scene.image)
    bench.open()
    bench.settle()
    bench.click(scene.bright[:1])
    bench.qtbot.waitUntil(lambda: "not kept for after a crash" in bench.hint)
    bench.click(scene.bright[1:2])
    assert bench.found(scene.bright[:2]) == [1, 1]
    bench.qtbot.waitUntil(lambda: not bench.work.recovery.autosave.pending)
    assert "crash" not in bench.hint
    bench.close()


@pytest.mark.parametrize(
    "content", [b"", b"\x00\xff", b"[1, 2]", b'{"format_version": 1, "images": 3}']
)
def test_a_damaged_file_is_set_aside(bench, folder, scene, content: bytes) -> None:
    folder.mkdir(parents=True)
    path = folder / "abc.prompts.json"
    path.write_bytes(content)
    bench.add_image(scene.image)
    bench.open()
    bench.settle()
    assert offered(bench) == ""
    assert not path.exists()
    assert (folder / "abc.prompts.json.damaged").read_bytes() == content


def test_an_unreadable_image_is_no_reason_to_stop(bench, scene, idle) -> None:
    def broken(block_id: tuple[int, ...]) -> np.ndarray:
        raise ValueError("broken disk")

    lazy = da.map_blocks(
        broken, chunks=((96,), (120,)), dtype=np.uint8, meta=np.empty((0, 0))
    )
    bench.viewer.layers.append(Image(scene.image, name="good"))
    bench.viewer.layers.append(
        Image(lazy, name="bad", visible=False, contrast_limits=(0, 255))
    )
    bench.open()
    bench.settle()
    bench.choose(bench.viewer.layers["bad"])
    bench.settle()
    assert "cannot be read" in bench.hint
    bench.choose(bench.viewer.layers["good"])
    bench.settle()
    assert bench.state.fingerprint


@pytest.mark.parametrize(
    ("hours", "said"),
    [(1, "today, 09:30"), (11, "yesterday, 23:30"), (90, "2026-03-01")],
)
def test_times_in_words(hours: int, said: str) -> None:
    now = datetime(2026, 3, 5, 10, 30)
    assert describe_time(now.timestamp() - 3600 * hours, now).startswith(said)


def test_the_block_comes_back(prompted, toy_file, again, folder, scene) -> None:
    prompted.choose_checkpoint(toy_file)
    prompted.dock.image._advanced._block.setValue(2)
    prompted.settle()
    prompted.close()
    (record,) = kept(folder)
    assert record["settings"]["block"] == 2
    restore(open_again(again, scene.image))
    # No path is kept.
    again.choose_checkpoint(toy_file)
    assert again.state.result.reference.backbone.block == 2


def test_filterbank_comes_back_while_a_block_is_chosen(
    prompted, toy_file, again, scene
) -> None:
    before = prompted.mask
    prompted.close()
    open_again(again, scene.image)
    again.choose_checkpoint(toy_file)
    again.dock.image._advanced._block.setValue(2)
    again.settle()
    restore(again)
    assert again.state.result.reference.backbone.name == "filterbank"
    np.testing.assert_array_equal(again.mask, before)
