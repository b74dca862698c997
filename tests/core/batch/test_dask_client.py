"""The same batch on workers of a scheduler: equal results, whatever dies meanwhile."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dask
import psutil
import pytest
import tifffile
from batch_images import differences, finished_images, write_images
from distributed import LocalCluster

from napari_dinoprompt import cli
from napari_dinoprompt.core.backbones.load import BackboneChoice
from napari_dinoprompt.core.batch import dask_client as batch_cluster
from napari_dinoprompt.core.batch import dask_worker as batch_worker
from napari_dinoprompt.core.batch import image as batch_image
from napari_dinoprompt.core.batch import run
from napari_dinoprompt.core.batch.dask_client import (
    LocalWorkers,
    parse_scheduler,
    segment_batch_on_cluster,
)
from napari_dinoprompt.core.batch.run import BatchReport, segment_batch
from napari_dinoprompt.core.errors import InputError, WeightsNotFoundError
from napari_dinoprompt.core.segmentation.segment import SegmentOptions, segment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from napari_dinoprompt.core.references.reference import Reference

CHOICE = BackboneChoice("filterbank", device="cpu")


@contextlib.contextmanager
def running_cluster(workers: int = 1, processes: bool = False) -> Iterator[Any]:
    """A scheduler as somebody has started it; in this process it starts at once."""
    with LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=processes,
        protocol="tcp",
        dashboard_address="127.0.0.1:0",
        scheduler_kwargs={"dashboard": False},
        memory_limit=0,
        silence_logs=logging.CRITICAL,
    ) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with running_cluster() as cluster:
        yield cluster.scheduler_address


class Bench:
    def __init__(self, folder: Path, picture: Any, reference: Reference) -> None:
        self.folder, self.reference = folder, reference
        self.images = write_images(folder / "images", picture, 4)
        self.output = folder / "results"

    def steps(self, scheduler: str, images: list[Path] | None = None, **changes: Any):
        return segment_batch_on_cluster(
            images or self.images,
            changes.pop("output", self.output),
            changes.pop("reference", self.reference),
            changes.pop("choice", CHOICE),
            changes.pop("options", SegmentOptions()),
            scheduler=scheduler,
            **changes,
        )

    def run(self, *args: Any, **changes: Any) -> tuple[dict[str, str], BatchReport]:
        """Return the states by file name, and the report."""
        steps, states = self.steps(*args, **changes), {}
        while True:
            try:
                step = next(steps)
            except StopIteration as finished:
                return states, finished.value
            states[step.path.name] = step.state
            assert (step.done, step.total) == (len(states), step.total)

    def plain(self, backbone: Any, images: list[Path] | None = None) -> Path:
        output = self.folder / "plain"
        for _ in segment_batch(
            images or self.images, output, self.reference, backbone, SegmentOptions()
        ):
            pass
        return output


@pytest.fixture
def bench(tmp_path: Path, blobs, blob_reference) -> Bench:
    return Bench(tmp_path, blobs.image, blob_reference)


def worker_processes() -> list[int]:
    """Return the processes of workers that have been started from here."""
    return [
        child.pid
        for child in psutil.Process().children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_processes_of_which_one_is_killed_give_the_same(
    bench: Bench, blobs, filterbank, capfd: pytest.CaptureFixture[str]
) -> None:
    images = write_images(bench.folder / "more", blobs.image, 10)
    steps = bench.steps("local:2", images)
    found = [next(steps) for _ in range(3)]
    before = finished_images(bench.output)
    os.kill(worker_processes()[0], signal.SIGKILL)
    found += list(steps)
    assert {step.state for step in found} == {"done"}
    assert sorted(step.path for step in found) == images
    assert before.items() <= finished_images(bench.output).items()
    # The killed one may have been writing.
    for path in bench.output.glob(".dinoprompt-*"):
        path.unlink()
    assert differences(bench.plain(filterbank, images), bench.output) == []
    assert worker_processes() == []
    assert capfd.readouterr() == ("", "")


def test_results_are_those_of_a_plain_batch(
    bench: Bench, filterbank, address: str
) -> None:
    states, report = bench.run(address)
    assert set(states.values()) == {"done"}
    assert differences(bench.plain(filterbank), bench.output) == []
    assert [row["image"] for row in report.rows] == list(map(str, bench.images))
    # Each keeps what the other has finished.
    assert set(bench.run(address)[0].values()) == {"kept"}
    again = segment_batch(
        bench.images, bench.output, bench.reference, filterbank, SegmentOptions()
    )
    assert {step.state for step in again} == {"kept"}


def test_what_cannot_be_read_is_skipped_with_the_same_words(
    bench: Bench, filterbank, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bench.folder)
    broken = Path("broken.tif")
    broken.write_bytes(bench.images[0].read_bytes()[:300])
    images = [broken, Path("none.png"), bench.images[0].relative_to(bench.folder)]
    found = {}
    for name, steps in (
        ("cluster", bench.steps(address, images, output=Path("cluster"))),
        (
            "plain",
            segment_batch(
                images, Path("plain"), bench.reference, filterbank, SegmentOptions()
            ),
        ),
    ):
        found[name] = {step.path: (step.state, step.message) for step in steps}
    assert found["cluster"] == found["plain"]
    assert [state for state, _ in found["plain"].values()] == [
        *("skipped", "skipped", "done")
    ]
    assert differences(Path("plain"), Path("cluster")) == []


def test_what_workers_warn_of_is_heard_with_the_file(bench: Bench, filterbank) -> None:
    dim = bench.images[1]
    tifffile.imwrite(dim, tifffile.imread(dim) // 16)
    heard = {}
    # A process of its own, as elsewhere: warnings are those of a process.
    with running_cluster(processes=True) as cluster:
        steps = bench.steps(cluster.scheduler_address)
        for _ in bench.images:
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always", RuntimeWarning)
                step = next(steps)
            heard[step.path] = [str(one.message) for one in said]
        steps.close()
    with pytest.warns(RuntimeWarning) as expected:
        segment(tifffile.imread(dim), bench.reference, filterbank)
    assert heard[dim] == [str(one.message) for one in expected]
    assert not any(heard[path] for path in bench.images if path != dim)


@pytest.mark.slow
def test_each_worker_loads_the_backbone_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, loaded = batch_worker.BatchWorker._load, []

    def counted(self: Any) -> Any:
        loaded.append(id(self))
        return load(self)

    monkeypatch.setattr(batch_worker.BatchWorker, "_load", counted)
    with running_cluster(2) as cluster:
        assert bench.run(cluster.scheduler_address)[1].done == 4
        assert len(loaded) == len(set(loaded)) == 2
        # And lets go of it at the end.
        for worker in cluster.workers.values():
            assert not [name for name in worker.plugins if "dinoprompt" in name]


def test_few_images_are_given_out_at_a_time(
    bench: Bench, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_cluster, "_AHEAD", 2)
    given = []
    real = batch_cluster._wait

    def watched(client: Any, futures: list[Any]) -> Any:
        given.append(len(futures))
        return real(client, futures)

    monkeypatch.setattr(batch_cluster, "_wait", watched)
    assert bench.run(address)[1].done == 4
    assert max(given) == 2


def test_an_image_that_a_dead_worker_had_finished_is_not_done_again(
    bench: Bench, filterbank, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record is there, only the answer is missing."""
    bench.output = bench.plain(filterbank)
    before = finished_images(bench.output)
    computed = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        computed.append(1)
        return segment(*args, **kwargs)

    monkeypatch.setattr(batch_image, "segment", counted)
    monkeypatch.setattr(run, "_kept_rows", lambda *_: {})
    assert bench.run(address)[1].done == 4
    assert (computed, finished_images(bench.output)) == ([], before)
    # What was finished before the batch is another thing where it is wanted again.
    assert bench.run(address, again=True)[1].done == 4
    assert len(computed) == 4
    assert not before.items() & finished_images(bench.output).items()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_an_image_that_workers_die_of_is_skipped(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The worker is killed while it loads the backbone for its first image.
    monkeypatch.setattr(batch_cluster, "_agree", lambda client, plugin: "settings")
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        running_cluster(processes=True) as cluster,
    ):

        def kill_at_work() -> None:
            while not any(
                task.state == "processing" and task.key.startswith("dinoprompt-")
                for task in list(cluster.scheduler.tasks.values())
            ):
                time.sleep(0.001)
            os.kill(worker_processes()[0], signal.SIGKILL)

        killer = threading.Thread(target=kill_at_work)
        killer.start()
        (step,) = bench.steps(cluster.scheduler_address, bench.images[:1])
        killer.join()
    assert step.state == "skipped"
    assert step.message.startswith(f"{bench.images[0]}: several workers died")
    assert finished_images(bench.output) == {}


