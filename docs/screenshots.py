"""Take the screenshots of docs/images through napari, as a user would get them.

Run it on a display, or under ``xvfb-run -a -s "-screen 0 1920x1200x24"``:
``python docs/screenshots.py [FOLDER [SCENE ...]]``.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep
from typing import TYPE_CHECKING

import napari
import numpy as np
from qtpy.QtWidgets import QApplication

from napari_dinoprompt._qt.demo_viewer import prompt_sample
from napari_dinoprompt.core.masks import Cleaning

if TYPE_CHECKING:
    from napari.layers import Layer

    from napari_dinoprompt._qt.dock import PromptSegmentation

SIZE = (1500, 950)
LAPTOP = (1366, 768)
TIMEOUT_S = 120


def settle(dock: PromptSegmentation) -> None:
    """Let the event loop run until nothing is being computed."""
    start = monotonic()
    while dock.coordinator.working or monotonic() - start < 0.5:
        QApplication.processEvents()
        sleep(0.005)
        if monotonic() - start > TIMEOUT_S:
            raise TimeoutError(dock.status.hint)


def open_viewer(size: tuple[int, int] = SIZE) -> napari.Viewer:
    """Open a viewer of the size that the docs show."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(*size)
    return viewer


def open_dock(viewer: napari.Viewer) -> PromptSegmentation:
    """Open the dock from the plugin, as the menu does."""
    _, dock = viewer.window.add_plugin_dock_widget(
        "napari-dinoprompt", "Prompt segmentation"
    )
    settle(dock)
    return dock


def shoot(viewer: napari.Viewer, path: Path, *, colours: int = 0) -> None:
    """Save a screenshot of the window and close it; in few colours it is smaller."""
    viewer.screenshot(str(path), canvas_only=False, flash=False)
    if colours:
        from PIL import Image

        with Image.open(path) as whole:
            # Not the frequent colours alone: a mark in the picture has few pixels.
            method = Image.Quantize.MAXCOVERAGE
            few = whole.convert("RGB").quantize(
                colours, method, dither=Image.Dither.NONE
            )
        few.save(path, optimize=True)
    print(path)
    viewer.close()


def sample_with_prompts(folder: Path) -> None:
    """The early field: five prompts, similarity and mask."""
    viewer = open_viewer()
    dock = prompt_sample(viewer)
    settle(dock)
    shoot(viewer, folder / "dock.png")


def instances(folder: Path) -> None:
    """The late field with touching nuclei split and small specks removed."""
    viewer = open_viewer()
    viewer.open_sample("napari-dinoprompt", "late")
    dock = open_dock(viewer)
    rng = np.random.default_rng(3)
    truth = read_truth("late")
    inside = np.argwhere(truth > 0)
    dock.coordinator.place_prompts(rng.choice(inside, 6).astype(float), ["object"] * 6)
    dock.coordinator.choose_cleaning(Cleaning(min_size=40, fill_holes=True, split=True))
    settle(dock)
    state = dock.coordinator.session.current
    assert state is not None and state.similarity is not None
    state.similarity.visible = False
    shoot(viewer, folder / "instances.png")


def read_truth(field: str) -> np.ndarray:
    """Read the truth labels of a sample field."""
    import tifffile

    from napari_dinoprompt.sample_data import sample_files

    return tifffile.imread(sample_files(field)["nuclei_truth"])


def background_prompt(folder: Path) -> None:
    """One background prompt on debris takes all debris out of the mask."""
    viewer = open_viewer()
    dock = prompt_sample(viewer)
    settle(dock)
    state = dock.coordinator.session.current
    assert state is not None and state.prompts is not None
    dock.coordinator.choose_class("background")
    for point in BACKGROUND_POINTS:
        state.prompts.add(point)
    settle(dock)
    dock.coordinator.choose_class("object")
    settle(dock)
    shoot(viewer, folder / "background.png")


# Bright specks that are not nuclei, in the early field.
BACKGROUND_POINTS = ((454.0, 283.5), (416.0, 432.0), (469.0, 383.0))


def rotated(folder: Path) -> None:
    """A layer with scale, rotation and shear: prompts and mask lie right."""
    from napari_dinoprompt.contributions import open_early_sample

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
    dock.coordinator.place_prompts(np.array(centres), ["object"] * 4)
    settle(dock)
    viewer.reset_view()
    shoot(viewer, folder / "rotated.png")


