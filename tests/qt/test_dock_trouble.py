"""Hurried switching and errors: the dock ends in the right state and goes on."""

from __future__ import annotations

import gc
import threading
import weakref

import numpy as np
import pytest
from napari.layers import Image
from napari.utils.notifications import notification_manager
from qtpy.QtCore import QThreadPool, QTimer
from small_stack import DISCS, SHAPE, draw_plane, draw_stack

import napari_dinoprompt as dp
from napari_dinoprompt._qt.common.jobs import LatestJob
from napari_dinoprompt.core.images.intensity import sample_planes
from napari_dinoprompt.session.session import Phase


def from_scratch(plane: object, points: object, upscale: float = 1.0) -> np.ndarray:
    backbone = dp.load_backbone("filterbank", device="cpu")
    features = dp.extract_features(plane, backbone, upscale=upscale)
    return dp.segment(plane, dp.Reference.from_prompts(features, points)).mask


class Failing:
    """An image of which some planes cannot be read, as from a broken disk."""

    def __init__(self, planes: np.ndarray, broken: set[int]) -> None:
        self.planes, self.broken = planes, broken
        self.shape, self.dtype, self.ndim = planes.shape, planes.dtype, planes.ndim
        self.main = threading.get_ident()

    def __getitem__(self, index: object) -> np.ndarray:
        # napari's own reading for the canvas is not what is tested.
        first = index[0] if isinstance(index, tuple) else index
        away = threading.get_ident() != self.main
        if away and isinstance(first, int) and first in self.broken:
            raise OSError("the disk is gone")
        return self.planes[index]


# --- hurry


def test_ten_images_in_a_second(bench) -> None:
    images = [bench.add_image(draw_plane(seed)) for seed in range(3)]
    bench.open()
    bench.settle()
    for image in images:
        bench.choose(image)
        bench.settle()
        bench.click(DISCS[:2])
    for turn in range(10):
        bench.choose(images[turn % 3])
        bench.qtbot.wait(turn % 4 * 10)
    bench.settle()
    assert bench.state.image is images[0]
    assert bench.work.session.phase is Phase.READY
    assert len(bench.viewer.layers) == 12
    for seed, image in enumerate(images):
        state = bench.work.session.open(image)
        np.testing.assert_array_equal(
            np.array(state.mask.data), from_scratch(draw_plane(seed), DISCS[:2])
        )


@pytest.mark.parametrize("last", ["filterbank", "dinov2-small"])
def test_ten_backbones_in_a_second(bench, last: str) -> None:
    """There are no weights of the other one: it always fails, and is left again."""
    bench.add_image(draw_plane())
    bench.open()
    bench.settle()
    bench.click(DISCS[:2])
    other = {"filterbank": "dinov2-small", "dinov2-small": "filterbank"}
    for turn in range(10):
        bench.choose_backbone(last if turn % 2 else other[last])
        bench.qtbot.wait(turn % 4 * 10)
    bench.settle()
    # What was chosen stays, and the filter bank goes on.
    assert bench.backbone_shown == last
    assert bench.work.session.request.backbone.name == "filterbank"
    assert bench.work.session.phase is Phase.READY
    assert ("dinov2-small" in bench.hint) == (last == "dinov2-small")
    np.testing.assert_array_equal(bench.mask, from_scratch(draw_plane(), DISCS[:2]))


def test_ten_upscales_in_a_second(bench) -> None:
    bench.add_image(draw_plane())
    bench.open()
    bench.settle()
    bench.click(DISCS[:2])
    for turn in range(10):
        bench.choose_upscale(("×2", "×1", "×1.5")[turn % 3])
        bench.qtbot.wait(turn % 3 * 15)
    bench.settle()
    assert bench.state.request.upscale == 2
    np.testing.assert_array_equal(
        bench.mask, from_scratch(draw_plane(), DISCS[:2], 2.0)
    )


# --- errors