def test_settings_that_do_not_work_are_refused_and_nothing_is_left(
    bench: Bench, address: str
) -> None:
    other = replace(bench.reference.backbone, name="dinov2-base")
    for changes, error in (
        ({"options": SegmentOptions(threshold=7)}, InputError),
        ({"choice": replace(CHOICE, device="abacus")}, InputError),
        (
            {"reference": replace(bench.reference, backbone=other)},
            WeightsNotFoundError,
        ),
    ):
        with pytest.raises(error):
            bench.run(address, **changes)
        assert not bench.output.exists()


def test_a_bug_is_not_skipped(
    bench: Bench, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(batch_image, "segment", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        bench.run(address)


def test_stopped_in_the_middle_it_goes_on(bench: Bench, address: str) -> None:
    steps = bench.steps(address)
    first = next(steps).path.name
    steps.close()
    states, _ = bench.run(address)
    assert states[first] == "kept"
    assert "done" in states.values()
    assert not list(bench.output.glob(".dinoprompt-*"))


@pytest.mark.slow
def test_a_scheduler_that_goes_away_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_cluster, "_AHEAD", 1)
    monkeypatch.setattr(batch_cluster, "_SILENCE", 0.2)
    with running_cluster() as cluster:
        steps = bench.steps(cluster.scheduler_address)
        first = next(steps)
    with pytest.raises(InputError, match="scheduler is gone"):
        list(steps)
    assert f"{first.name}_record.json" in finished_images(bench.output)


def test_without_scheduler_or_worker_it_is_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_ANSWER", "_ARRIVAL"):
        monkeypatch.setattr(batch_cluster, name, 0.3)
    with running_cluster(workers=0) as cluster:
        address = cluster.scheduler_address
        with pytest.raises(InputError, match="has no workers"):
            bench.run(address)
    with pytest.raises(InputError, match="There is no scheduler at"):
        bench.run(address)
    assert not bench.output.exists()


@pytest.mark.slow
def test_workers_that_compute_differently_are_refused(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = batch_worker.BatchWorker.state
    devices = iter(["cuda", "cpu"])

    def on_some_device(self: Any) -> Any:
        device = next(devices)
        return replace(real(self), device=device, settings=device)

    def of_another_version(self: Any) -> Any:
        return replace(real(self), software="0.0.1")

    def elsewhere(folder: Path) -> Any:
        return contextlib.nullcontext("no such file")

    monkeypatch.setattr(batch_worker.BatchWorker, "state", on_some_device)
    with running_cluster(2) as cluster:
        address = cluster.scheduler_address
        with pytest.raises(InputError, match="Not all workers compute alike"):
            bench.run(address)
        monkeypatch.setattr(batch_worker.BatchWorker, "state", of_another_version)
        with pytest.raises(InputError, match=r"has napari-dinoprompt 0\.0\.1"):
            bench.run(address)
        monkeypatch.setattr(batch_cluster, "_sign", elsewhere)
        with pytest.raises(InputError, match="does not see the folder"):
            bench.run(address)
    assert finished_images(bench.output) == {}


def test_what_a_scheduler_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parse_scheduler("local:3") == LocalWorkers(3)
    for text in ("tcp://host:8786", "tls://[::1]:1"):
        assert parse_scheduler(text) == text
    assert parse_scheduler("host:8786") == "tcp://host:8786"
    for wrong in ("", "local", "local:", "local:0", "local:-1", "local:two", "host"):
        with pytest.raises(InputError, match="--scheduler is local:N"):
            parse_scheduler(wrong)
    assert LocalWorkers(10_000).threads == 1
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"napari-dinoprompt\[cluster\]"):
        parse_scheduler("local:2")


def test_the_command_takes_a_scheduler_and_a_folder(
    bench: Bench, filterbank, address: str, capfd: pytest.CaptureFixture[str]
) -> None:
    reference = bench.reference.save(bench.folder / "blobs")
    folder = bench.images[0].parent
    for scheduler, code in (("local:x", 2), (address, 0)):
        with pytest.raises(SystemExit) as ended:
            cli.main(
                [
                    *("segment", str(folder), "--reference", str(reference)),
                    *("--output", str(bench.output), "--scheduler", scheduler),
                ]
            )
        out, err = capfd.readouterr()
        assert ended.value.code == code
        assert err.count("\n") == (1 if code else 0)
        assert bench.output.exists() == (code == 0)
    assert "field 03" in out
    assert differences(bench.plain(filterbank), bench.output) == []
    assert tifffile.imread(bench.output / "field 00_mask.tif").any()
