"""The three roads of a file: the command, the API, and the dock."""

from __future__ import annotations

import contextlib
import csv
import io
import signal
import warnings
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

import napari_dinoprompt as dp
from napari_dinoprompt.cli import main
from napari_dinoprompt.core.io import read
from napari_dinoprompt.core.io.points import read_prompts
from situation_parts.contents import (
    CONTENTS,
    Situation,
    grey,
    labels,
    prompts,
    write_plain,
    write_points,
)

try:
    from napari_dinoprompt.core.io.spacing import read_spacing
except ImportError:  # of earlier versions
    from napari_dinoprompt.core.batch.stack_files import (  # type: ignore[no-redef]
        _spacing_of as read_spacing,
    )

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_LONGEST_S = 30
_ALIKE = 0.95
_SAME_FIGURE = 0.02
_OURS = (UserWarning, RuntimeWarning)
_ALWAYS = "No intervals and no noise floor"


class TooLongError(BaseException):
    """Not to be caught by what is tried."""


@dataclass(frozen=True)
class Seen:
    """What came of a file on one road.

    Attributes
    ----------
    found : array, float, tuple or None
        The mask, the figure of a comparison, or a spacing.
    said : str
        All lines, joined.
    refused : bool
    """

    found: Any
    said: str
    refused: bool = False


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Give up after half a minute of work."""

    def give_up(*_: object) -> None:
        raise TooLongError

    signal.signal(signal.SIGPROF, give_up)
    signal.signal(signal.SIGALRM, give_up)
    # Of work; of waiting more, for others may be at work on the machine.
    signal.setitimer(signal.ITIMER_PROF, _LONGEST_S)
    signal.alarm(5 * _LONGEST_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)


class Ground:
    """The plain files, references and masks that all situations are held against."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files, self.points, self.references = {}, {}, {}
        self.masks: dict[str, Any] = {}
        for like in CONTENTS:
            self.files[like] = write_plain(folder, like)
            self.points[like] = write_points(folder, like)
            self.references[like] = folder / f"{like}.reference.safetensors"
            code, said = command(
                *("reference", self.files[like], "--points", self.points[like]),
                *("--output", self.references[like], "--backbone", "filterbank"),
            )
            assert code == 0, said
            pixels = CONTENTS[like]()
            self.masks[like] = self.segment(pixels, like)
        self.fake = folder / "fake.tif"
        tifffile.imwrite(self.fake, grey(1))
        for name, truth in (("numbers", labels()), ("binary", labels() > 0)):
            path = folder / f"truth {name}.tif"
            tifffile.imwrite(path, truth.astype(np.uint16))
            self.files[f"truth {name}"] = path
        self.count = 0

    def reference(self, like: str) -> dp.Reference:
        """Load one."""
        return dp.Reference.load(self.references[like])

    def segment(self, pixels: Any, like: str) -> Any:
        """Return the mask by way of the API."""
        return np.asarray(dp.segment(pixels, self.reference(like)).mask)

    def place(self) -> Path:
        """Make an empty folder."""
        self.count += 1
        made = self.folder / f"out {self.count}"
        made.mkdir()
        return made


