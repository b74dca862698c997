"""Do random acts in a napari window with the dock, and compare the end with `core`.

Usage: random_edits.py SEED STEPS WARM. Prints figures as ``name=value``.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import warnings
from pathlib import Path
from time import monotonic

import napari
import numpy as np
from napari.utils.notifications import notification_manager
from pydantic.warnings import PydanticDeprecatedSince20
from qtpy.QtWidgets import QApplication
from small_stack import DIM, DISCS, EMPTY, SHAPE, draw_plane, draw_stack

from napari_dinoprompt._qt.dock import PromptSegmentation
from napari_dinoprompt.core.backbones.load import BackboneChoice, load_backbone
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.features.statistics import pool_measures
from napari_dinoprompt.core.images.intensity import (
    measure_stack_window,
    measure_window,
    sample_planes,
)
from napari_dinoprompt.core.masks.cleaning import clean_and_label
from napari_dinoprompt.core.prompts import BACKGROUND, Prompts
from napari_dinoprompt.core.references.reference import Reference, resolve_thresholds
from napari_dinoprompt.core.segmentation.similarities import score_classes
from napari_dinoprompt.session.image_state import FeatureRequest

PLACES = [*map(tuple, DISCS), DIM, EMPTY, (3.0, 3.0), (46.0, 20.0), (-5.0, 9.0)]
UPSCALES = (1.0, 1.5, 2.0)


class User:
    """The hands of a user, who does not wait."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.viewer = napari.Viewer(show=True)
        for name, data in (
            ("one", draw_plane(1)),
            ("two", draw_plane(2)),
            ("stack", draw_stack(6)),
        ):
            self.viewer.add_image(data, name=name, contrast_limits=(0, 255))
        self.images = list(self.viewer.layers)
        self.dock = PromptSegmentation(self.viewer)
        self.viewer.window.add_dock_widget(self.dock)
        self.work = self.dock.controller
        self.work.features.choose(FeatureRequest(BackboneChoice("filterbank"), 1.0))
        self.acts = [
            *[self.add] * 6,
            *[self.scroll] * 4,
            *[self.undo] * 3,
            *[self.threshold] * 3,
            *[self.switch] * 3,
            *[self.remove] * 2,
            *[self.drag] * 2,
            self.auto,
            self.upscale,
            self.cancel,
            self.clean,
            self.recolour,
            self.clear,
        ]

    @property
    def points(self):
        return self.work.session.current.prompts

    def act(self) -> None:
        self.dice.choice(self.acts)()
        end = monotonic() + self.dice.choice((0, 0, 0.02, 0.06, 0.2))
        while True:
            QApplication.processEvents()
            if monotonic() > end:
                break

    def add(self) -> None:
        kind = self.dice.choice(("object", "object", "object", BACKGROUND, "third"))
        self.dock.prompts.class_requested.emit(kind)
        state = self.work.session.current
        plane = [self.dice.randrange(6)] if state.image.ndim == 3 else []
        self.points.add([*plane, *self.dice.choice(PLACES)])

    def remove(self) -> None:
        if len(self.points.data):
            self.points.selected_data = {self.dice.randrange(len(self.points.data))}
            self.points.remove_selected()

    def drag(self) -> None:
        data = np.array(self.points.data)
        if len(data):
            data[self.dice.randrange(len(data)), -2:] = self.dice.choice(PLACES)
            self.points.data = data

    def recolour(self) -> None:
        if len(self.points.data):
            self.points.mode = "select"
            self.points.selected_data = {0}
            self.dock.prompts.class_requested.emit("object")
            self.points.selected_data = set()
            self.points.mode = "add"

    def scroll(self) -> None:
        self.viewer.dims.set_point(0, self.dice.randrange(6))

    def switch(self) -> None:
        self.work.choose_image(self.dice.choice(self.images))

    def undo(self) -> None:
        self.dock.prompts.undo_requested.emit()

    def clear(self) -> None:
        self.dock.prompts.clear_requested.emit()

    def threshold(self) -> None:
        self.dock.result._slider.setValue(self.dice.uniform(0.1, 0.9))

    def auto(self) -> None:
        self.dock.result._auto.setChecked(True)

    def upscale(self) -> None:
        backbone = self.work.session.request.backbone
        self.work.features.choose(FeatureRequest(backbone, self.dice.choice(UPSCALES)))

    def cancel(self) -> None:
        self.work.features.cancel()

    def clean(self) -> None:
        self.dock.result._min_size.value = self.dice.choice((0, 20))

    def settle(self) -> None:
        end = monotonic() + 60
        while self.work.working:
            assert monotonic() < end, "it does not come to an end"
            QApplication.processEvents()
        gc.collect()