def test_plane_that_cannot_be_read_is_said_once(bench) -> None:
    broken = 4
    assert (broken,) not in sample_planes((12,))
    data = Failing(draw_stack(12), {broken})
    bench.viewer.layers.append(Image(data, contrast_limits=(0, 255)))
    bench.open()
    bench.viewer.dims.set_point(0, 1)
    bench.settle()
    bench.prompts.add((1, *DISCS[0]))
    bench.settle()
    bench.viewer.dims.set_point(0, broken)
    bench.settle()
    assert "the disk is gone" in bench.hint
    assert bench.work.session.phase is Phase.FAILED
    bench.viewer.dims.set_point(0, 5)
    bench.settle()
    assert "the disk is gone" not in bench.hint
    assert bench.mask[5].any()


def test_unusable_image_is_said_in_the_dock_alone(bench) -> None:
    with notification_manager:
        before = len(notification_manager.records)
        bench.add_image(
            np.full((9, 9), np.nan, np.float32), name="x", contrast_limits=(0, 1)
        )
        bench.open()
        bench.settle()
        assert len(notification_manager.records) == before
    assert bench.hint == "The image holds nothing but NaN or infinity."


def test_a_click_tries_again_what_failed(bench) -> None:
    """As of an image on a disk that is back."""
    data = Failing(draw_stack(3), {1})
    bench.viewer.layers.append(Image(data, contrast_limits=(0, 255)))
    bench.viewer.dims.set_point(0, 1)
    bench.open()
    bench.settle()
    assert bench.work.session.phase is Phase.FAILED
    bench.prompts.add((1, *DISCS[0]))
    bench.settle()
    assert "the disk is gone" in bench.hint
    data.broken.clear()
    bench.prompts.add((1, *DISCS[1]))
    bench.settle()
    assert bench.work.session.phase is Phase.READY
    assert bench.mask[1].any()


# --- nothing is left


def test_closed_dock_leaves_no_thread_timer_or_layer(bench, idle) -> None:
    image = bench.add_image(draw_stack(3))
    bench.open()
    bench.settle()
    bench.prompts.add((1, *DISCS[0]))
    bench.settle()
    layers, threads = list(bench.viewer.layers), threading.active_count()
    controller = weakref.ref(bench.work)
    for _ in range(3):
        bench.close()
        bench.open()
        bench.settle()
    bench.close()
    idle()
    gc.collect()
    assert controller() is None
    assert list(bench.viewer.layers) == layers
    assert threading.active_count() <= threads
    assert QThreadPool.globalInstance().activeThreadCount() == 0
    # What goes on in the viewer reaches nobody.
    bench.viewer.dims.set_point(0, 2)
    image.data = np.zeros((2, *SHAPE), np.uint8)
    bench.viewer.layers.clear()


def test_no_timers_or_jobs_pile_up(bench) -> None:
    bench.add_image(draw_plane())
    bench.open()
    bench.settle()
    bench.click(DISCS[0])
    bench.qtbot.wait(5)
    work = bench.work
    before = len(work.findChildren(QTimer)), sum(1 for _ in work.children())
    jobs = [len(job.children()) for job in work.findChildren(LatestJob)]
    for turn in range(12):
        bench.prompts.add(DISCS[turn % 3])
        bench.qtbot.wait(3)
    bench.settle()
    bench.qtbot.waitUntil(
        lambda: jobs == [len(job.children()) for job in work.findChildren(LatestJob)]
    )
    after = len(work.findChildren(QTimer)), sum(1 for _ in work.children())
    assert after == before


def test_deleted_image_frees_its_features(bench) -> None:
    image = bench.add_image(draw_plane())
    bench.open()
    bench.settle()
    bench.click(DISCS[:2])
    features = weakref.ref(bench.state.planes[()].features)
    bench.viewer.layers.remove(image)
    bench.settle()
    bench.qtbot.wait(5)
    gc.collect()
    assert features() is None