def command(*words: object) -> tuple[int, str]:
    """Run the command in this process; returns its exit code and what it said."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(word) for word in words])
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
    lines = [
        line
        for line in err.getvalue().splitlines()
        if line.strip() and "objects in" not in line
    ]
    # Of a comparison, after the table.
    told = [line for line in out.getvalue().splitlines() if line.strip()]
    lines += [
        line
        for line in told[-2:-1]
        if words[0] == "compare" and not line.startswith(("In brackets", " "))
    ]
    return code, "\n".join(lines)


def by_command(ground: Ground, situation: Situation, path: Path) -> Seen:
    """Give the file to the command."""
    place = ground.place()
    like = "grey8" if situation.like in ("binary", "none") else situation.like
    given = ("--reference", ground.references[like], "--output", place)
    if situation.role in ("truth", "fake"):
        truth = ("--truth", path) if situation.role == "truth" else ()
        fake = path if situation.role == "fake" else ground.fake
        code, said = command(
            *("compare", ground.files["grey8"], fake, *given, *truth),
            *("--draws", 0, *situation.options),
        )
        return Seen(_iou_in(place) if code == 0 else None, said, code != 0)
    if situation.role == "points":
        made = place / "made.reference.safetensors"
        code, said = command(
            *("reference", ground.files["grey8"], "--points", path),
            *("--output", made, "--backbone", "filterbank"),
        )
        if code:
            return Seen(None, said, refused=True)
        found = dp.segment(grey(), dp.Reference.load(made)).mask
        return Seen(np.asarray(found), said)
    volume = ("--objects-3d",) if situation.role == "spacing" else ()
    code, said = command("segment", path, *given, *volume, *situation.options)
    masks = sorted(place.glob("*_mask.tif"))
    if situation.role == "spacing":
        return Seen(None if code else read_spacing(path), said, code != 0)
    return Seen(tifffile.imread(masks[0]) if masks else None, said, code != 0)


def _iou_in(place: Path) -> float:
    with (place / "comparison.csv").open() as file:
        rows = list(csv.DictReader(file))
    return float(rows[-1]["iou"])


def by_api(ground: Ground, situation: Situation, path: Path) -> Seen:
    """Read the file as the package does, and call its functions."""
    like = "grey8" if situation.like in ("binary", "none") else situation.like
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found, told = _call(ground, situation, path, like)
        except dp.DinopromptError as error:
            return Seen(None, str(error), refused=True)
    said = [str(one.message) for one in caught if one.category in _OURS]
    return Seen(found, "\n".join(dict.fromkeys([*told, *said])))


def _call(
    ground: Ground, situation: Situation, path: Path, like: str
) -> tuple[Any, list[str]]:
    reference = ground.reference(like)
    if situation.role == "spacing":
        return read_spacing(path), []
    if situation.role == "points":
        given = read_prompts(path)
        backbone = dp.load_backbone("filterbank", device="cpu")
        made = dp.make_reference(grey(), given.points, given.classes, backbone)
        return np.asarray(dp.segment(grey(), made).mask), []
    if situation.role == "fake":
        compared = dp.compare(grey(), read.read_image(path), reference, draws=0)
        return float(compared.table[-1]["iou"]), _notes(compared)
    if situation.role == "truth":
        reader = getattr(read, "read_labels", read.read_image)
        compared = dp.compare(grey(), grey(1), reference, truth=reader(path), draws=0)
        return float(compared.table[-1]["iou"]), _notes(compared)
    if path.is_dir() and situation.name.startswith("folder"):
        path = path / "image.tif"
    if situation.plane is not None:
        array, _ = read.open_array(path)
        planes = np.asarray(array).reshape(-1, *array.shape[-2:])
        done = dp.segment(planes[situation.plane], reference)
    else:
        done = dp.segment(read.read_image(path), reference)
    return np.asarray(done.mask), list(getattr(done, "warnings", ()))


def _notes(compared: Any) -> list[str]:
    rows = getattr(compared, "rows", ())
    said = [line for row in rows for line in getattr(row, "warnings", ())]
    return [*said, *([compared.note] if getattr(compared, "note", "") else [])]


def judge(
    situation: Situation, expected: Any, walk: Callable[[], Seen]
) -> tuple[str, str]:
    """Return how a road ended, and what was said."""
    try:
        with bounded():
            seen = walk()
    except TooLongError:
        return "over 30 s", ""
    except Exception as error:  # noqa: BLE001 - what no user should see
        return "TRACE", f"{type(error).__name__}: {str(error).splitlines()[:1]}"
    # Said whenever prompts are not drawn anew.
    kept = [one for one in seen.said.splitlines() if not one.startswith(_ALWAYS)]
    seen = replace(seen, said="\n".join(kept))
    if seen.refused:
        lines = [line for line in seen.said.splitlines() if line.strip()]
        return ("refused" if len(lines) <= 2 else "TRACE"), seen.said
    if _is_right(situation, expected, seen.found):
        return "right", seen.said
    return ("told" if seen.said.strip() else "WRONG"), seen.said


def _is_right(situation: Situation, expected: Any, found: Any) -> bool:
    if situation.like == "none":
        return found is not None
    if situation.role == "spacing":
        return found is None if expected is None else _close(found, expected)
    if isinstance(expected, float):
        return found is not None and abs(found - expected) < _SAME_FIGURE
    if found is None or expected is None:
        return False
    found = np.asarray(found)
    if situation.plane is not None and found.ndim > 2:
        found = found.reshape(-1, *found.shape[-2:])[situation.plane]
    if found.squeeze().shape != expected.shape:
        return False
    one, other = found.squeeze() > 0, expected > 0
    union = (one | other).sum()
    return bool(union) and (one & other).sum() / union >= _ALIKE


def _close(found: Any, expected: Any) -> bool:
    return found is not None and bool(np.allclose(found, expected, rtol=1e-3))


def expectation(ground: Ground, situation: Situation) -> Any:
    """Return what the same content gives as a plain file."""
    if situation.role == "spacing":
        return situation.expected
    if situation.role in ("image", "points"):
        return ground.masks.get(situation.like)
    return _compared(ground, situation.role, situation.like)


@cache
def _compared(ground: Ground, role: str, like: str) -> float:
    truth = None
    if role == "truth":
        truth = labels() if like != "binary" else (labels() > 0).astype(int)
    reference = ground.reference("grey8")
    compared = dp.compare(grey(), grey(1), reference, truth=truth, draws=0)
    return float(compared.table[-1]["iou"])


__all__ = ["Ground", "Seen", "by_api", "by_command", "expectation", "judge", "prompts"]
