"""The upscale that the clicked objects decide, in the dock."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
import toy_dinov2

import napari_dinoprompt as dp
from napari_dinoprompt.core.backbones.load import BackboneChoice
from napari_dinoprompt.core.backbones.vit import VisionTransformer
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features import extraction
from napari_dinoprompt.session.image_state import FeatureRequest
from napari_dinoprompt.session.session import Phase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import torch

WAIT_MS = 20_000


class Network:
    """The toy, whose tiles wait while it is held up."""

    def __init__(self, choice: BackboneChoice) -> None:
        self.choice = choice
        self.go = threading.Event()
        self.go.set()
        self.tiles = 0

    def hold_up(self) -> None:
        self.tiles = 0
        self.go.clear()


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Network]:
    """A transformer with cells of 8 pixels, where bright discs have a radius of 6."""
    toy_dinov2.put_in_place(monkeypatch)
    path = tmp_path / "toy.safetensors"
    path.write_bytes(toy_dinov2.toy_weights())
    network = Network(BackboneChoice("dinov2-small", checkpoint=str(path)))
    compute = VisionTransformer.__call__

    def wait(self: VisionTransformer, batch: torch.Tensor) -> torch.Tensor:
        network.tiles += 1
        assert network.go.wait(WAIT_MS / 1000)
        return compute(self, batch)

    monkeypatch.setattr(VisionTransformer, "__call__", wait)
    yield network
    network.go.set()


@pytest.fixture
def toy(ready, network):
    """The dock on the scene with the toy, its features at x1."""
    ready.work.features.choose(FeatureRequest(network.choice, 1.0), True)
    ready.settle()
    assert ready.state.request.upscale == 1
    return ready


@pytest.fixture
def fitting(toy, network, scene):
    """The same with a prompt; features at x2 are being computed, and held up."""
    network.hold_up()
    begin(toy, network, scene.bright[:1])
    return toy


def begin(bench, network: Network, points: np.ndarray) -> None:
    for point in points:
        bench.prompts.add(point)
    bench.qtbot.waitUntil(lambda: network.tiles > 0, timeout=WAIT_MS)


def scored(bench, prompts: int) -> None:
    """Wait until so many prompts are in the result, whatever else is computed."""

    def done() -> bool:
        result = bench.state.result
        return (
            result is not None
            and not bench.state.outdated
            and len(result.reference.points) == prompts
            and not bench.work.scoring.running
        )

    bench.qtbot.waitUntil(done, timeout=WAIT_MS)


def test_result_comes_first_and_then_the_finer_features(
    fitting, network, scene
) -> None:
    assert fitting.state.result.reference.upscale == 1
    assert fitting.found(scene.bright[0]) == [1]
    assert fitting.upscale_shown == "auto"
    assert fitting.shows("12 × 15 cells")
    assert fitting.hint.startswith("The clicked objects are small for the cells")
    assert "at ×2 (24 × 30 cells, 1 MB)" in fitting.hint
    status = fitting.dock.status
    assert not status._bar.isHidden()
    assert not fitting.button("Cancel").isHidden()
    assert fitting.work.session.phase is Phase.READY
    shown: list[tuple[int, int]] = []
    fitting.work.features.progressed.connect(lambda *said: shown.append(said))
    changes = count_upscales(fitting)
    network.go.set()
    fitting.settle()
    assert shown[-1] == (network.tiles, network.tiles)
    assert fitting.upscale_shown == "auto (×2)"
    assert fitting.shows("24 × 30 cells")
    assert fitting.state.request == fitting.work.session.request
    assert fitting.state.result.reference.upscale == 2
    assert fitting.hint.startswith("Features are at ×2 now")
    assert status._bar.isHidden()
    # Once: with more prompts it is not looked at again.
    fitting.click([*scene.bright[1:], scene.bar])
    assert changes == [2.0]
    assert fitting.state.result.reference.upscale == 2


def count_upscales(bench) -> list[float]:
    """Return a list that grows by each upscale that comes into use."""
    seen: list[float] = []
    last = [bench.work.session.request.upscale]

    def look() -> None:
        now = bench.work.session.request.upscale
        if now != last[0]:
            seen.append(now)
            last[0] = now

    bench.work.changed.connect(look)
    return seen


def test_dock_api_and_command_choose_alike(toy, scene, network, tmp_path) -> None:
    from napari_dinoprompt.cli import main

    toy.click(scene.bright[:3])
    backbone = network.choice.load()
    # A prompt at a time, in the dock; the first decides.
    with pytest.warns(RuntimeWarning, match="once more, at an upscale of 2"):
        made = dp.make_reference(scene.image, scene.bright[:3], backbone=backbone)
    reference = toy.work.session.reference()
    assert reference.upscale == made.upscale == 2
    np.testing.assert_array_equal(reference.vectors, made.vectors)
    assert reference.auto_thresholds == made.auto_thresholds
    found = dp.segment(scene.image, made, backbone)
    np.testing.assert_array_equal(toy.mask, found.mask)
    np.testing.assert_array_equal(toy.similarity_layer.data, found.similarity)

    iio.imwrite(tmp_path / "scene.png", scene.image)
    prompts = toy.prompts.features.copy()
    for axis in (1, 0):
        prompts.insert(0, f"axis-{axis}", toy.prompts.data[:, axis])
    prompts.to_csv(tmp_path / "points.csv", index_label="index")
    arguments = [
        *("reference", f"{tmp_path / 'scene.png'}"),
        f"--points={tmp_path / 'points.csv'}",
        f"--output={tmp_path / 'command'}",
        "--backbone=dinov2-small",
        f"--checkpoint={network.choice.checkpoint}",
    ]
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0
    written = dp.Reference.load(tmp_path / "command.reference.safetensors")
    assert written.upscale == 2
    np.testing.assert_array_equal(written.vectors, made.vectors)
    assert written.auto_thresholds == made.auto_thresholds


def test_large_objects_are_seen_as_they_are(bench, scene, network) -> None:
    bench.add_image(np.kron(scene.image, np.ones((3, 3), np.uint8)))
    bench.open()
    bench.work.features.choose(FeatureRequest(network.choice, 1.0), True)
    bench.settle()
    bench.click(3 * scene.bright[:2] + 1)
    assert bench.state.result.fitting_upscale == 1
    assert bench.upscale_shown == "auto"


def test_clicks_meanwhile_are_answered_and_count(fitting, network, scene) -> None:
    fitting.prompts.add(scene.bright[1])
    fitting.prompts.add(scene.bright[2])
    scored(fitting, 3)
    assert fitting.state.result.reference.upscale == 1
    assert fitting.work.features.fit.running
    network.go.set()
    fitting.settle()
    assert fitting.state.result.reference.upscale == 2
    assert len(fitting.state.result.reference.points) == 3


@pytest.mark.parametrize("text", ["×1", "4"])
def test_a_number_that_is_typed_wins(fitting, network, text: str, idle) -> None:
    fitting.choose_upscale(text)
    number = float(text.strip("×"))
    assert not fitting.work.features.fit.running
    network.go.set()
    fitting.settle()
    idle()
    assert fitting.upscale_shown == f"×{number:g}"
    assert fitting.state.result.reference.upscale == number
    assert "clicked objects are" not in fitting.hint


def test_a_number_before_the_first_click_stays(toy, scene) -> None:
    toy.choose_upscale("1")
    toy.click(scene.bright[:2])
    assert toy.state.result.fitting_upscale == 2
    assert toy.upscale_shown == "×1"
    assert toy.state.result.reference.upscale == 1
    # Back on auto, they decide.
    toy.choose_upscale("auto")
    toy.settle()
    assert toy.upscale_shown == "auto (×2)"
    assert toy.state.result.reference.upscale == 2


def test_auto_after_a_higher_number_goes_down(toy, scene) -> None:
    toy.choose_upscale("4")
    toy.settle()
    toy.click(scene.bright[:2])
    assert toy.state.result.fitting_upscale == 2
    toy.choose_upscale("auto")
    toy.settle()
    assert toy.upscale_shown == "auto (×2)"
    assert "the clicked objects are large" in toy.hint


def test_the_filter_bank_enlarges_nothing(bench) -> None:
    y, x = np.mgrid[:160, :160] % 20 - 10
    bench.add_image((200 * (y**2 + x**2 <= 2)).astype(np.uint8))
    bench.open()
    bench.settle()
    bench.click([(10, 50), (30, 90), (50, 10), (90, 110)])
    assert bench.state.result.fitting_upscale == 2
    assert bench.upscale_shown == "auto"
    assert bench.state.request.upscale == 1
    bench.choose_upscale("2")
    bench.settle()
    bench.choose_upscale("auto")
    bench.settle()
    assert bench.state.request.upscale == 1


def test_cancel_stays(fitting, network, scene, idle) -> None:
    fitting.button("Cancel").click()
    assert not fitting.work.features.fit.running
    assert fitting.hint == "Stopped. The upscale stays at ×1."
    assert fitting.button("Cancel").isHidden()
    assert fitting.work.session.phase is Phase.READY
    network.go.set()
    idle()
    fitting.click(scene.bright[1:3])
    assert fitting.upscale_shown == "auto"
    assert fitting.state.result.reference.upscale == 1
    # Whoever chooses auto again wants it after all.
    fitting.choose_upscale("auto")
    fitting.settle()
    assert fitting.upscale_shown == "auto (×2)"


def test_another_image_drops_it(fitting, network, other_scene, idle) -> None:
    first = fitting.state
    second = fitting.add_image(other_scene.image)
    fitting.choose(second)
    assert not fitting.work.features.fit.running
    network.go.set()
    fitting.settle()
    idle()
    assert fitting.state.image is second
    assert fitting.work.session.request.upscale == 1
    assert fitting.state.request.upscale == 1
    assert "clicked objects are" not in fitting.hint
    fitting.choose(first.image)
    fitting.settle()
    assert fitting.state.result.reference.upscale == 1


def test_each_image_keeps_its_own(toy, scene, other_scene) -> None:
    toy.click(scene.bright[:1])
    first, mask = toy.state, toy.mask
    assert toy.upscale_shown == "auto (×2)"
    large = np.kron(other_scene.image, np.ones((3, 3), np.uint8))
    toy.choose(toy.add_image(large))
    toy.settle()
    assert toy.upscale_shown == "auto"
    toy.click(3 * other_scene.bright[:1] + 1)
    assert toy.state.result.reference.upscale == 1
    planes = first.planes
    toy.choose(first.image)
    toy.settle()
    assert toy.upscale_shown == "auto (×2)"
    assert first.planes is planes
    np.testing.assert_array_equal(toy.mask, mask)


def test_a_deleted_image_drops_it(fitting, network, idle) -> None:
    fitting.viewer.layers.remove(fitting.state.image)
    network.go.set()
    fitting.settle()
    idle()
    assert fitting.work.session.current is None
    assert fitting.work.session.request.upscale == 1
    assert "Open an image" in fitting.hint


def test_another_backbone_drops_it(fitting, network, idle) -> None:
    other = FeatureRequest(BackboneChoice("filterbank"), 1.0)
    fitting.work.features.choose(other, True)
    assert not fitting.work.features.fit.running
    network.go.set()
    fitting.settle()
    idle()
    assert fitting.state.result.reference.backbone.name == "filterbank"
    assert fitting.state.result.reference.upscale == 1
    assert fitting.upscale_shown == "auto"


def test_too_little_memory_is_told_and_leaves_the_result(
    toy, scene, monkeypatch
) -> None:
    def refuse(*_: object) -> None:
        raise InputError("It needs 9 GB; choose a lower upscale.")

    monkeypatch.setattr(extraction, "check_memory", refuse)
    toy.click(scene.bright[:2])
    assert toy.hint == (
        "The upscale stays at ×1. It needs 9 GB; choose a lower upscale."
    )
    assert toy.upscale_shown == "auto"
    assert toy.state.result.reference.upscale == 1
    assert toy.found(scene.bright[:2]) == [1, 1]
    assert toy.work.session.phase is Phase.READY


def test_a_plane_that_is_clicked_meanwhile_is_computed_too(bench, network) -> None:
    from small_stack import DISCS, draw_stack

    bench.add_image(draw_stack(3))
    bench.open()
    bench.work.features.choose(FeatureRequest(network.choice, 1.0), True)
    bench.settle()
    bench.viewer.dims.set_point(0, 1)
    bench.settle()
    bench.viewer.dims.set_point(0, 0)
    bench.settle()
    network.hold_up()
    begin(bench, network, np.array([(0, *DISCS[0])]))
    # Its features are there at x1, and not among those under way.
    bench.viewer.dims.set_point(0, 1)
    bench.prompts.add((1, *DISCS[1]))
    scored(bench, 2)
    network.go.set()
    bench.settle()
    result = bench.state.result
    assert result.reference.upscale == 2
    assert result.reference.planes == ((0,), (1,))
    assert bench.mask[1].any()
