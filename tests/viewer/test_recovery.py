"""A program that is killed loses no prompts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from npe2 import PluginManager, PluginManifest

pytestmark = [pytest.mark.slow, pytest.mark.viewer]

NAME = "napari-dinoprompt"
CENTRES = ((20.0, 20.0), (60.0, 30.0), (40.0, 70.0))


@pytest.fixture
def plugin(npe2pm: PluginManager) -> None:
    npe2pm.register(PluginManifest.from_distribution(NAME))


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_prompts_survive_a_kill(plugin, make_napari_viewer, qtbot, tmp_path) -> None:
    y, x = np.mgrid[:96, :96]
    image = np.random.default_rng(0).normal(20, 3, (96, 96))
    for centre, light in zip(CENTRES, (150, 150, 60), strict=True):
        image += light * (np.hypot(y - centre[0], x - centre[1]) < 9)
    files = [tmp_path / name for name in ("image.npy", "mask.npy", "points.npy")]
    np.save(files[0], image)
    np.save(files[2], CENTRES)
    script = Path(__file__).parents[1] / "support" / "killed_viewer.py"
    done = subprocess.run(
        [sys.executable, script, *files],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == -9, done.stderr[-3000:]
    mask = np.load(files[1])
    assert mask.any()

    viewer = make_napari_viewer()
    viewer.add_image(image, name="the same", scale=(0.35, 0.35))
    _, dock = viewer.window.add_plugin_dock_widget(NAME, "Prompt segmentation")
    qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)
    prompts = viewer.layers["the same prompts"]
    assert not len(prompts.data)
    offer = dock.segment.recovery
    assert offer._accept.text().startswith("Restore 3 prompts of today, ")
    offer._accept.click()
    qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)
    np.testing.assert_array_equal(prompts.data, CENTRES)
    assert list(prompts.features["class"]) == ["object", "object", "background"]
    np.testing.assert_array_equal(viewer.layers["the same mask"].data, mask)
    assert offer.isHidden()
