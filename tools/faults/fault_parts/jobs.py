"""Everything that writes to the disk, as commands with a place to write to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from fault_parts.inputs import Inputs

if TYPE_CHECKING:
    from fault_parts.commander import Commander, Said

Arguments = Callable[[Inputs, Path, int], list[object]]


@dataclass(frozen=True)
class Job:
    """Something that is written.

    Attributes
    ----------
    what : str
    arguments : callable
        Of the command, for inputs, a folder on the disk, and 0 or 1: two variants that
        write other content under the same names.
    task : str
        See `tasks`.
    variable : str
        The environment variable that names the folder, where no argument does.
    shares : tuple of float
        How much of what it needs fits onto the disk, in several tries.
    goes_on : bool
        It has to go on, and to succeed, if nothing can be written.
    """

    what: str
    arguments: Arguments
    task: str = "command"
    variable: str = ""
    shares: tuple[float, ...] = (0.0, 0.1, 0.4)
    goes_on: bool = False

    def run(
        self,
        ask: Commander,
        inputs: Inputs,
        disk: Path,
        variant: int,
        *,
        humble: bool = False,
    ) -> Said:
        """Run it in a process of its own."""
        env: dict[str, object] = {}
        if self.variable:
            env[self.variable] = disk / "place"
        arguments = [str(one) for one in self.arguments(inputs, disk, variant)]
        return ask.do(self.task, arguments, env=env, humble=humble)


def _reference(inputs: Inputs, disk: Path, variant: int) -> list[object]:
    points = inputs.fewer if variant else inputs.points
    call = ["reference", inputs.real, "--points", points]
    return [*call, "--output", disk / "name", "--backbone", "filterbank"]


def _segment(inputs: Inputs, disk: Path, variant: int) -> list[object]:
    reference = inputs.other if variant else inputs.reference
    return ["segment", inputs.images, "--reference", reference, "--output", disk / "b"]


def _stack(inputs: Inputs, disk: Path, variant: int) -> list[object]:
    reference = inputs.other if variant else inputs.reference
    return ["segment", inputs.stack, "--reference", reference, "--output", disk / "s"]


def _compare(inputs: Inputs, disk: Path, variant: int) -> list[object]:
    reference = inputs.other if variant else inputs.reference
    call = ["compare", inputs.real, inputs.fake, "--reference", reference]
    return [*call, "--output", disk / "c", "--draws", 0]


def _study(inputs: Inputs, disk: Path, variant: int) -> list[object]:
    points = inputs.fewer if variant else inputs.points
    call = ["study", inputs.real, "--points", points, "--backbone", "filterbank"]
    return [*call, "--parts", "threshold,influence", "--output", disk / "y"]


def _large(inputs: Inputs, disk: Path, variant: int) -> list[object]:
    reference = inputs.other if variant else inputs.reference
    beside = disk.with_name(f"{disk.name}-beside")
    return ["segment", inputs.real, "--reference", reference, "--output", beside]


def _large_clean(inputs: Inputs, disk: Path, variant: int) -> list[object]:
    cleaning = ["--min-size", 20, "--fill-holes", "--split"]
    return [*_large(inputs, disk, variant), "--again", *cleaning]


def _library(inputs: Inputs, _disk: Path, variant: int) -> list[object]:
    return [inputs.other if variant else inputs.reference, "field"]


def _cached(inputs: Inputs, disk: Path, _variant: int) -> list[object]:
    call = ["segment", inputs.real, "--reference", inputs.network, "--again"]
    beside = disk.with_name(f"{disk.name}-beside")
    return [*call, "--checkpoint", inputs.weights, "--output", beside]


def _demo(_inputs: Inputs, disk: Path, _variant: int) -> list[object]:
    return ["demo", "--output", disk / "demo"]


JOBS = {
    "reference": Job("a reference over an older one", _reference),
    "batch": Job(
        "a batch of 12 images over an older one", _segment, shares=(0.0, 0.03, 0.06)
    ),
    "stack": Job("a stack of 8 planes over an older one", _stack),
    "compare": Job("a comparison over an older one", _compare),
    "study": Job("a study over an older one", _study),
    "library": Job(
        "a reference into the library", _library, "add_once", "DINOPROMPT_LIBRARY"
    ),
    "demo": Job("`dinoprompt demo`", _demo, "tell_one_field", shares=(0.0, 0.5)),
    "cache": Job(
        "features of a network into the cache",
        _cached,
        "compute_with_network",
        "DINOPROMPT_CACHE",
        goes_on=True,
    ),
    "large": Job(
        "results of a large plane, on the scratch disk",
        _large,
        "compute_as_large",
        "DINOPROMPT_CACHE",
    ),
    "cleaning": Job(
        "cleaned labels of a large plane, on the scratch disk",
        _large_clean,
        "compute_as_large",
        "DINOPROMPT_CACHE",
    ),
}
