"""What a newcomer gets from an image of their own, in clicks and in seconds.

``python tools/walks/own_image.py [--pictures FOLDER] [--screen 1366x768] [KIND ...]``
needs Xvfb, xdotool and ImageMagick. It starts napari with empty settings on displays of
two sizes and does with the mouse and the keyboard what somebody does who has read
nothing: opens the dock from the Plugins menu and clicks into the middles of typical
objects, the most typical first, on four images: the sample, fluorescence, histology,
and an electron micrograph, for which a vision transformer is chosen from a file. It
prints after how many clicks and seconds, from the image's opening on, the mask's IoU
with the truth reaches 0.75, or what ten clicks come to.

The data are those of ``tools/benchmarks/quality.py``, in DINOPROMPT_DATA or
``../shared/data``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import tifffile
from scipy import ndimage as ndi
from walk_parts.hands import Hands, StuckError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_ROOT = Path(__file__).parents[2]
_DATA = Path(os.environ.get("DINOPROMPT_DATA", _ROOT.parent / "shared" / "data"))
_WEIGHTS = "weights/vit_tiny_patch16_224.safetensors"
_VIT = "timm:vit_tiny_patch16_224"
_SCREENS = ("1600x1000", "1366x768")
_GOOD = 0.75
_CLICKS = 10
_PATIENCE_S = 120.0


@dataclass(frozen=True)
class Task:
    """An image, its truth, and what is chosen for it."""

    kind: str
    image: Path | None
    truth: Path
    network: bool = False


@dataclass(frozen=True)
class Walk:
    """How far a newcomer came."""

    kind: str
    screen: str
    clicks: int
    seconds: float
    iou: float
    notes: tuple[str, ...]

    def row(self) -> str:
        """Return a line of the table."""
        good = "yes" if self.iou >= _GOOD else "no"
        return (
            f"{self.kind:<13} {self.screen:<10} {self.clicks:>6} {self.seconds:>8.1f} "
            f"{self.iou:>6.3f} {good:>6}  {'; '.join(self.notes)}"
        )


def tasks() -> list[Task]:
    """Return the four images; of a set, the first by name."""
    nuclei, mito = _DATA / "nuclei_dsb2018", _DATA / "mito_lucchi"
    found = [Task("sample", None, _ROOT / "sample_data" / "early_nuclei_truth.tif")]
    for kind, start in (("fluorescence", "fluo"), ("histology", "histo")):
        image = min((nuclei / "images").glob(f"{start}_*"))
        found.append(Task(kind, image, nuclei / "labels" / f"{image.stem}.tif"))
    image = min((mito / "images").iterdir())
    mask = next((mito / "masks").glob(f"{image.stem}.*"))
    return [*found, Task("electron", image, mask, network=True)]


def typical(truth: NDArray[Any]) -> list[tuple[int, int]]:
    """Return the middles of objects, those of the most typical size first."""
    labels = truth if truth.max() < 255 or truth.ndim != 2 else ndi.label(truth)[0]
    numbers, sizes = np.unique(labels[labels > 0], return_counts=True)
    order = np.argsort(np.abs(sizes - np.median(sizes)), kind="stable")
    middles = []
    for number in numbers[order]:
        inside = np.pad(labels == number, 1)
        depth = ndi.distance_transform_edt(inside)[1:-1, 1:-1]
        y, x = np.unravel_index(int(depth.argmax()), depth.shape)
        middles.append((int(y), int(x)))
    return middles


def read(path: Path) -> NDArray[Any]:
    """Read a truth: object numbers, or a mask of 0 and 255."""
    tiff = path.suffix in (".tif", ".tiff")
    return np.asarray(tifffile.imread(path) if tiff else iio.imread(path))


def walk(task: Task, screen: str, display: str, pictures: Path | None) -> Walk:
    """Do with one image what a newcomer does."""
    notes: list[str] = []
    truth = read(task.truth)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        np.save(folder / "truth.npy", truth > 0)
        with _running(task, screen, display, folder) as hands:
            clicks, started, best = 0, time.time(), (0, 0.0, 0.0)
            try:
                started = _open(task, hands)
                if task.network:
                    _choose_network(hands, notes)
                for y, x in _places(truth, hands):
                    clicks += 1
                    _click_object(hands, (y, x), clicks, notes)
                    iou = _settled(hands)["iou"]
                    seconds = time.time() - started
                    if iou > best[2]:
                        best = (clicks, seconds, iou)
                    if iou >= _GOOD or clicks == _CLICKS:
                        break
            except StuckError as error:
                notes.append(str(error))
            if pictures is not None:
                hands.picture(pictures / f"{task.kind}-{screen}.png")
    return Walk(task.kind, screen, *best, tuple(notes))


def _open(task: Task, hands: Hands) -> float:
    """Open the image and the dock; return when the image was opened."""
    hands.wait("The menus do not come.", lambda seen: seen["menus"], _PATIENCE_S)
    started = time.time()
    if task.image is None:
        hands.choose(
            "File", "Open Sample", "DINO prompt segmentation", "Embryo tissue, e"
        )
    hands.wait("The image does not open.", lambda seen: seen["images"], _PATIENCE_S)
    if task.image is not None:
        started = time.time()
    hands.choose("Plugins", "Prompt segmentation")
    hands.wait("The dock does not open.", lambda seen: seen["dock"], _PATIENCE_S)
    # The canvas is narrower now: the image would be fitted by anybody.
    time.sleep(1)
    return started


def _choose_network(hands: Hands, notes: list[str]) -> None:
    """Choose a vision transformer by the file of its weights."""
    file = str(_DATA.parent / _WEIGHTS)
    hands.click(hands.find("Advanced")["at"])
    time.sleep(0.5)
    hands.click(hands.find("checkpoint")["at"])
    hands.type(file)
    seen = _settled(hands)
    if seen["checkpoint"] != file:
        notes.append(f"The checkpoint is not taken: {seen['hint']}")
    if not seen["backbone"].startswith("timm:"):
        notes.append("The backbone's name had to be typed as well.")
        box = hands.find("backbone")
        hands.click((box["left"], box["at"][1]))
        hands.type(_VIT)
        seen = _settled(hands)
    if seen["phase"] != "ready" or seen["backbone"] != _VIT:
        msg = f"The network cannot be chosen ({seen['backbone']}): {seen['hint']}"
        raise StuckError(msg)


def _places(truth: NDArray[Any], hands: Hands) -> Iterator[tuple[int, int]]:
    """Yield the middles of typical objects that are on the canvas."""
    for place in typical(truth):
        if _on_screen(hands.see()["canvas"], place) is not None:
            yield place


def _on_screen(
    canvas: dict[str, Any], place: tuple[int, int]
) -> tuple[int, int] | None:
    """Return where a pixel of the image is on the screen, if it is."""
    (left, top), (width, height) = canvas["corner"], canvas["size"]
    centre, zoom = canvas["centre"], canvas["zoom"]
    y = height / 2 + (place[0] - centre[0]) * zoom
    x = width / 2 + (place[1] - centre[1]) * zoom
    if not (5 < x < width - 5 and 5 < y < height - 5):
        return None
    return round(left + x), round(top + y)


def _click_object(
    hands: Hands, place: tuple[int, int], number: int, notes: list[str]
) -> None:
    """Click on an object; where that makes no prompt, press Add prompts before."""
    for attempt in range(2):
        at = _on_screen(hands.see()["canvas"], place)
        if at is None:
            msg = "The image has moved off the canvas."
            raise StuckError(msg)
        hands.click(at)
        try:
            hands.wait("", lambda seen: seen["prompts"] >= number, 3)
        except StuckError:
            if attempt:
                msg = f"Click {number} made no prompt."
                raise StuckError(msg) from None
            notes.append(f"Click {number} made no prompt: Add prompts pressed.")
            hands.click(hands.find("Add prompts")["at"])
        else:
            return


def _settled(hands: Hands) -> dict[str, Any]:
    """Wait until nothing is under way, and has not been for a moment."""
    quiet = 0
    end = time.time() + _PATIENCE_S
    while quiet < 4:
        seen = hands.see()
        quiet = 0 if seen["working"] else quiet + 1
        if time.time() > end:
            msg = "The work does not end."
            raise StuckError(msg)
        time.sleep(0.12)
    return seen


class _running:
    """napari on a display of its own, in a home without any settings."""

    def __init__(self, task: Task, screen: str, display: str, home: Path) -> None:
        self._display = subprocess.Popen(
            ["Xvfb", display, "-screen", "0", f"{screen}x24", "-nolisten", "tcp"],
            stderr=subprocess.DEVNULL,
        )
        time.sleep(1)
        state = home / "state.json"
        environment = {
            **os.environ,
            "DISPLAY": display,
            "QT_QPA_PLATFORM": "xcb",
            "WALK_SCREEN": screen,
            "HOME": str(home),
            "NAPARI_CONFIG": str(home / "napari" / "settings.yaml"),
            **{
                f"XDG_{kind}_HOME": str(home / kind.lower())
                for kind in ("CONFIG", "CACHE", "DATA", "STATE")
            },
        }
        environment.pop("WAYLAND_DISPLAY", None)
        script = Path(__file__).parent / "walk_parts" / "watch.py"
        words = [sys.executable, str(script), str(state), str(home / "truth.npy")]
        if task.image is not None:
            words.append(str(task.image))
        self._log = (home / "napari.log").open("wb")
        self._napari = subprocess.Popen(
            words, env=environment, stdout=self._log, stderr=self._log
        )
        self._hands = Hands(display, state)

    def __enter__(self) -> Hands:
        return self._hands

    def __exit__(self, *_told: object) -> None:
        for process in (self._napari, self._display):
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._log.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", help="Of the images; all if none is named.")
    parser.add_argument("--screen", choices=_SCREENS, help="Only this size.")
    parser.add_argument("--display", default=":83", help="A number that is free.")
    parser.add_argument("--pictures", type=Path, help="Keep the last screens here.")
    chosen = parser.parse_args()
    if chosen.pictures is not None:
        chosen.pictures.mkdir(parents=True, exist_ok=True)
    head = f"{'image':<13} {'screen':<10} {'clicks':>6} {'seconds':>8} {'IoU':>6}"
    print(f"{head} {'>= .75':>6}  notes", flush=True)
    for screen in [chosen.screen] if chosen.screen else _SCREENS:
        for task in tasks():
            if not chosen.kinds or task.kind in chosen.kinds:
                found = walk(task, screen, chosen.display, chosen.pictures)
                print(found.row(), flush=True)


if __name__ == "__main__":
    main()
