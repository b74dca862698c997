"""The tab Study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt._qt.dock import prompt_sample
from scenes.sample import BARE_POINT, read_truth
from scenes.stage import LAPTOP, open_viewer, settle, shoot

if TYPE_CHECKING:
    from pathlib import Path

    import napari

    from napari_dinoprompt._qt.dock import PromptSegmentation


def study_convergence(folder: Path) -> None:
    """Whether the prompts are enough, with the truth and without."""
    viewer, _ = open_study("convergence")
    shoot(viewer, folder / "study-convergence.png")


def study_influence(folder: Path) -> None:
    """A prompt on the background, found as the one that fits none of the others."""
    viewer, _ = open_study("influence", bad=True)
    shoot(viewer, folder / "study-influence.png")


def study_resolution(folder: Path) -> None:
    """The masks of several resolutions side by side, and their table."""
    viewer, dock = open_study("resolution")
    dock.study.resolution.masks.click()
    settle(dock)
    shoot(viewer, folder / "study-resolution.png")


def study_threshold(folder: Path) -> None:
    """Area, objects, IoU and information against the threshold; a light theme."""
    viewer, _ = open_study("threshold", theme="light")
    shoot(viewer, folder / "study-threshold.png")


def open_study(
    part: str,
    *,
    truth: bool = True,
    bad: bool = False,
    prompts: int = 12,
    theme: str = "dark",
) -> tuple[napari.Viewer, PromptSegmentation]:
    """Open the sample with prompts on nuclei and study a part of it."""
    viewer = open_viewer(LAPTOP)
    viewer.theme = theme
    dock = prompt_sample(viewer)
    settle(dock)
    labels = read_truth("early")
    rng = np.random.default_rng(5)
    numbers = rng.permutation(np.unique(labels)[1:])[:prompts]
    points = [np.argwhere(labels == one).mean(axis=0) for one in numbers]
    if bad:
        points.insert(3, np.array(BARE_POINT))
    dock.controller.place_prompts(np.array(points), ["object"] * len(points))
    settle(dock)
    if truth:
        layer = viewer.add_labels(labels, name="early nuclei (truth)", visible=False)
        dock.controller.tab_jobs.studying.choose_truth(layer)
        dock.controller.add_prompts()
    dock.tabs.setCurrentWidget(dock.study)
    dock.study.choose(part)
    settle(dock)
    dock.study._run.click()
    settle(dock)
    state = dock.controller.session.current
    assert state is not None and state.similarity is not None
    state.similarity.visible = False
    viewer.reset_view()
    return viewer, dock
