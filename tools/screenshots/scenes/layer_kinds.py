"""Rotated layers, pyramids, stacks."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from napari_dinoprompt.core.masks.cleaning import Cleaning
from scenes.sample import read_real, read_truth
from scenes.stage import LAPTOP, open_dock, open_viewer, settle, shoot


def rotated(folder: Path) -> None:
    """A layer with scale, rotation and shear: prompts and mask lie right."""
    from napari_dinoprompt.sample_data import open_early_sample

    viewer = open_viewer()
    data, _, _ = open_early_sample()[-1]
    viewer.add_image(
        data,
        name="rotated",
        scale=(0.5, 0.35),
        rotate=30,
        shear=[0.2],
        translate=(40, 9),
    )
    dock = open_dock(viewer)
    truth = read_truth("early")
    centres = [np.argwhere(truth == label).mean(axis=0) for label in (8, 20, 35, 50)]
    dock.controller.place_prompts(np.array(centres), ["object"] * 4)
    settle(dock)
    viewer.reset_view()
    shoot(viewer, folder / "rotated.png")


def multiscale(folder: Path) -> None:
    """A rotated pyramid of resolutions: prompts and mask are at full resolution."""
    viewer = open_viewer()
    data = read_real("late")
    levels = [data, data[::2, ::2], data[::4, ::4]]
    viewer.add_image(
        levels, multiscale=True, name="pyramid", scale=(0.65, 0.65), rotate=-20
    )
    dock = open_dock(viewer)
    inside = np.argwhere(read_truth("late") > 0)
    chosen = np.random.default_rng(3).choice(inside, 6)
    dock.controller.place_prompts(chosen.astype(float), ["object"] * 6)
    settle(dock)
    viewer.reset_view()
    shoot(viewer, folder / "multiscale.png")


def stack(folder: Path) -> None:
    """A dask stack of time and depth: prompts on two planes, scrolled to a third."""
    import dask.array as da

    viewer = open_viewer()
    data, truth = read_real("early"), read_truth("early")
    # Time shifts the tissue, depth dims it.
    frames = [
        [np.roll(data, 40 * t, axis=1) // (1 + z) for z in range(3)] for t in range(4)
    ]
    lazy = da.from_array(np.array(frames), chunks=(1, 1, *data.shape))
    viewer.add_image(lazy, name="TZYX, dask", scale=(1, 2.5, 0.4, 0.4))
    viewer.dims.set_point(0, 1)
    viewer.dims.set_point(1, 0)
    dock = open_dock(viewer)
    state = dock.controller.session.current
    assert state is not None and state.prompts is not None
    centres = [np.argwhere(truth == label).mean(axis=0) for label in (8, 20, 35, 50)]
    for t, (y, x) in zip((1, 1, 2, 2), centres, strict=True):
        state.prompts.add((t, 0, y, (x + 40 * t) % data.shape[1]))
    settle(dock)
    shoot(viewer, folder / "stack.png", close=False)
    viewer.dims.set_point(0, 3)
    settle(dock)
    shoot(viewer, folder / "stack-scrolled.png")


def all_planes(folder: Path) -> None:
    """All planes of a synthetic stack, its objects numbered in 3-D."""
    sys.path.append(str(Path(__file__).parents[3] / "tests" / "support"))
    from synthetic_volume import draw_volume

    viewer = open_viewer(LAPTOP)
    drawn = draw_volume(seed=1)
    viewer.add_image(drawn.image, name="ZYX", scale=(3, 1, 1))
    viewer.dims.set_point(0, 3 * 10)
    dock = open_dock(viewer)
    state = dock.controller.session.current
    assert state is not None and state.prompts is not None
    for where in drawn.prompts(plane=10):
        state.prompts.add(where)
    settle(dock)
    dock.controller.choose_cleaning(Cleaning(min_size=100, fill_holes=True, split=True))
    dock.controller.stacks.choose_3d(True)
    dock.controller.stacks.start()
    settle(dock)
    assert state.similarity is not None
    state.similarity.visible = False
    dock.tabs.currentWidget().ensureWidgetVisible(dock.stack)
    settle(dock)
    shoot(viewer, folder / "all-planes.png")
