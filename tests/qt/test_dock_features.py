"""Backbone, upscale, progress and stopping in the dock."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QEvent, Qt
from qtpy.QtGui import QFocusEvent
from qtpy.QtWidgets import QApplication
from safetensors.torch import save_file

import napari_dinoprompt as dp
from napari_dinoprompt.core.backbones.load import BackboneChoice
from napari_dinoprompt.core.backbones.vit import import_timm
from napari_dinoprompt.session.image_state import FeatureRequest
from napari_dinoprompt.session.session import Phase


def from_scratch(plane: object, points: object, upscale: float) -> dp.Segmentation:
    backbone = dp.load_backbone("filterbank", device="cpu")
    features = dp.extract_features(plane, backbone, upscale=upscale)
    reference = dp.Reference.from_prompts(features, points)
    return dp.segment(plane, reference, backbone)


# --- backbones


@pytest.mark.parametrize("prompts", [0, 2])
def test_backbone_without_weights_is_kept_and_what_is_there_goes_on(
    ready, scene, prompts: int
) -> None:
    ready.click(scene.bright[:prompts])
    before = ready.mask if prompts else None
    ready.choose_backbone("dinov2-small")
    ready.settle()
    assert "dinov2-small" in ready.hint
    assert "filterbank" in ready.hint
    assert "Traceback" not in ready.hint
    assert ready.backbone_shown == "dinov2-small"
    assert ready.shows("filterbank: 48 × 60 cells of 2 px")
    assert ready.work.session.request.backbone.name == "filterbank"
    if before is not None:
        np.testing.assert_array_equal(ready.mask, before)
    ready.click(scene.bright[2:4])
    assert ready.found(scene.bright[2]) == [1]
    assert "dinov2-small" not in ready.hint


def test_backbone_without_weights_on_the_first_image(bench, scene) -> None:
    bench.open()
    bench.choose_backbone("dinov2-small")
    bench.add_image(scene.image)
    bench.settle()
    assert bench.backbone_shown == "dinov2-small"
    assert bench.shows("dinov2-small are not on this machine; filterbank is used")
    bench.click(scene.bright[:2])
    assert bench.found(scene.bright[0]) == [1]
    assert bench.state.result.reference.backbone.name == "filterbank"
    bench.choose_backbone("filterbank")
    bench.settle()
    assert not bench.shows("not on this machine")


@pytest.mark.parametrize(
    "name",
    [
        "nonsense",
        "timm:no_such_model",
        "timm:vit_small_patch14_reg4_dinov2.lvd143m",
        "timm:vit_small_r26_s32_224",
        "",
    ],
)
def test_backbone_that_does_not_exist(prompted, name: str) -> None:
    before = prompted.mask
    prompted.choose_backbone(name)
    prompted.settle()
    assert not name or not prompted.hint.startswith(("Refine", "Add two"))
    # What was typed can be mended.
    assert prompted.backbone_shown == (name or "filterbank")
    np.testing.assert_array_equal(prompted.mask, before)
    prompted.choose_upscale("2")
    prompted.settle()
    assert prompted.state.result.reference.upscale == 2


def test_message_of_the_backbone_wins_over_prompts_outside(prompted) -> None:
    prompted.click((-50, -50))
    prompted.choose_backbone("dinov2-small")
    prompted.settle()
    assert "dinov2-small" in prompted.hint


def test_another_backbone_puts_thresholds_on_auto(prompted, tmp_path) -> None:
    model = import_timm().create_model("test_vit", num_classes=0)
    save_file(model.state_dict(), tmp_path / "toy.safetensors")
    prompted.drag_threshold(0.3)
    prompted.settle()
    choice = BackboneChoice(
        "timm:test_vit", checkpoint=str(tmp_path / "toy.safetensors")
    )
    prompted.work.features.choose(FeatureRequest(choice, 1.0))
    prompted.settle()
    assert prompted.state.result.reference.backbone.name == "timm:test_vit"
    assert prompted.auto_shown
    # The user chose it: DINOv2 is no longer offered.
    assert not prompted.shows("not on this machine")


def test_backbone_that_cannot_be_had_leaves_the_threshold(prompted) -> None:
    prompted.drag_threshold(0.3)
    prompted.settle()
    prompted.choose_backbone("dinov2-small")
    prompted.settle()
    assert not prompted.auto_shown
    assert prompted.state.result.thresholds["object"] == pytest.approx(0.3)


def test_device_that_is_not_there_goes_back(prompted) -> None:
    """Else every later choice would fail for the same reason."""
    import torch

    if torch.backends.mps.is_available():
        pytest.skip("it is there")
    prompted.dock.image._advanced._device.value = "mps"
    prompted.settle()
    assert "mps" in prompted.hint.lower()
    assert prompted.dock.image._advanced._device.value == "auto"
    prompted.choose_upscale("2")
    prompted.settle()
    assert prompted.state.result.reference.upscale == 2


def test_notice_says_that_the_weights_are_missing(ready) -> None:
    assert ready.shows("The weights of dinov2-small are not on this machine")


# --- upscale


def test_upscale_changes_the_cells(prompted, scene) -> None:
    assert prompted.shows("48 × 60 cells of 2 px")
    prompted.choose_upscale("×2")
    prompted.settle()
    assert prompted.shows("96 × 120 cells of 1 px")
    assert prompted.found(scene.bright[:2]) == [1, 1]
    expected = from_scratch(scene.image, scene.bright[:2], 2.0)
    np.testing.assert_array_equal(prompted.mask, expected.mask)


@pytest.mark.parametrize("text", ["1,5", "x1.5", "×1.5", " 1.5 "])
def test_upscale_is_read_as_people_write_it(ready, text: str) -> None:
    ready.choose_upscale(text)
    ready.settle()
    assert ready.upscale_shown == "×1.5"
    assert ready.state.request.upscale == 1.5


@pytest.mark.parametrize("text", ["lots", "", "0", "-2", "nan", "inf", "×"])
def test_nonsense_upscale_is_taken_back(prompted, text: str) -> None:
    for before in ("auto", "×1"):
        prompted.choose_upscale(before)
        prompted.choose_upscale(text)
        assert prompted.upscale_shown == before
        assert prompted.work.session.request.upscale == 1.0
        assert not prompted.work.working


def test_upscale_beyond_memory_is_refused(prompted) -> None:
    before = prompted.mask
    prompted.choose_upscale("2000")
    prompted.settle()
    assert "Choose a lower upscale" in prompted.hint
    assert prompted.upscale_shown == "×1"
    np.testing.assert_array_equal(prompted.mask, before)


# --- progress and stopping


def test_progress_is_shown_while_computing(bench, scene, gate) -> None:
    shown = []
    bench.add_image(scene.image)
    bench.open()
    bar = bench.dock.status._bar
    bench.work.changed.connect(lambda: shown.append((bar.value(), bar.maximum())))
    bench.qtbot.waitUntil(lambda: gate.tiles == 1)
    assert not bar.isHidden()
    gate.open()
    bench.settle()
    assert bar.isHidden()
    total = gate.tiles
    assert total > 3
    assert (1, total) in shown
    assert (total - 1, total) in shown


def test_cancel_stops_at_the_next_tile_and_can_go_on(bench, scene, gate, idle) -> None:
    bench.add_image(scene.image)
    bench.open()
    bench.qtbot.waitUntil(lambda: gate.tiles == 1)
    bench.button("Cancel").click()
    assert bench.work.session.phase is Phase.STOPPED
    assert bench.hint == "Stopped. Press Compute features to go on."
    assert bench.button("Cancel").isHidden()
    gate.open()
    idle()
    assert gate.tiles == 1
    assert len(bench.state.planes) == 0

    bench.click(scene.bright[:2])
    assert bench.state.mask is None
    bench.press("Compute features")
    assert bench.work.session.phase is Phase.READY
    assert bench.button("Compute features").isHidden()
    assert bench.found(scene.bright) == [1] * 5


def test_cancel_when_nothing_runs_changes_nothing(prompted) -> None:
    prompted.work.features.cancel()
    assert prompted.work.session.phase is Phase.READY


def test_stopped_image_is_computed_when_it_is_chosen_again(
    bench, scene, other_scene, gate
) -> None:
    first = bench.add_image(scene.image)
    bench.open()
    bench.qtbot.waitUntil(lambda: gate.tiles == 1)
    bench.button("Cancel").click()
    gate.open()
    bench.choose(bench.add_image(other_scene.image))
    bench.settle()
    assert bench.work.session.phase is Phase.READY
    bench.choose(first)
    bench.settle()
    assert bench.work.session.phase is Phase.READY


def test_latest_of_many_requests_wins(prompted, scene, other_scene, idle) -> None:
    first = prompted.state.image
    second = prompted.add_image(other_scene.image)
    prompted.choose(second)
    prompted.settle()
    prompted.click(other_scene.bright[:2])
    moves = [
        lambda: prompted.choose(first),
        lambda: prompted.choose_upscale("2"),
        lambda: prompted.choose(second),
        lambda: prompted.choose_upscale("1"),
        lambda: prompted.choose(first),
        lambda: prompted.choose_upscale("1.5"),
        lambda: prompted.prompts.add(scene.dim[0]),
        lambda: prompted.choose(second),
        lambda: prompted.choose_upscale("2"),
        lambda: prompted.choose(first),
    ]
    for wait, move in enumerate(moves):
        move()
        prompted.qtbot.wait(7 * wait % 30)
    prompted.settle()
    idle()
    assert prompted.state.image is first
    assert prompted.upscale_shown == "×2"
    points = [*scene.bright[:2], scene.dim[0]]
    expected = from_scratch(scene.image, points, 2.0)
    np.testing.assert_array_equal(prompted.mask, expected.mask)
    np.testing.assert_array_equal(prompted.similarity_layer.data, expected.similarity)

    prompted.choose(second)
    prompted.settle()
    expected = from_scratch(other_scene.image, other_scene.bright[:2], 2.0)
    np.testing.assert_array_equal(prompted.mask, expected.mask)


def test_features_are_kept_for_images_that_come_back(
    prompted, other_scene, gate
) -> None:
    gate.open()
    first = prompted.state.image
    prompted.choose(prompted.add_image(other_scene.image))
    prompted.settle()
    computed = gate.tiles
    prompted.choose(first)
    prompted.settle()
    assert gate.tiles == computed


# --- a checkpoint


@pytest.mark.parametrize("folder", [False, True])
def test_a_network_is_seen_from_its_file(prompted, toy_file, folder: bool) -> None:
    given = toy_file.parent if folder else toy_file
    prompted.choose_checkpoint(given)
    assert prompted.backbone_shown == "timm:test_vit"
    assert prompted.checkpoint_shown == str(given)
    assert prompted.state.result.reference.backbone.name == "timm:test_vit"
    assert not prompted.shows("not on this machine")
    prompted.dock.image._advanced._block.setValue(2)
    prompted.settle()
    assert prompted.state.result.reference.backbone.block == 2
    # Another backbone has other weights.
    prompted.choose_backbone("filterbank")
    prompted.settle()
    assert prompted.checkpoint_shown == ""
    assert not prompted.dock.image._advanced._block.isEnabled()
    assert prompted.state.result.reference.backbone.name == "filterbank"


def test_a_file_for_a_network_whose_weights_are_missing(prompted, toy_file) -> None:
    prompted.choose_backbone("dinov2-small")
    prompted.settle()
    prompted.choose_checkpoint(toy_file)
    assert prompted.backbone_shown == "timm:test_vit"
    assert prompted.state.result.reference.backbone.name == "timm:test_vit"


@pytest.mark.parametrize("content", [b"", b"nonsense" * 100, None])
def test_a_wrong_file_is_told_and_the_field_keeps_it(
    prompted, tmp_path, content
) -> None:
    before, path = prompted.mask, tmp_path / "a.pth"
    if content is not None:
        path.write_bytes(content)
    prompted.choose_checkpoint(path)
    assert str(path) in prompted.hint
    assert prompted.checkpoint_shown == str(path)
    assert prompted.backbone_shown == "filterbank"
    np.testing.assert_array_equal(prompted.mask, before)
    prompted.choose_upscale("2")
    prompted.settle()
    assert prompted.state.result.reference.upscale == 2
    # There to be mended.
    assert prompted.checkpoint_shown == str(path)


@pytest.mark.parametrize("leave", ["enter", "focus"])
def test_a_typed_path_is_looked_at_when_it_is_whole(
    prompted, toy_file, qtbot, leave: str
) -> None:
    asked: list[str] = []
    prompted.dock.image.checkpoint_chosen.connect(asked.append)
    line = prompted.dock.image._advanced._checkpoint.line_edit.native
    qtbot.keyClicks(line, str(toy_file))
    prompted.settle()
    assert not asked
    assert prompted.backbone_shown == "filterbank"
    if leave == "enter":
        qtbot.keyClick(line, Qt.Key.Key_Return)
    else:
        QApplication.sendEvent(line, QFocusEvent(QEvent.Type.FocusOut))
    prompted.settle()
    assert len(asked) == 1
    assert prompted.backbone_shown == "timm:test_vit"
    # Looked into again, nothing has been typed.
    QApplication.sendEvent(line, QFocusEvent(QEvent.Type.FocusOut))
    qtbot.keyClick(line, Qt.Key.Key_Return)
    prompted.settle()
    assert len(asked) == 1
    # Emptied by hand, the file is no longer asked for.
    line.selectAll()
    qtbot.keyClick(line, Qt.Key.Key_Delete)
    assert prompted.work.session.request.backbone.checkpoint == str(toy_file)
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert prompted.work.session.request.backbone.checkpoint is None


def test_the_dialog_s_file_is_looked_at_at_once(
    prompted, toy_file, monkeypatch
) -> None:
    rows = prompted.dock.image._advanced
    monkeypatch.setattr(
        rows._checkpoint, "_show_file_dialog", lambda *_, **__: str(toy_file)
    )
    prompted.press("Choose file…")
    assert prompted.backbone_shown == "timm:test_vit"


def test_the_blocks_end_with_the_network_s(prompted, toy_file) -> None:
    box = prompted.dock.image._advanced._block
    assert box.maximum() == 99
    prompted.choose_checkpoint(toy_file)
    assert box.maximum() == 5
    box.setValue(77)
    prompted.settle()
    assert prompted.state.result.reference.backbone.block == 5
    # Weights are not needed to know it.
    prompted.choose_backbone("timm:vit_large_patch16_224")
    prompted.settle()
    assert prompted.shows("vit_large_patch16_224 are not on this machine")
    assert box.maximum() == 23


def test_the_blocks_of_a_file_are_known_without_an_image(bench, toy_file) -> None:
    bench.open()
    bench.choose_checkpoint(toy_file)
    assert bench.dock.image._advanced._block.maximum() == 5


def test_a_block_that_there_is_not(prompted, toy_file) -> None:
    """Of a reference, say."""
    choice = BackboneChoice("timm:test_vit", checkpoint=str(toy_file), block=77)
    prompted.work.features.choose(FeatureRequest(choice, 1.0))
    prompted.settle()
    assert "there is no block 77" in prompted.hint
    box = prompted.dock.image._advanced._block
    assert box.value() == box.maximum() == 77
    assert prompted.state.result.reference.backbone.name == "filterbank"
    box.setValue(0)
    prompted.settle()
    assert prompted.state.result.reference.backbone.block == 0
    assert box.maximum() == 5


def test_a_model_of_timm_that_only_lacks_its_weights(prompted) -> None:
    prompted.choose_backbone("timm:vit_tiny_patch16_224")
    prompted.settle()
    said = (
        "The weights of timm:vit_tiny_patch16_224 are not on this machine; filterbank"
    )
    assert prompted.dock.weights._notice.text().startswith(said)
    assert not prompted.dock.weights.isHidden()
    assert prompted.hint.startswith(said)
    assert prompted.backbone_shown == "timm:vit_tiny_patch16_224"
    # Nobody has weights of what cannot be used.
    prompted.choose_backbone("timm:vit_small_r26_s32_224")
    prompted.settle()
    assert "is not a vision transformer with square patches" in prompted.hint
    assert not prompted.shows("not on this machine")


def test_another_block_puts_thresholds_on_auto(prompted, toy_file) -> None:
    prompted.choose_checkpoint(toy_file)
    # Another one than it is already at.
    prompted.drag_threshold(0.2 if prompted.threshold_shown > 0.5 else 0.8)
    prompted.settle()
    assert not prompted.auto_shown
    prompted.dock.image._advanced._block.setValue(2)
    prompted.settle()
    assert prompted.auto_shown


def test_a_file_that_fits_several_goes_with_the_name_that_is_typed(
    prompted, tmp_path
) -> None:
    """As the message says that asks for it."""
    name, unnamed = "vit_tiny_patch16_224", tmp_path / "mine.safetensors"
    save_file(import_timm().create_model(name).state_dict(), unnamed)
    prompted.choose_checkpoint(unnamed)
    assert "type the name of its model as backbone" in prompted.hint
    assert prompted.checkpoint_shown == str(unnamed)
    prompted.choose_backbone(f"timm:{name}")
    prompted.settle()
    assert prompted.state.result.reference.backbone.name == f"timm:{name}"
    assert prompted.checkpoint_shown == str(unnamed)


def test_a_refused_file_is_in_the_way_of_nothing(prompted, toy_file, tmp_path) -> None:
    prompted.choose_checkpoint(toy_file)
    wrong = tmp_path / "a.pth"
    wrong.write_bytes(b"nonsense")
    prompted.choose_checkpoint(wrong)
    assert str(wrong) in prompted.hint
    prompted.choose_upscale("2")
    prompted.settle()
    assert prompted.state.result.reference.backbone.name == "timm:test_vit"
    assert prompted.state.result.reference.upscale == 2
    assert prompted.checkpoint_shown == str(wrong)
    prompted.choose_backbone("filterbank")
    prompted.settle()
    assert prompted.checkpoint_shown == ""
