"""Kill batches of 200 images, and workers of them, and see what is left.

    python tools/faults/fault_parts/killed_batches.py [--images 200] [--kills 6]

A part of `faults.py`, with fewer images, and a program of its own for more of them.
The command `dinoprompt segment` is killed with SIGKILL at random moments and run again
until it ends: on its own, then with two processes (`--scheduler local:2`), where the
command and single workers are killed in turn. Printed is after each kill what a careful
person sees in the folder. A finished image is one whose record is filled; it is redone
if that record is written again, and lost if it is gone. At the end all files are
compared with those of a batch that nobody has touched. Exits with 1 if anything is
redone, lost, half-written or different.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import tifffile
from scipy import ndimage as ndi

import napari_dinoprompt as dp

sys.path.insert(0, str(Path(__file__).parents[3] / "tests" / "support"))
from typing import TYPE_CHECKING

from batch_images import differences, finished_images

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHAPE = (96, 112)


@dataclass
class Watch:
    """What is seen in a folder of results, and what became of it since."""

    output: Path
    finished: dict[str, int] = field(default_factory=dict)
    rows: list[tuple[object, ...]] = field(default_factory=list)
    faults: int = 0

    def look(self, killed: str) -> None:
        """Look once more; nothing writes meanwhile, or only whole files."""
        now = finished_images(self.output)
        redone = sum(
            name in now and now[name] != when for name, when in self.finished.items()
        )
        lost = sum(name not in now for name in self.finished)
        half = sum(not _is_whole(path) for path in self.output.glob("*.tif"))
        temporary = len(list(self.output.glob(".dinoprompt-*")))
        self.rows.append((killed, len(now), redone, lost, half, temporary))
        print("{:<22}{:>9}{:>8}{:>6}{:>13}{:>11}".format(*self.rows[-1]), flush=True)
        self.faults += redone + lost + half
        self.finished = now


def _is_whole(path: Path) -> bool:
    try:
        return tifffile.imread(path).shape[-2:] == _SHAPE
    except (ValueError, OSError):
        return False


def make_images(folder: Path, count: int, seed: int) -> Path:
    """Write images and a reference made on the first."""
    rng = np.random.default_rng(seed)
    images = folder / "images"
    images.mkdir()
    for number in range(count):
        smooth = ndi.gaussian_filter(rng.normal(size=_SHAPE), 4)
        grey = 120 + 60 * smooth / smooth.std() + rng.normal(0, 4, _SHAPE)
        pixels = grey.clip(0, 255).astype(np.uint8)
        tifffile.imwrite(images / f"{number:04}.tif", pixels)
    first = tifffile.imread(images / "0000.tif")
    features = dp.extract_features(first, dp.load_backbone("filterbank", device="cpu"))
    bright = np.argwhere(first > np.quantile(first, 0.97))
    points = rng.choice(bright, 5, replace=False)
    return dp.Reference.from_prompts(features, points).save(folder / "reference")


def start(images: Path, reference: Path, output: Path, *more: str) -> psutil.Popen:
    """Start the command."""
    call = [sys.executable, "-m", "napari_dinoprompt.cli", "segment", str(images)]
    call += ["--reference", str(reference), "--output", str(output)]
    call += ["--device", "cpu", *more]
    return psutil.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def finish(command: psutil.Popen) -> str:
    """Wait for the end of the command, and return what it complained of."""
    _, said = command.communicate()
    return "" if command.returncode == 0 and not said else f"{said.decode()}"


def wait_for(output: Path, more: int, command: psutil.Popen) -> bool:
    """Wait until some more images are finished; False if the command has ended."""
    wanted = len(_records(output)) + more
    while len(_records(output)) < wanted:
        if command.poll() is not None:
            return False
        time.sleep(0.002)
    return True


def _records(output: Path) -> list[Path]:
    return list(output.glob("*_record.json")) if output.is_dir() else []


def workers_of(command: psutil.Popen) -> list[psutil.Process]:
    """Return the worker processes of a command."""
    return [
        child
        for child in command.children(recursive=True)
        if "spawn_main" in " ".join(child.cmdline())
    ]


def kill(process: psutil.Process | psutil.Popen) -> None:
    """Kill, and wait until it is gone."""
    process.send_signal(signal.SIGKILL)
    process.wait()


def kill_the_command(
    watch: Watch, call: tuple[Path, Path], kills: int, chance: random.Random
) -> str:
    """Kill the plain command again and again, then let it run to its end."""
    most = max(1, len(list(call[0].iterdir())) // (kills + 1))
    for _ in range(kills):
        command = start(*call, watch.output)
        if wait_for(watch.output, chance.randint(1, most), command):
            time.sleep(chance.uniform(0, 0.05))
            kill(command)
            command.stderr.close()
            watch.look("the command")
    said = finish(start(*call, watch.output))
    watch.look("nothing: the end")
    return said


def kill_workers(
    watch: Watch, call: tuple[Path, Path], kills: int, chance: random.Random
) -> str:
    """Kill workers of one batch, then the whole command, then let it run to its end."""
    command = start(*call, watch.output, "--scheduler", "local:2")
    for number in range(kills):
        if not wait_for(watch.output, chance.randint(5, 15), command):
            break
        time.sleep(chance.uniform(0, 0.05))
        if number == kills - 1:
            workers = workers_of(command)
            kill(command)
            command.stderr.close()
            # They notice by themselves that nobody waits for them.
            psutil.wait_procs(workers, timeout=30)
            watch.faults += sum(worker.is_running() for worker in workers)
            watch.look("the command")
        else:
            kill(chance.choice(workers_of(command)))
            watch.look("a worker")
    said = finish(start(*call, watch.output, "--scheduler", "local:2"))
    watch.look("nothing: the end")
    return said


@dataclass(frozen=True)
class Tried:
    """What became of one way to run a batch.

    Attributes
    ----------
    name : str
    kills : int
    counts : list of int
        How many images were finished after each kill, and in the end.
    temporary, files : int
    troubles : list of str
    """

    name: str
    kills: int
    counts: list[int]
    temporary: int
    files: int
    troubles: list[str]


_WAYS = (("one process", kill_the_command), ("local:2", kill_workers))


def try_batches(folder: Path, images: int, kills: int, seed: int) -> Iterator[Tried]:
    """Run a batch in both ways, with kills, and compare it with one left alone."""
    chance = random.Random(seed)
    reference = make_images(folder, images, seed)
    call = (folder / "images", reference)
    untouched = folder / "untouched"
    said = finish(start(*call, untouched))
    assert not said, said
    for name, run in _WAYS:
        print(f"\n{images} images, {name}")
        print("killed                 finished  redone  lost half-written  temporary")
        watch = Watch(folder / name.replace(":", ""))
        said = run(watch, call, kills, chance)
        for path in watch.output.glob(".dinoprompt-*"):
            path.unlink()
        other = differences(untouched, watch.output)
        count = len(list(watch.output.iterdir()))
        print(f"{count} files, {len(other)} differ from a batch left alone. {said}")
        troubles = [f"another {one}" for one in other] + ([said] if said else [])
        missing = images - len(watch.finished)
        troubles += [f"{missing} images missing"] if missing else []
        if watch.faults:
            troubles.append(f"{watch.faults} redone, lost or half-written")
        yield Tried(
            name=name,
            kills=len(watch.rows) - 1,
            counts=[int(str(row[1])) for row in watch.rows],
            temporary=sum(int(str(row[5])) for row in watch.rows),
            files=count,
            troubles=troubles,
        )


def main() -> int:
    """Run all and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--kills", type=int, default=6)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dinoprompt-faults-") as place:
        tried = try_batches(Path(place), asked.images, asked.kills, asked.seed)
        faults = sum(len(one.troubles) for one in tried)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
