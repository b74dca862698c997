"""The steps of docs/tutorial.md, one picture each, in one session of napari."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.masks.cleaning import Cleaning
from scenes.sample import BACKGROUND_POINTS, CLICKS, read_truth, virtual_stains
from scenes.stage import LAPTOP, beside, open_dock, open_viewer, settle, shoot

if TYPE_CHECKING:
    from pathlib import Path

    import napari

    from napari_dinoprompt._qt.dock import PromptSegmentation
    from napari_dinoprompt.session.image_state import ImageState

THRESHOLD = 0.2
NAME = "nuclei, early field"


@dataclass(frozen=True)
class Lesson:
    """The viewer and dock that the whole tutorial runs in."""

    viewer: napari.Viewer
    dock: PromptSegmentation
    folder: Path

    @property
    def state(self) -> ImageState:
        """What is known of the image in the dock."""
        state = self.dock.controller.session.current
        assert state is not None
        return state

    def click(self, *points: tuple[float, float]) -> None:
        """Place prompts, as clicks on the image do."""
        assert self.state.prompts is not None
        for point in points:
            self.state.prompts.add(point)
        settle(self.dock)

    def take(self, name: str) -> None:
        """Wait for all results, take the picture, and print what is in it."""
        settle(self.dock)
        shoot(self.viewer, self.folder / f"tutorial-{name}.png", close=False)


def tutorial(folder: Path) -> None:
    """Follow the tutorial from the sample to an object that is only in a fake."""
    viewer = open_viewer(LAPTOP)
    viewer.open_sample("napari-dinoprompt", "early")
    lesson = Lesson(viewer, open_dock(viewer), folder)
    lesson.take("1-open")
    click_nuclei(lesson)
    try_background(lesson)
    move_threshold(lesson)
    save_reference(lesson)
    apply_to_fakes(lesson)
    compare_and_jump(lesson)
    viewer.close()


def click_nuclei(lesson: Lesson) -> None:
    """One click, then four more."""
    lesson.click(CLICKS[0])
    tell(lesson, "one click")
    lesson.take("2-one-click")
    lesson.click(*CLICKS[1:])
    tell(lesson, "five clicks")
    lesson.take("3-five-clicks")


def try_background(lesson: Lesson) -> None:
    """A background prompt on a speck, and Undo."""
    lesson.dock.controller.choose_class("background")
    lesson.click(BACKGROUND_POINTS[0])
    tell(lesson, "background prompt")
    lesson.take("4-background")
    lesson.dock.controller.prompts.undo()
    lesson.dock.controller.choose_class("object")
    settle(lesson.dock)
    tell(lesson, "undone")


def move_threshold(lesson: Lesson) -> None:
    """A lower threshold, small objects removed, touching ones apart."""
    lesson.dock.controller.scoring.choose_threshold(THRESHOLD)
    settle(lesson.dock)
    tell(lesson, "threshold")
    lesson.dock.controller.choose_cleaning(
        Cleaning(min_size=20, fill_holes=True, split=True)
    )
    settle(lesson.dock)
    assert lesson.state.similarity is not None
    lesson.state.similarity.visible = False
    tell(lesson, "threshold and cleaning")
    lesson.take("5-threshold")


def save_reference(lesson: Lesson) -> None:
    """The prompts become a reference in the library."""
    dock = lesson.dock
    dock.tabs.setCurrentWidget(dock.references)
    settle(dock)
    reference = dock.controller.session.reference()
    assert reference is not None
    dock.controller.tab_jobs.library.add(reference, NAME)
    settle(dock)
    dock.references.library.choose(NAME)
    lesson.take("6-reference")


def apply_to_fakes(lesson: Lesson) -> None:
    """The reference finds nuclei in both virtual stains."""
    dock, viewer = lesson.dock, lesson.viewer
    fakes = virtual_stains(viewer)
    dock.references.apply._images.tick(fakes)
    dock.references.apply.apply_requested.emit()
    settle(dock)
    masks = [viewer.layers[f"{fake.name} mask (applied)"] for fake in fakes]
    for layer in viewer.layers:
        layer.visible = layer in fakes or layer in masks
    beside(viewer, [fakes, masks])
    viewer.reset_view()
    lesson.take("7-apply")
    print(dock.status.hint)
    viewer.canvas.grid.enabled = False


def compare_and_jump(lesson: Lesson) -> None:
    """Real against both fakes, then to the largest object only in the trained one."""
    dock, viewer = lesson.dock, lesson.viewer
    dock.tabs.setCurrentWidget(dock.compare)
    settle(dock)
    fakes = virtual_stains(viewer)
    dock.compare.panel.choose(lesson.state.image, fakes)
    dock.compare.panel._compare.click()
    settle(dock)
    dock.controller.tab_jobs.comparing.show_side_by_side(True)
    settle(dock)
    scroll = partial(show_results, dock)
    scroll()
    lesson.take("8-compare")
    found = dock.controller.tab_jobs.comparing.comparison
    assert found is not None
    for row in found.table:
        print({key: row[key] for key in row if not key.endswith(("_low", "_high"))})
    dock.compare.objects.choose(1)
    dock.compare.objects._list.setCurrentRow(0)
    settle(dock)
    viewer.camera.zoom *= 3  # as with the mouse wheel
    scroll()
    print(dock.compare.objects._list.item(0).text())
    lesson.take("9-jump")


def show_results(dock: PromptSegmentation) -> None:
    """Scroll the tab Compare to its table."""
    bar = dock.compare.verticalScrollBar()
    assert bar is not None
    bar.setValue(dock.compare.table.y())


def tell(lesson: Lesson, step: str) -> None:
    """Print the figures of a step, which the tutorial quotes."""
    state = lesson.state
    value, auto = lesson.dock.controller.session.threshold_in_force()
    assert state.mask is not None
    mask = np.asarray(state.mask.data)
    truth = read_truth("early") > 0
    iou = np.sum((mask > 0) & truth) / np.sum((mask > 0) | truth)
    print(
        f"{step}: threshold {value:.2f} ({'auto' if auto else 'set'}), mask "
        f"{np.mean(mask > 0):.1%}, numbers up to {mask.max()}, IoU {iou:.2f}"
    )