def two_classes(folder: Path) -> None:
    """Real tissue in colour: blue nuclei, brown membranes, and background."""
    viewer = open_viewer()
    viewer.open_sample("napari-dinoprompt", "ihc")
    dock = open_dock(viewer)
    dock.coordinator.add_class("membrane")
    points = [*NUCLEI, *STAINED, *EMPTY]
    classes = ["object"] * len(NUCLEI) + ["membrane"] * len(STAINED)
    classes += ["background"] * len(EMPTY)
    dock.coordinator.place_prompts(np.array(points, dtype=float), classes)
    settle(dock)
    state = dock.coordinator.session.current
    assert state is not None and state.similarity is not None
    state.similarity.visible = False
    shoot(viewer, folder / "two-classes.png")


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
    dock.coordinator.place_prompts(chosen.astype(float), ["object"] * 6)
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
    state = dock.coordinator.session.current
    assert state is not None and state.prompts is not None
    centres = [np.argwhere(truth == label).mean(axis=0) for label in (8, 20, 35, 50)]
    for t, (y, x) in zip((1, 1, 2, 2), centres, strict=True):
        state.prompts.add((t, 0, y, (x + 40 * t) % data.shape[1]))
    settle(dock)
    viewer.screenshot(str(folder / "stack.png"), canvas_only=False, flash=False)
    print(folder / "stack.png")
    viewer.dims.set_point(0, 3)
    settle(dock)
    shoot(viewer, folder / "stack-scrolled.png")


def all_planes(folder: Path) -> None:
    """All planes of a synthetic stack, its objects numbered in 3-D."""
    sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
    from synthetic_volume import draw_volume

    viewer = open_viewer(LAPTOP)
    drawn = draw_volume(seed=1)
    viewer.add_image(drawn.image, name="ZYX", scale=(3, 1, 1))
    viewer.dims.set_point(0, 3 * 10)
    dock = open_dock(viewer)
    state = dock.coordinator.session.current
    assert state is not None and state.prompts is not None
    for where in drawn.prompts(plane=10):
        state.prompts.add(where)
    settle(dock)
    dock.coordinator.choose_cleaning(
        Cleaning(min_size=100, fill_holes=True, split=True)
    )
    dock.coordinator.stacks.choose_3d(True)
    dock.coordinator.stacks.start()
    settle(dock)
    assert state.similarity is not None
    state.similarity.visible = False
    dock.tabs.currentWidget().ensureWidgetVisible(dock.stack)
    settle(dock)
    shoot(viewer, folder / "all-planes.png")


def read_real(field: str) -> np.ndarray:
    """Read the real nuclei of a sample field."""
    import imageio.v3 as iio

    from napari_dinoprompt.sample_data import sample_files

    return np.asarray(iio.imread(sample_files(field)["nuclei_real"]))


def references(folder: Path) -> None:
    """References in the library, one of them applied to both virtual stains."""
    viewer = open_viewer(LAPTOP)
    dock = prompt_sample(viewer)
    settle(dock)
    with TemporaryDirectory() as library:
        os.environ["DINOPROMPT_LIBRARY"] = library
        desk, session = dock.coordinator.desk, dock.coordinator.session
        for name in ("nuclei, early field", "nuclei, March"):
            reference = session.reference()
            assert reference is not None
            desk.library.add(reference, name)
        dock.tabs.setCurrentWidget(dock.references)
        settle(dock)
        dock.references.library.choose("nuclei, early field")
        fakes = virtual_stains(viewer)
        dock.references.apply._images.tick(fakes)
        dock.references.apply.apply_requested.emit()
        settle(dock)
        for layer in viewer.layers:
            applied = "(applied)" in layer.name and "mask" in layer.name
            layer.visible = layer in fakes or applied
        masks = [viewer.layers[f"{fake.name} mask (applied)"] for fake in fakes]
        beside(viewer, [fakes, masks])
        settle(dock)
        viewer.reset_view()
        shoot(viewer, folder / "references.png")
    del os.environ["DINOPROMPT_LIBRARY"]


