"""Many images, one after the other: what is kept or skipped, and no half files."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import weakref
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import killed_batch
import numpy as np
import pytest
import tifffile
from batch_images import write_images

from napari_dinoprompt.core.batch import image as batch_image
from napari_dinoprompt.core.batch import run
from napari_dinoprompt.core.batch.records import result_paths, write_table
from napari_dinoprompt.core.batch.run import (
    BatchReport,
    BatchStep,
    find_images,
    segment_batch,
)
from napari_dinoprompt.core.errors import IncompatibleReferenceError, InputError
from napari_dinoprompt.core.images.lazy_plane import LazyPlane
from napari_dinoprompt.core.io.atomic import temporary_path
from napari_dinoprompt.core.io.read import read_image
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.segmentation.segment import SegmentOptions, segment

if TYPE_CHECKING:
    from napari_dinoprompt.core.backbones.filterbank import FilterBank
    from napari_dinoprompt.core.io.pick import Pick
    from napari_dinoprompt.core.references.reference import Reference


class Bench:
    """Four small images, and a way to segment them that counts how often it does."""

    def __init__(
        self,
        folder: Path,
        picture: np.ndarray,
        reference: Reference,
        backbone: FilterBank,
    ) -> None:
        self.images = write_images(folder / "images", picture, 4)
        self.output = folder / "results"
        self.reference, self.backbone = reference, backbone
        self.computed = 0

    def steps(self, images: list[Path] | None = None, **changes: Any):
        options = changes.pop("options", SegmentOptions())
        return segment_batch(
            images or self.images,
            self.output,
            changes.pop("reference", self.reference),
            changes.pop("backbone", self.backbone),
            options,
            **changes,
        )

    def run(self, images: list[Path] | None = None, **changes: Any):
        """Return the steps, their states and the report."""
        steps, found = self.steps(images, **changes), []
        while True:
            try:
                found.append(next(steps))
            except StopIteration as finished:
                states = [step.state for step in found]
                report: BatchReport = finished.value
                assert report.done == states.count("done")
                assert report.kept == states.count("kept")
                assert report.skipped == states.count("skipped")
                assert list(report.rows) == [row for one in found for row in one.rows]
                return found, states, report

    def table(self) -> list[dict[str, str]]:
        with (self.output / "segmentation.csv").open(newline="") as file:
            return list(csv.DictReader(file))

    def contents(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.output.iterdir()}


@pytest.fixture
def bench(
    tmp_path: Path, blobs, blob_reference, filterbank, monkeypatch: pytest.MonkeyPatch
) -> Bench:
    made = Bench(tmp_path, blobs.image, blob_reference, filterbank)

    def counted(*args: Any, **kwargs: Any):
        made.computed += 1
        return segment(*args, **kwargs)

    monkeypatch.setattr(batch_image, "segment", counted)
    return made


def test_each_image_gets_its_results(bench: Bench) -> None:
    steps, states, report = bench.run()
    assert states == ["done"] * 4
    assert [step.path for step in steps] == bench.images
    assert [(step.done, step.total) for step in steps] == [
        (number, 4) for number in (1, 2, 3, 4)
    ]
    assert not any(step.message for step in steps)
    for path, row in zip(bench.images, report.rows, strict=True):
        expected = segment(tifffile.imread(path), bench.reference, bench.backbone)
        for kind, file in result_paths(bench.output, path.stem).items():
            found = tifffile.imread(file)
            np.testing.assert_array_equal(found, getattr(expected, kind))
        assert row["image"] == str(path)
        assert row["objects"] == expected.instances.max() > 0
    assert [row["image"] for row in bench.table()] == list(map(str, bench.images))
    assert len(bench.contents()) == 4 * 4 + 1


def test_what_is_finished_is_kept(bench: Bench) -> None:
    _, _, first = bench.run()
    before = bench.contents()
    times = {path: path.stat().st_mtime_ns for path in bench.output.glob("field*")}
    _, states, again = bench.run()
    assert states == ["kept"] * 4
    assert bench.computed == 4
    assert again.rows == first.rows
    assert bench.contents() == before
    assert times == {path: path.stat().st_mtime_ns for path in times}


def test_stopped_in_the_middle_it_goes_on(bench: Bench) -> None:
    steps = bench.steps()
    assert [next(steps).state, next(steps).state] == ["done", "done"]
    steps.close()
    assert len(bench.table()) == 2
    assert len(bench.contents()) == 2 * 4 + 1
    _, states, report = bench.run()
    assert states == ["kept", "kept", "done", "done"]
    assert bench.computed == 4
    assert len(bench.table()) == len(report.rows) == 4


def test_the_summary_never_has_less_than_the_folder(bench: Bench) -> None:
    """Also where what is done again comes before what is kept."""
    bench.run()
    tifffile.imwrite(bench.images[0], tifffile.imread(bench.images[0])[::-1])
    steps = bench.steps()
    assert len(bench.table()) == 4
    assert next(steps).state == "done"
    assert {row["image"] for row in bench.table()} == set(map(str, bench.images))
    assert [step.state for step in steps] == ["kept"] * 3
    assert [row["image"] for row in bench.table()] == list(map(str, bench.images))


def test_the_summary_grows_and_is_not_written_anew(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else thousands of images would take ever longer."""
    sizes: list[int] = []

    def counted(path: Path, rows: Any) -> None:
        sizes.append(len(rows))
        write_table(path, rows)

    monkeypatch.setattr(run, "write_table", counted)
    for number, _ in enumerate(bench.steps(), start=1):
        assert len(bench.table()) == number
    assert sizes == [1]
    # What comes to lie before what is kept has to be sorted in, once.
    bench.images[0].touch()
    bench.images[1].touch()
    bench.run()
    assert sizes == [1, 2, 4]


