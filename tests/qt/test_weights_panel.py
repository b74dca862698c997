"""Getting DINOv2 from the dock: the button, progress, Cancel, and the switch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import toy_dinov2
from hub_stand_in import Hub, refuse, run_hub, stall
from huggingface_hub import constants
from qtpy.QtGui import QGuiApplication

from napari_dinoprompt.core.backbones import download as weight_fetch
from napari_dinoprompt.core.backbones.download import ask_hub
from napari_dinoprompt.core.backbones.weights import find_published

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAIT_MS = 20_000
GET = "Get dinov2-small (88 MB)"


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The stand-in as this machine's hub, with a toy under every model's name."""
    toy_dinov2.put_in_place(monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    with run_hub(toy_dinov2.toy_weights()) as hub:
        # Instead of HF_ENDPOINT, which the library reads when it is imported.
        monkeypatch.setattr(
            weight_fetch, "ask_hub", lambda weights, _: ask_hub(weights, hub.endpoint)
        )
        yield hub


def fetched(bench) -> None:
    bench.qtbot.waitUntil(lambda: not bench.dock.weights.fetching, timeout=WAIT_MS)


def test_the_button_gets_it_and_the_dock_switches(hub, prompted, scene) -> None:
    points = np.array(prompted.prompts.data)
    assert prompted.shows("dinov2-small are not on this machine; filterbank is used")
    assert not hub.asked
    prompted.button(GET).click()
    fetched(prompted)
    prompted.settle()
    assert find_published("dinov2-small").is_file()
    assert prompted.backbone_shown == "dinov2-small"
    # The toy's cells are larger than the discs.
    assert prompted.upscale_shown == "auto (×2)"
    assert prompted.work.session.message.startswith("Features are at ×2 now")
    assert prompted.state.result.reference.backbone.name == "dinov2-small"
    np.testing.assert_array_equal(prompted.prompts.data, points)
    assert prompted.dock.weights.isHidden()


def test_progress_and_cancel(hub, prompted) -> None:
    hub.get = [stall(100_000)]
    panel = prompted.dock.weights
    prompted.button(GET).click()
    prompted.qtbot.waitUntil(lambda: panel._bar.value() >= 100, timeout=WAIT_MS)
    assert panel._bar.maximum() == hub.size // 1000
    assert panel._get.isHidden()
    panel._cancel.click()
    assert prompted.shows("Stopped.")
    assert not panel._get.isHidden()
    assert hub.dropped.wait(2)
    assert prompted.backbone_shown == "filterbank"
    # Other jobs never noticed.
    assert prompted.state.result is not None
    hub.ranges.clear()
    prompted.button(GET).click()
    fetched(prompted)
    assert hub.ranges == ["bytes=100000-"]


def test_closing_the_dock_ends_the_transfer(hub, prompted) -> None:
    hub.get = [stall(100_000)]
    prompted.button(GET).click()
    prompted.qtbot.waitUntil(hub.stalled.is_set, timeout=WAIT_MS)
    prompted.close()
    assert hub.dropped.wait(3)


def test_a_failure_is_one_line_and_loses_nothing(hub, prompted) -> None:
    hub.head = [refuse(403)]
    prompted.button(GET).click()
    fetched(prompted)
    assert prompted.shows("which answers 403")
    assert prompted.backbone_shown == "filterbank"
    assert len(prompted.prompts.data) == 2
    prompted.button(GET).click()
    fetched(prompted)
    prompted.settle()
    assert prompted.backbone_shown == "dinov2-small"
    assert not prompted.shows("which answers 403")


def test_the_model_that_was_chosen_is_offered(hub, prompted) -> None:
    prompted.choose_backbone("dinov2-base")
    prompted.settle()
    assert prompted.backbone_shown == "dinov2-base"
    assert "not on this machine" in prompted.hint
    assert prompted.shows("dinov2-base are not on this machine; filterbank is used")
    assert prompted.state.result.reference.backbone.name == "filterbank"
    prompted.choose_upscale("2")
    prompted.settle()
    assert prompted.backbone_shown == "dinov2-base"
    assert prompted.state.result.reference.upscale == 2
    prompted.choose_upscale("auto")
    prompted.button("Get dinov2-base (346 MB)").click()
    fetched(prompted)
    prompted.settle()
    assert prompted.backbone_shown == "dinov2-base"
    assert prompted.state.result is not None


def test_a_name_that_there_is_not_is_not_offered(prompted) -> None:
    prompted.choose_backbone("dinov2-huge")
    prompted.settle()
    assert prompted.backbone_shown == "dinov2-huge"
    assert prompted.dock.weights.isHidden()
    assert "Unknown backbone" in prompted.hint
    prompted.choose_backbone("filterbank")
    prompted.settle()
    assert "Unknown" not in prompted.hint


def test_without_an_image_it_works_too(hub, bench) -> None:
    bench.open()
    bench.button(GET).click()
    fetched(bench)
    assert bench.backbone_shown == "dinov2-small"


def test_weights_that_are_there_are_not_offered(hub, bench, scene) -> None:
    for _ in weight_fetch.fetch_weights("dinov2-small"):
        pass
    bench.add_image(scene.image)
    dock = bench.open()
    bench.settle()
    assert bench.backbone_shown == "dinov2-small"
    assert dock.weights.isHidden()


def test_the_line_goes_when_another_model_is_chosen(prompted) -> None:
    assert prompted.button(GET)
    prompted.choose_backbone("dinov2-large")
    prompted.settle()
    assert prompted.shows("dinov2-large are not on this machine")
    prompted.choose_backbone("filterbank")
    prompted.settle()
    assert prompted.dock.weights.isHidden()
    assert prompted.shows("good for fluorescence, weak for tissue")


def test_a_licence_is_told_beside_the_button(prompted) -> None:
    prompted.choose_backbone("dinov3-small")
    prompted.settle()
    assert prompted.shows("Its licence: DINOv3 License")
    prompted.choose_backbone("dinov2-small")
    prompted.settle()
    assert not prompted.shows("Its licence")


@pytest.mark.parametrize(
    ("name", "repository"),
    [
        ("dinov2-base", "vit_base_patch14_reg4_dinov2.lvd142m"),
        ("timm:vit_tiny_patch16_224", "vit_tiny_patch16_224.augreg_in21k_ft_in1k"),
    ],
)
def test_the_address_can_be_copied_before_a_download(
    prompted, name: str, repository: str
) -> None:
    prompted.choose_backbone(name)
    prompted.settle()
    prompted.button("Copy address").click()
    assert QGuiApplication.clipboard().text() == (
        f"{constants.ENDPOINT}/timm/{repository}/resolve/main/model.safetensors"
    )
    assert prompted.shows("Copied.")
    assert not prompted.button("Choose file…").isHidden()


def test_without_a_known_address_none_is_offered(prompted) -> None:
    prompted.choose_backbone("timm:vit_betwixt_patch16_gap_256")
    prompted.settle()
    assert prompted.shows("betwixt_patch16_gap_256 are not on this machine")
    assert prompted.button("Copy address").isHidden()
    assert not prompted.button("Choose file…").isHidden()


def test_without_a_network_what_is_said_is_short(prompted, monkeypatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(
        weight_fetch,
        "ask_hub",
        lambda weights, _: ask_hub(weights, "http://127.0.0.1:9"),
    )
    prompted.button(GET).click()
    fetched(prompted)
    said = prompted.dock.weights._said.text()
    assert "cannot be reached" in said
    assert "Errno" not in said
    assert len(said) < 140
    assert not prompted.button("Copy address").isHidden()
    assert not prompted.dock.weights._choose.isHidden()
