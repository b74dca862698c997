"""Whatever goes wrong in whichever work: it ends, it is told, and the dock goes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from napari.utils.notifications import notification_manager

from napari_dinoprompt._qt.common.jobs import LatestJob
from napari_dinoprompt._qt.common.layer_boxes import WindowChoice
from napari_dinoprompt._qt.compare.panel import CompareRequest
from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

WINDOW = WindowChoice("reference")
ERRORS = (
    InputError("Broken on purpose."),
    RuntimeError("Broken on purpose."),
    ZeroDivisionError("Broken on purpose."),
    OSError(28, "No space left on device"),
    MemoryError(),
)


@dataclass(frozen=True)
class Work:
    """How a kind of work is begun, and whether its result is there."""

    begin: Callable[[Any, Path], object]
    done: Callable[[Any, Path], bool]
    stack: bool = False


def other(bench) -> Any:
    return next(one for one in bench.viewer.layers if one.name == "other")


def reference(bench) -> Any:
    return bench.work.session.reference()


def compare(bench, _folder: Path) -> None:
    bench.work.tab_jobs.comparing.compare(
        CompareRequest(
            choice=reference(bench),
            real=bench.state.image,
            fakes=[other(bench)],
            input_image=None,
            truth=None,
            window=WINDOW,
            class_name=None,
            draws=2,
        )
    )


WORKS = {
    "features": Work(
        lambda bench, _: bench.choose_upscale("2"),
        lambda bench, _: bench.state.result.reference.upscale == 2,
    ),
    "score": Work(
        lambda bench, _: bench.prompts.add((65, 15)),
        lambda bench, _: len(reference(bench).points) == 3,
    ),
    "cut": Work(
        lambda bench, _: bench.drag_threshold(0.9),
        lambda bench, _: bench.state.result.thresholds["object"] == 0.9,
    ),
    "clean": Work(
        lambda bench, _: setattr(bench.dock.result._min_size, "value", 5000),
        lambda bench, _: not bench.mask.any(),
    ),
    "all planes": Work(
        lambda bench, _: bench.work.stacks.start(),
        lambda bench, _: bool(np.asarray(bench.mask_layer.data[1]).any()),
        stack=True,
    ),
    "apply": Work(
        lambda bench, _: bench.work.tab_jobs.applying.apply(
            reference(bench), [other(bench)], WINDOW, all_planes=True
        ),
        lambda bench, _: bool(bench.applied(other(bench), "mask").any()),
    ),
    "compare": Work(
        compare, lambda bench, _: bench.work.tab_jobs.comparing.comparison is not None
    ),
    "study": Work(
        lambda bench, _: bench.work.tab_jobs.studying.run("threshold"),
        lambda bench, _: bench.work.tab_jobs.studying.result("threshold") is not None,
    ),
    "keep": Work(
        lambda bench, _: bench.work.tab_jobs.library.add(reference(bench), "kept"),
        lambda bench, _: "kept" in bench.library_lines(),
    ),
    "file": Work(
        lambda bench, folder: bench.work.features.choose_checkpoint(str(folder)),
        lambda bench, _: "Broken" not in bench.hint,
    ),
}


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Callable[[Exception], list[str]]:
    """Let the next job that is started fail after its first step."""
    start = LatestJob.start

    def arm(error: Exception) -> list[str]:
        failed: list[str] = []

        def failing(steps: Generator[Any, None, Any]) -> Generator[Any, None, Any]:
            for said in steps:
                yield said
                break
            steps.close()
            raise error

        def once(job: LatestJob, steps: Generator[Any, None, Any]) -> None:
            monkeypatch.setattr(LatestJob, "start", start)
            job.failed.connect(failed.append)
            start(job, failing(steps))

        monkeypatch.setattr(LatestJob, "start", once)
        return failed

    return arm


@pytest.mark.parametrize("error", ERRORS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("kind", WORKS)
def test_an_error_ends_its_work_and_is_told(
    bench, scene, other_scene, tmp_path, qtbot, broken, kind: str, error: Exception
) -> None:
    work = WORKS[kind]
    planes = [scene.image, other_scene.image]
    image = bench.add_image(np.stack(planes) if work.stack else scene.image)
    bench.open()
    bench.settle()
    bench.add_image(other_scene.image, name="other")
    if work.stack:
        bench.prompts.add((0, *scene.bright[0]))
        bench.prompts.add((0, *scene.bright[1]))
        bench.settle()
    else:
        bench.click(scene.bright[:2])
    bench.turn_to("References")
    bench.turn_to("Segment")
    failed = broken(error)
    count = len(notification_manager.records)
    work.begin(bench, tmp_path)
    bench.settle()
    qtbot.wait(1)
    told = [getattr(one, "exception", None) for one in notification_manager.records]
    assert len(failed) == 1
    said = failed[0]
    assert any(
        one in said for one in ("on purpose.", "not enough memory", "disk is full.")
    )
    assert (error in told[count:]) == ("See the notification" in said)
    # The same once more, and a click.
    if kind == "features":
        bench.choose_upscale("1")
    elif kind == "score":
        bench.dock.controller.prompts.undo()
    elif kind in ("cut", "clean"):
        bench.set_auto(True)
        bench.clean(min_size=0)
    bench.settle()
    work.begin(bench, tmp_path)
    bench.settle()
    bench.turn_to("References")
    assert work.done(bench, tmp_path)
    assert bench.state.image is image
    bench.clean(min_size=0)
    bench.set_auto(True)
    bench.settle()
    place = scene.bright[2]
    bench.prompts.add((0, *place) if work.stack else place)
    bench.settle()
    plane = np.asarray(bench.mask_layer.data[0] if work.stack else bench.mask)
    assert plane[tuple(place.astype(int))] == 1