def test_a_summary_that_lost_its_end_is_made_whole(bench: Bench) -> None:
    bench.run()
    table = bench.output / "segmentation.csv"
    whole = table.read_bytes()
    table.write_bytes(whole[:-20])
    assert bench.run()[1] == ["kept"] * 4
    assert table.read_bytes() == whole


def test_never_more_than_two_images_are_in_memory(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    alive: weakref.WeakSet[Any] = weakref.WeakSet()
    most = []

    class Pixels(np.ndarray):
        def __hash__(self) -> int:
            return id(self)

    def watched(path: Path, _pick: Pick) -> LazyPlane:
        pixels = read_image(path).view(Pixels)
        alive.add(pixels)
        most.append(len(alive))
        return LazyPlane(pixels)

    monkeypatch.setattr(batch_image, "open_image", watched)
    assert bench.run()[1] == ["done"] * 4
    assert most[0] == 1
    assert max(most) == 2


def test_what_a_killed_run_left_half_written_goes_after_a_day(bench: Bench) -> None:
    bench.output.mkdir()
    old, young = (temporary_path(bench.output) for _ in range(2))
    for path in (old, young):
        path.write_bytes(b"II*")
    yesterday = old.stat().st_mtime - 86_500
    os.utime(old, (yesterday, yesterday))
    bench.run()
    assert not old.exists()
    # It may be what another program is writing now.
    assert young.exists()


def test_folders_and_patterns_stand_for_their_images(bench: Bench) -> None:
    folder = bench.images[0].parent
    (folder / "notes.txt").write_text("")
    (folder / "field [a].PNG").write_bytes(b"")
    last = folder / "field [a].PNG"
    assert find_images([folder]) == [*bench.images, last]
    bench.output = folder
    bench.run(bench.images[:2])
    # Results in the same folder are no images.
    assert find_images([folder]) == [*bench.images, last]
    assert find_images([folder / "field 0*.tif"]) == bench.images
    # Brackets in the name of a file that is there are no pattern.
    assert find_images([last, folder / "none.tif"]) == [last, folder / "none.tif"]
    (folder / "empty").mkdir()
    for empty in (folder / "empty", folder / "*.gif"):
        with pytest.raises(InputError, match="no images in"):
            find_images([bench.images[0], empty])


@pytest.mark.parametrize(
    "changes",
    [
        {"options": SegmentOptions(threshold=0.5)},
        {"options": SegmentOptions(window="image")},
        {"options": SegmentOptions(window=(0.0, 90.0))},
        {"options": SegmentOptions(cleaning=Cleaning(min_size=9))},
        {"options": SegmentOptions(cleaning=Cleaning(split=True))},
        {"again": True},
    ],
)
def test_other_settings_are_computed_anew(bench: Bench, changes: dict) -> None:
    images = bench.images[:1]
    bench.run(images)
    assert bench.run(images, **changes)[1] == ["done"]
    # And the first ones are no longer what lies there.
    kept = "kept" if changes.get("again") else "done"
    assert bench.run(images)[1] == [kept]


def test_another_reference_is_another_setting(bench: Bench) -> None:
    images = bench.images[:1]
    bench.run(images)
    vectors = bench.reference.vectors.copy()
    vectors[0, 0] += 1e-3
    for other in (
        replace(bench.reference, vectors=vectors),
        bench.reference.with_thresholds({"object": 0.5}),
        replace(bench.reference, auto_thresholds={"object": 0.5}),
    ):
        assert bench.run(images, reference=other)[1] == ["done"]
        assert bench.run(images, reference=other)[1] == ["kept"]


def test_other_software_is_another_setting(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = bench.images[:1]
    bench.run(images)
    for module in ("segmentation.stack", "references.header"):
        monkeypatch.setattr(
            f"napari_dinoprompt.core.{module}.software_version", lambda: "99"
        )
    assert bench.run(images)[1] == ["done"]


def test_matching_a_histogram_depends_on_the_image_that_is_matched(
    bench: Bench, blobs, other_blobs
) -> None:
    images, options = bench.images[:1], SegmentOptions(window="histogram")
    for like, state in (
        (blobs.image, "done"),
        (blobs.image.copy(), "kept"),
        (other_blobs.image, "done"),
    ):
        assert bench.run(images, options=options, like=like)[1] == [state]
    with pytest.raises(InputError, match="go together"):
        next(bench.steps(images, options=options))
    with pytest.raises(InputError, match="go together"):
        next(bench.steps(images, like=blobs.image))


def touch(bench: Bench) -> None:
    time = bench.images[0].stat().st_mtime_ns + 1_000_000
    os.utime(bench.images[0], ns=(time, time))


def result(bench: Bench, kind: str) -> Path:
    return result_paths(bench.output, bench.images[0].stem)[kind]


def record(bench: Bench) -> Path:
    return bench.output / f"{bench.images[0].stem}_record.json"


def rewrite(bench: Bench, change) -> None:
    said = json.loads(record(bench).read_text())
    change(said)
    record(bench).write_text(json.dumps(said))


CHANGES = {
    "image written again": touch,
    "a result is gone": lambda b: result(b, "mask").unlink(),
    "a result has another size": lambda b: result(b, "similarity").write_bytes(b"II*"),
    "record is unfinished": lambda b: record(b).write_text('{"unfinished": true}'),
    "record is empty": lambda b: record(b).write_text(""),
    "record is cut": lambda b: record(b).write_bytes(record(b).read_bytes()[:-9]),
    "record is a list": lambda b: record(b).write_text("[]"),
    "record without end": lambda b: record(b).write_text("[" * 10**5),
    "record is no text": lambda b: record(b).write_bytes(b"\xff\xfe\x00"),
    "rows are a number": lambda b: rewrite(b, lambda r: r.update(rows=3)),
    "rows are empty": lambda b: rewrite(b, lambda r: r.update(rows=[])),
    "rows are mixed": lambda b: rewrite(b, lambda r: r["rows"].append({"a": 1})),
    "a number is text": lambda b: rewrite(
        b, lambda r: r["rows"][0].update(threshold="high")
    ),
    "rows are others": lambda b: rewrite(b, lambda r: r.update(rows=[{"a": 1}])),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_no_longer_so_is_done_again(bench: Bench, change: str) -> None:
    bench.run(bench.images[:2])
    before = bench.table()
    CHANGES[change](bench)
    assert bench.run(bench.images[:2])[1] == ["done", "kept"]
    assert bench.table() == before
    assert bench.run(bench.images[:2])[1] == ["kept", "kept"]


def test_what_cannot_be_read_is_skipped_and_tried_again(bench: Bench) -> None:
    broken, missing = bench.images[0].with_name("b.tif"), bench.images[0].parent / "m"
    broken.write_bytes(bench.images[0].read_bytes()[:300])
    images = [broken, bench.images[0], missing, bench.images[1]]
    for good in ("done", "kept"):
        steps, states, report = bench.run(images)
        assert states == ["skipped", good, "skipped", good]
        for step in (steps[0], steps[2]):
            assert str(step.path) in step.message
            assert "\n" not in step.message
            assert step.rows == ()
        assert len(bench.table()) == len(report.rows) == 2
    broken.write_bytes(bench.images[2].read_bytes())
    assert bench.run(images)[1] == ["done", "kept", "skipped", "kept"]


def test_a_record_is_emptied_before_its_results_are_replaced(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the mask of one threshold and the record of another would go together."""
    images, other = bench.images[:1], SegmentOptions(threshold=0.2)
    bench.run(images)
    written = []

    def fail_later(path: Path, array: np.ndarray, _name: str = "") -> None:
        if written:
            raise InputError("full")
        written.append(path)
        tifffile.imwrite(path, array)

    monkeypatch.setattr("napari_dinoprompt.core.batch.records.write_tiff", fail_later)
    with pytest.raises(InputError, match="full"):
        bench.run(images, options=other)
    assert written
    assert json.loads(record(bench).read_text()) == {"unfinished": True}
    monkeypatch.undo()
    assert bench.run(images, options=other)[1] == ["done"]


def test_bad_settings_are_said_once_and_nothing_is_written(bench: Bench) -> None:
    backbone = replace(bench.reference.backbone, weights_hash="x")
    for changes, error in (
        ({"options": SegmentOptions(threshold=7)}, InputError),
        ({"options": SegmentOptions(window="odd")}, InputError),  # type: ignore[arg-type]
        (
            {"reference": replace(bench.reference, backbone=backbone)},
            IncompatibleReferenceError,
        ),
        (
            {
                "reference": replace(
                    bench.reference, classes=("background",) * 5, auto_thresholds={}
                )
            },
            InputError,
        ),
    ):
        with pytest.raises(error):
            next(bench.steps(**changes))
    assert not bench.output.exists()


def test_a_bug_is_not_skipped(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(batch_image, "segment", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        next(bench.steps())


def test_the_image_is_named_as_it_is_given(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run(bench.images[:1])
    monkeypatch.chdir(bench.images[0].parent)
    steps, states, _ = bench.run([Path(bench.images[0].name)])
    assert states == ["kept"]
    assert isinstance(steps[0], BatchStep)
    assert bench.table()[0]["image"] == bench.images[0].name


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
def test_killed_again_and_again_it_comes_to_the_same(
    tmp_path: Path, blobs, blob_reference, filterbank
) -> None:
    images = write_images(tmp_path / "images", blobs.image, 12)
    path = blob_reference.save(tmp_path / "blobs")
    output = tmp_path / "killed"
    done = subprocess.run(
        [sys.executable, killed_batch.__file__, images[0].parent, path, output],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    looks = [json.loads(line) for line in done.stdout.splitlines()]
    assert [look["killed"] for look in looks] == [True] * 5 + [False]
    finished = [len(look["records"]) for look in looks]
    assert finished == sorted(finished)
    assert 0 < finished[-2] < 12
    for before, after in pairwise(looks):
        # No finished image was done again, and every TIFF was whole at any time.
        assert before["records"].items() <= after["records"].items()
        assert set(before["pixels"].values()) <= {80 * 90}
    whole = tmp_path / "whole"
    for _ in segment_batch(images, whole, blob_reference, filterbank, SegmentOptions()):
        pass
    names = {item.name for item in whole.iterdir()}
    assert len(names) == 12 * 4 + 1
    # Hidden: what was being written when the power went.
    visible = {item.name for item in output.iterdir() if item.name[0] != "."}
    assert visible == names
    for name in names:
        assert (output / name).read_bytes() == (whole / name).read_bytes(), name


def test_files_of_somebody_else_are_not_replaced(bench: Bench) -> None:
    bench.output.mkdir()
    labels = bench.output / f"{bench.images[0].stem}_mask.tif"
    labels.write_bytes(b"drawn by hand")
    with pytest.raises(InputError, match="not written by a batch"):
        bench.run()
    assert labels.read_bytes() == b"drawn by hand"
    labels.unlink()
    (bench.output / "segmentation.csv").write_text("mine")
    with pytest.raises(InputError, match=r"segmentation\.csv"):
        bench.run()
    assert bench.computed == 0


def test_the_summary_keeps_what_earlier_batches_found(bench: Bench) -> None:
    for image in bench.images[:2]:
        bench.run([image])
    assert [row["image"] for row in bench.table()] == [
        str(image) for image in bench.images[:2]
    ]


def test_a_file_is_no_folder_for_results(bench: Bench) -> None:
    bench.output = bench.images[1]
    with pytest.raises(InputError, match="is a file"):
        bench.run()
    assert bench.computed == 0


def test_what_macos_keeps_beside_a_file_is_no_image(tmp_path: Path) -> None:
    for name in ("a.png", "._a.png", "._b.tif"):
        (tmp_path / name).write_bytes(b"")
    assert find_images([tmp_path]) == [tmp_path / "a.png"]
