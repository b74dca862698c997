"""The tab Segment: prompts, classes, cleaning."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt._qt.dock import prompt_sample
from napari_dinoprompt.core.masks.cleaning import Cleaning
from scenes.sample import BACKGROUND_POINTS, EMPTY, NUCLEI, STAINED, read_truth
from scenes.stage import open_dock, open_viewer, settle, shoot

if TYPE_CHECKING:
    from pathlib import Path


def sample_with_prompts(folder: Path) -> None:
    """The early field: five prompts, similarity and mask."""
    viewer = open_viewer()
    dock = prompt_sample(viewer)
    settle(dock)
    viewer.reset_view()
    shoot(viewer, folder / "dock.png")


def instances(folder: Path) -> None:
    """The late field with touching nuclei split and small specks removed."""
    viewer = open_viewer()
    viewer.open_sample("napari-dinoprompt", "late")
    dock = open_dock(viewer)
    rng = np.random.default_rng(3)
    truth = read_truth("late")
    inside = np.argwhere(truth > 0)
    dock.controller.place_prompts(rng.choice(inside, 6).astype(float), ["object"] * 6)
    dock.controller.choose_cleaning(Cleaning(min_size=40, fill_holes=True, split=True))
    settle(dock)
    state = dock.controller.session.current
    assert state is not None and state.similarity is not None
    state.similarity.visible = False
    shoot(viewer, folder / "instances.png")


def background_prompt(folder: Path) -> None:
    """One background prompt on debris takes all debris out of the mask."""
    viewer = open_viewer()
    dock = prompt_sample(viewer)
    settle(dock)
    state = dock.controller.session.current
    assert state is not None and state.prompts is not None
    dock.controller.choose_class("background")
    for point in BACKGROUND_POINTS:
        state.prompts.add(point)
    settle(dock)
    dock.controller.choose_class("object")
    settle(dock)
    viewer.reset_view()
    shoot(viewer, folder / "background.png")


def two_classes(folder: Path) -> None:
    """Real tissue in colour: blue nuclei, brown membranes, and background."""
    viewer = open_viewer()
    viewer.open_sample("napari-dinoprompt", "ihc")
    dock = open_dock(viewer)
    dock.controller.add_class("membrane")
    points = [*NUCLEI, *STAINED, *EMPTY]
    classes = ["object"] * len(NUCLEI) + ["membrane"] * len(STAINED)
    classes += ["background"] * len(EMPTY)
    dock.controller.place_prompts(np.array(points, dtype=float), classes)
    settle(dock)
    state = dock.controller.session.current
    assert state is not None and state.similarity is not None
    state.similarity.visible = False
    shoot(viewer, folder / "two-classes.png")
