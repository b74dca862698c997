"""Do each fault to the real software and say what was lost, which must be nothing.

    python tools/faults/faults.py [NAME ...] [--seed 0] [--output FOLDER] [--jobs 2]

A NAME is a case, or the beginning of some: `kill`, `full-batch`, `closing`. Without
any, all are tried. Disks are filled and made read-only for real, which needs Linux and
root; windows open on a display of their own, which needs xvfb. The table is printed,
and written as faults.md and faults.csv into the folder. Exits with 1 if anything was
lost, hung, or ended in a traceback.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from random import Random

from fault_parts import cases
from fault_parts.commander import Commander
from fault_parts.ground import Case, Ground
from fault_parts.inputs import Inputs, make_inputs
from fault_parts.rows import Row, as_csv, as_markdown, merge

# Between these the table is put into a page.
_BEGIN, _END = "<!-- the table begins -->", "<!-- the table ends -->"
_NETWORK = "vit_tiny_patch16_224"


class Crew:
    """Tries cases, some at a time; each thread has a process of its own to ask."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder = folder
        self._seed = seed
        self._threads = threading.local()
        self._all: list[Commander] = []
        self._inputs = Inputs(folder / "inputs")

    def prepare(self) -> None:
        """Make what all cases start from, with the command itself."""
        inputs = make_inputs(self._inputs.folder)
        call = ["reference", inputs.real, "--output"]
        for path, points in (
            (inputs.reference, inputs.points),
            (inputs.other, inputs.fewer),
        ):
            more = ["--points", points, "--backbone", "filterbank"]
            self._command(*call, path, *more)
        self._ask.do("make_weights", inputs.weights, _NETWORK)
        more = ["--points", inputs.points, "--backbone", f"timm:{_NETWORK}"]
        self._command(*call, inputs.network, *more, "--checkpoint", inputs.weights)
        # So that no case is the one that waits for matplotlib's list of fonts.
        compare = ["compare", inputs.real, inputs.fake, "--reference", inputs.reference]
        self._command(*compare, "--output", self._folder / "warm", "--draws", 0)

    def _command(self, *arguments: object) -> None:
        said = self._ask.command(*arguments)
        if said.troubles():
            raise RuntimeError(f"{arguments}: {said}")

    @property
    def _ask(self) -> Commander:
        return self._hire()

    def _hire(self) -> Commander:
        if not hasattr(self._threads, "ask"):
            folder = self._folder / f"user-{len(self._all)}"
            self._threads.ask = Commander(folder)
            self._all.append(self._threads.ask)
        found: Commander = self._threads.ask
        return found

    def attempt(self, name: str, case: Case) -> tuple[list[Row], float]:
        """Try a case; what breaks in it is a row, too."""
        began = time.monotonic()
        folder = self._folder / name
        folder.mkdir()
        try:
            ground = Ground(
                folder, self._inputs, self._hire, self._seed, Random(self._seed)
            )
            rows = case(ground)
        except Exception:  # noqa: BLE001 - the other cases are worth their rows
            traceback.print_exc()
            rows = [Row(name, "the case itself", 1, "it broke", "unknown")]
        return rows, time.monotonic() - began

    def close(self) -> None:
        """End all processes."""
        for one in self._all:
            one.close()


def write(folder: Path, page: Path | None, found: dict[str, list[Row]]) -> None:
    """Write the tables; cases that were not tried this time keep their rows."""
    folder.mkdir(parents=True, exist_ok=True)
    table = folder / "faults.csv"
    old = table.read_text() if table.exists() else ""
    merged = merge(old, found, list(cases.choose([])))
    table.write_text(as_csv(merged))
    text = as_markdown([row for some in merged.values() for row in some])
    (folder / "faults.md").write_text(text)
    if page is not None:
        before, _, rest = page.read_text().partition(_BEGIN)
        page.write_text(f"{before}{_BEGIN}\n\n{text}\n{_END}{rest.partition(_END)[2]}")


def main() -> int:
    """Try the cases that are asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="folder for the tables")
    parser.add_argument("--page", type=Path, help="text that the table is put into")
    parser.add_argument("--jobs", type=int, default=2, help="cases at a time")
    parser.add_argument("--list", action="store_true", help="name the cases and end")
    asked = parser.parse_args()
    chosen = cases.choose(asked.names)
    if asked.list or not chosen:
        print("\n".join(cases.choose([])))
        return 0 if asked.list else 2
    began = time.monotonic()
    found: dict[str, list[Row]] = {}
    with (
        tempfile.TemporaryDirectory(
            prefix="dinoprompt-faults-", ignore_cleanup_errors=True
        ) as place,
        ThreadPoolExecutor(asked.jobs) as pool,
    ):
        crew = Crew(Path(place), asked.seed)
        # In the pool: there one of its threads has its process at once.
        if cases.need_inputs(chosen):
            pool.submit(crew.prepare).result()
        waiting = {
            pool.submit(crew.attempt, name, case): name for name, case in chosen.items()
        }
        for done in as_completed(waiting):
            name = waiting[done]
            found[name], seconds = done.result()
            print(f"{name}: {seconds:.0f} s", file=sys.stderr)
            if asked.output is not None:
                write(asked.output, asked.page, found)
            for row in found[name]:
                print(f"  {row.fault}: {row.happened} | {row.lost}", flush=True)
        crew.close()
    rows = [row for name in chosen for row in found[name]]
    bad = [row for row in rows if not row.good]
    print(f"\n{as_markdown(rows)}")
    tried = sum(row.tried for row in rows)
    seconds = time.monotonic() - began
    print(f"{len(rows)} faults, tried {tried} times, {len(bad)} bad; {seconds:.0f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