def from_scratch(user: User) -> np.ndarray | None:
    """Compute the mask on show from the points, through `core` alone."""
    work, state = user.work, user.work.session.current
    data = np.asarray(state.image.data)
    stack = data.shape[:-2]
    where = np.array(state.prompts.data).reshape(-1, data.ndim)
    planes = [tuple(int(i) for i in row[:-2]) for row in where]
    upper = np.array(SHAPE) - 0.5
    inside = ((where[:, -2:] >= -0.5) & (where[:, -2:] <= upper)).all(axis=1)
    kept = np.flatnonzero(inside)
    classes = [str(name) for name in state.prompts.features["class"]]
    if all(classes[i] == BACKGROUND for i in kept):
        return None
    backbone = load_backbone("filterbank")
    sampled = [data[index] for index in sample_planes(stack)]
    window = measure_stack_window(sampled) if stack else measure_window(data)
    view = tuple(round(at) for at in user.viewer.dims.point[:1]) if stack else ()
    features = {
        plane: extract_features(
            data[plane], backbone, upscale=work.session.request.upscale, window=window
        )
        for plane in {view, *(planes[i] for i in kept)}
    }
    prompts = Prompts(
        where[kept, -2:],
        tuple(classes[i] for i in kept),
        tuple(planes[i] for i in kept),
    )
    sources = sorted(set(prompts.planes))
    measures = pool_measures([features[plane].measures for plane in sources])
    reference = Reference.from_planes(features, prompts, measures)
    chosen = {
        name: value
        for name, value in state.thresholds.items()
        if name in reference.object_classes
    }
    reference = reference.with_thresholds(chosen)
    plain = score_classes(features[view], reference).mask(resolve_thresholds(reference))
    return clean_and_label(plain, work.session.cleaning)[0]


def resident() -> float:
    """Memory of this process in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def threads() -> int:
    """Count the threads of this process, those of Qt and torch too."""
    return len(list(Path("/proc/self/task").iterdir()))


def main(seed: int, steps: int, warm: int) -> None:
    """Act, then compare."""
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", PydanticDeprecatedSince20)  # raised inside npe2
    user = User(seed)
    user.settle()
    user.work.add_class("third")
    for step in range(steps):
        user.act()
        if step == warm:
            user.settle()
            memory, before = resident(), threads()
    user.settle()
    print(f"megabytes={resident() - memory:.1f}")
    print(f"threads before={before}\nthreads={threads()}")
    print(f"layers={len(user.viewer.layers)}")
    compared = objects = 0
    for image in user.images:
        user.work.choose_image(image)
        # Cancelled work is asked for again.
        user.work.features.compute()
        user.settle()
        state = user.work.session.current
        if len(state.snapshot.points) < 2:
            user.points.add([0] * (image.ndim - 2) + list(DISCS[0]))
            user.settle()
        expected = from_scratch(user)
        shown = np.zeros(SHAPE) if state.mask is None else np.array(state.mask.data)
        shown = shown[state.view] if state.view else shown
        np.testing.assert_array_equal(
            shown, np.zeros(SHAPE) if expected is None else expected
        )
        compared += 1
        objects += int(shown.any())
    assert not notification_manager.records, notification_manager.records
    print(f"compared={compared}\nobjects={objects}")
    user.viewer.close()


main(*(int(argument) for argument in sys.argv[1:]))
