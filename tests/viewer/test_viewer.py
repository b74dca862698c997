"""Few tests with a real window: what only napari itself can tell."""

from __future__ import annotations

import gc
import subprocess
import sys
import textwrap
import weakref

import numpy as np
import pytest
from napari.layers import Image, Labels
from npe2 import PluginManager, PluginManifest

pytestmark = pytest.mark.viewer

NAME = "napari-dinoprompt"


@pytest.fixture
def plugin(npe2pm: PluginManager) -> None:
    """Register the plugin by the way that napari takes: through the entry point."""
    npe2pm.register(PluginManifest.from_distribution(NAME))


def discs() -> np.ndarray:
    y, x = np.mgrid[:96, :96]
    noise = np.random.default_rng(0).normal(20, 3, (96, 96))
    for centre in ((20, 20), (60, 30), (40, 70), (78, 75)):
        noise += 150 * (np.hypot(y - centre[0], x - centre[1]) < 7)
    return noise.clip(0, 255).astype(np.uint8)


def test_dock_from_the_plugin_menu(plugin, make_napari_viewer_proxy, qtbot) -> None:
    """The viewer is the proxy that menus give: private access would be an error."""
    viewer = make_napari_viewer_proxy(show=True)
    viewer.add_image(discs(), name="discs")
    _, dock = viewer.window.add_plugin_dock_widget(NAME, "Prompt segmentation")
    qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)
    prompts = viewer.layers["discs prompts"]
    prompts.add([(20, 20), (60, 30)])
    qtbot.waitUntil(lambda: "discs mask" in viewer.layers, timeout=20_000)
    qtbot.waitUntil(lambda: not dock.controller.working, timeout=20_000)
    mask = viewer.layers["discs mask"]
    assert isinstance(mask, Labels)
    assert mask.data[40, 70] == mask.data[78, 75] == 1
    assert mask.data[5, 90] == 0
    assert isinstance(viewer.layers["discs similarity"], Image)
    assert viewer.screenshot(canvas_only=True, flash=False).std() > 5
    # The window closes it, and asks nobody.
    viewer.window.remove_dock_widget(dock)


def test_closed_dock_leaves_nothing_behind(
    plugin, make_napari_viewer_proxy, qtbot
) -> None:
    viewer = make_napari_viewer_proxy()
    image = viewer.add_image(discs(), name="discs")
    viewer.window.add_plugin_dock_widget(NAME, "Prompt segmentation")
    (dock,) = viewer.window.dock_widgets.values()
    controller = weakref.ref(dock.controller)
    viewer.window.remove_dock_widget(dock)
    del dock
    # Whatever else holds it for a moment: the work under way does not.
    qtbot.waitUntil(lambda: gc.collect() >= 0 and controller() is None)
    viewer.layers.remove(image)


def test_dock_goes_with_its_window(plugin, make_napari_viewer_proxy, qtbot) -> None:
    viewer = make_napari_viewer_proxy(show=True)
    viewer.add_image(discs(), name="discs")
    _, dock = viewer.window.add_plugin_dock_widget(NAME, "Prompt segmentation")
    controller = dock.controller
    qtbot.waitUntil(lambda: not controller.working, timeout=20_000)
    viewer.layers["discs prompts"].add((20, 20))
    # Closed by the fixture while the prompt waits for its turn.


FIELD = (
    "membrane",
    "nuclei (virtual, undertrained)",
    "nuclei (virtual, trained)",
    "nuclei (real)",
)
SAMPLES = {
    "early": [f"early {title}" for title in FIELD],
    "late": [f"late {title}" for title in FIELD],
    "ihc": ["immunohistochemistry"],
}


def test_samples_open(plugin, make_napari_viewer_proxy) -> None:
    viewer = make_napari_viewer_proxy()
    for key, names in SAMPLES.items():
        viewer.layers.clear()
        viewer.open_sample(NAME, key)
        assert [layer.name for layer in viewer.layers] == names
        assert [layer.name for layer in viewer.layers if layer.visible] == names[-1:]
        assert all(layer.ndim == 2 for layer in viewer.layers)


DRAW = """
    import numpy as np
    import napari
    from qtpy.QtWidgets import QApplication

    viewer = napari.Viewer(show=True)
    viewer.add_image(np.random.default_rng(0).random((64, 64)))
    for _ in range(3):
        QApplication.processEvents()
    assert viewer.screenshot(canvas_only=True, flash=False).std() > 5
"""
RUN = """
    import torch

    model = timm.create_model(
        "vit_small_patch14_dinov2", pretrained=False, num_classes=0,
        dynamic_img_size=True, depth=1, embed_dim=24, num_heads=2,
    )
    with torch.inference_mode():
        tokens = model.forward_features(torch.zeros(1, 3, 70, 98))
    assert tokens.shape == (1, 36, 24)
    viewer.add_image(np.random.default_rng(1).random((64, 64)))
    for _ in range(3):
        QApplication.processEvents()
    assert viewer.screenshot(canvas_only=True, flash=False).std() > 5
    viewer.close()
    print("survived")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a matter of Linux's linker")
def test_transformer_loads_in_a_viewer_that_has_drawn() -> None:
    """Without the guard the process dies here: see `core.backbones.vit`."""
    load = """
    from napari_dinoprompt.core.backbones.vit import import_timm

    timm = import_timm()
    """
    script = textwrap.dedent(DRAW) + textwrap.dedent(load) + textwrap.dedent(RUN)
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "survived" in done.stdout