def compare(folder: Path) -> None:
    """Where undertrained and trained virtual nuclei agree with the real ones."""
    viewer = open_viewer(LAPTOP)
    dock = prompt_sample(viewer)
    settle(dock)
    real = dock.coordinator.session.current
    assert real is not None
    dock.tabs.setCurrentWidget(dock.compare)
    settle(dock)
    dock.compare.panel.choose(real.image, virtual_stains(viewer))
    dock.compare.panel._compare.click()
    settle(dock)
    dock.coordinator.desk.comparing.show_side_by_side(True)
    settle(dock)
    dock.compare.ensureWidgetVisible(dock.compare.table)
    bar = dock.compare.verticalScrollBar()
    assert bar is not None
    bar.setValue(dock.compare.table.y())
    shoot(viewer, folder / "compare.png")


def study_convergence(folder: Path) -> None:
    """Whether the prompts are enough, with the truth and without."""
    viewer, _ = open_study("convergence")
    shoot(viewer, folder / "study-convergence.png", colours=256)


def study_influence(folder: Path) -> None:
    """A prompt on the background, found as the one that fits none of the others."""
    viewer, _ = open_study("influence", bad=True)
    shoot(viewer, folder / "study-influence.png", colours=256)


def study_suggestion(folder: Path) -> None:
    """The place where one more prompt would help, as a ghost."""
    viewer, _ = open_study("suggestion", truth=False, prompts=3)
    shoot(viewer, folder / "study-suggestion.png", colours=256)


def study_resolution(folder: Path) -> None:
    """The masks of several resolutions side by side, and their table."""
    viewer, dock = open_study("resolution")
    dock.study.resolution.masks.click()
    settle(dock)
    shoot(viewer, folder / "study-resolution.png", colours=256)


def study_threshold(folder: Path) -> None:
    """Area, objects, IoU and information against the threshold; a light theme."""
    viewer, _ = open_study("threshold", theme="light")
    shoot(viewer, folder / "study-threshold.png", colours=256)


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
    dock.coordinator.place_prompts(np.array(points), ["object"] * len(points))
    settle(dock)
    if truth:
        layer = viewer.add_labels(labels, name="early nuclei (truth)", visible=False)
        dock.coordinator.desk.studying.choose_truth(layer)
        dock.coordinator.add_prompts()
    dock.tabs.setCurrentWidget(dock.study)
    dock.study.choose(part)
    settle(dock)
    dock.study._run.click()
    settle(dock)
    state = dock.coordinator.session.current
    assert state is not None and state.similarity is not None
    state.similarity.visible = False
    viewer.reset_view()
    return viewer, dock


# Between nuclei of the early field.
BARE_POINT = (478.0, 330.0)


def virtual_stains(viewer: napari.Viewer) -> list[Layer]:
    """Return the undertrained and the trained fake of the sample."""
    return [layer for layer in viewer.layers if "virtual" in layer.name]


def beside(viewer: napari.Viewer, rows: list[list[Layer]]) -> None:
    """Put layers into a grid: one cell for each place in the rows."""
    for place, layer in enumerate(
        one for cell in zip(*rows, strict=True) for one in cell
    ):
        viewer.layers.move(viewer.layers.index(layer), place)
    grid = viewer.canvas.grid
    grid.stride, grid.shape, grid.enabled = len(rows), (1, len(rows[0])), True
    viewer.reset_view()


# Clicked by eye on scikit-image's immunohistochemistry picture.
NUCLEI = ((356, 189), (398, 238), (368, 309), (360, 345), (451, 196), (428, 274))
STAINED = ((380, 299), (394, 331), (406, 308), (334, 340))
EMPTY = ((366, 170), (340, 20), (312, 205))


SCENES = (
    sample_with_prompts,
    instances,
    background_prompt,
    rotated,
    two_classes,
    multiscale,
    stack,
    all_planes,
    references,
    compare,
    study_convergence,
    study_influence,
    study_suggestion,
    study_resolution,
    study_threshold,
)


def main() -> None:
    """Take all screenshots, or those named after the folder."""
    folder = Path(
        sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "images"
    )
    folder.mkdir(parents=True, exist_ok=True)
    for scene in SCENES:
        if len(sys.argv) <= 2 or scene.__name__ in sys.argv[2:]:
            scene(folder)


if __name__ == "__main__":
    main()
