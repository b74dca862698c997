"""Try random inputs on everything that takes some, for as long as is given.

    python tools/faults/fuzz.py --seconds 600 [--seed 0] [TARGET ...]

Public functions get images, points, names and numbers of every kind; what reads files
gets good ones with a few bytes changed. Either a result comes of it that holds, or one
clear line: anything else is a crash. So is a warning, more than 20 s, or more than 1 GB
of memory. Each batch of inputs runs in a process of its own, so that nothing ends the
program. Printed are per target the inputs tried, the messages by kind, and the crashes
with the input that makes them; exits with 1 if there are any.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"
os.environ["MPLBACKEND"] = "Agg"
os.environ["HF_HUB_OFFLINE"] = "1"
_HOME = tempfile.mkdtemp(prefix="dinoprompt-fuzz-")
for _name in ("DINOPROMPT_CACHE", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"):
    os.environ[_name] = f"{_HOME}/{_name}"
os.environ["MPLCONFIGDIR"] = f"{_HOME}/matplotlib"
os.environ["TMPDIR"] = _HOME

# Only now: torch and the package read all of that when they are imported.
from fuzz_parts import layers, subjects, whole_files  # noqa: E402
from fuzz_parts.targets import TARGETS  # noqa: E402
from fuzz_parts.verdict import Fault, bounded_memory, judge  # noqa: E402
from hypothesis import HealthCheck, Phase, given, seed, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

_BATCH = 100
# A batch that takes longer is stuck where no alarm reaches.
_BATCH_SECONDS = 60.0
_SHOWN_INPUT = 1500


@dataclass
class Tally:
    """What has come of one target's inputs."""

    tried: int = 0
    used: int = 0
    said: Counter[str] = field(default_factory=Counter)
    crashes: dict[str, tuple[int, str]] = field(default_factory=dict)

    def add(self, line: dict[str, Any]) -> None:
        """Take in what is said of one input."""
        self.tried += 1
        if "fault" in line:
            # The same place is the same crash.
            place = line["fault"].splitlines()
            key = "\n".join([place[0][:60], *place[-2:]])
            count, shown = self.crashes.get(key, (0, ""))
            known = shown or f"{line['fault']}\n  input: {line['case']}"
            self.crashes[key] = (count + 1, known)
        elif line["said"]:
            self.said[line["said"]] += 1
        else:
            self.used += 1


def run_batch(name: str, number: int, log: Path, until: float) -> None:
    """Try some inputs; called in a process of its own, which may die."""
    target = TARGETS[name]
    with log.open("a", buffering=1) as file:

        @seed(number)
        @settings(
            max_examples=_BATCH,
            phases=[Phase.generate],
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=target.cases)
        def attempt(case: Any) -> None:
            if time.monotonic() > until:
                return
            # Written beforehand: the process may be gone then.
            file.write(json.dumps({"case": repr(case)[:_SHOWN_INPUT]}) + "\n")
            try:
                said = {"said": judge(lambda: target.attempt(case))}
            except Fault as fault:
                said = {"fault": str(fault)}
            file.write(json.dumps(said) + "\n")

        with bounded_memory():
            attempt()


def follow_batch(name: str, number: int, tally: Tally, until: float) -> None:
    """Run a batch in a process of its own, and read what it said."""
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        child = os.fork()
        if child == 0:
            try:
                os.environ["TMPDIR"] = tempfile.tempdir = folder
                # What libraries print of damaged files.
                os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                run_batch(name, number, log, until)
            except BaseException as error:  # noqa: BLE001 (told in the log)
                with log.open("a") as file:
                    file.write(json.dumps({"fault": f"the batch: {error!r}"[:500]}))
            finally:
                os._exit(0)
        status = _wait(child, until + _BATCH_SECONDS)
        lines = log.read_text().splitlines() if log.exists() else []
    case = ""
    for text in lines:
        line = json.loads(text)
        if "case" in line:
            case = line["case"]
            continue
        tally.add({**line, "case": case})
        case = ""
    if case:
        tally.add({"fault": f"the process ended with status {status}", "case": case})


def _wait(child: int, until: float) -> int:
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        if time.monotonic() > until:
            os.kill(child, 9)
        time.sleep(0.01)


def _warm_up_hypothesis() -> None:
    """Let it read what it keeps for good: each process would read it anew."""

    @settings(max_examples=1, phases=[Phase.generate], database=None)
    @given(case=st.text() | st.floats() | st.integers())
    def nothing(case: object) -> None:
        del case

    nothing()


def report(tallies: dict[str, Tally], kinds: int) -> None:
    """Print the table, the messages, and the crashes."""
    print(f"\n{'target':<16}{'inputs':>8}{'used':>8}{'refused':>9}{'crashes':>9}")
    for name, tally in tallies.items():
        refused = sum(tally.said.values())
        print(
            f"{name:<16}{tally.tried:>8}{tally.used:>8}{refused:>9}"
            f"{sum(count for count, _ in tally.crashes.values()):>9}"
        )
    total = sum(tally.tried for tally in tallies.values())
    places = sum(len(tally.crashes) for tally in tallies.values())
    print(f"{total} inputs, crashes in {places} places")
    for name, tally in tallies.items():
        for said, count in tally.said.most_common(kinds):
            print(f"{name}: {count:>6} x {said}")
    for name, tally in tallies.items():
        for count, shown in tally.crashes.values():
            print(f"\nCRASH {name} ({count} x): {shown}")


def main() -> int:
    """Share the time among the targets, and try."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[[], *TARGETS], metavar="TARGET")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", type=int, default=4, help="messages shown of each")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    names = asked.targets or list(TARGETS)
    subjects.warm_up()
    whole_files.warm_up()
    _warm_up_hypothesis()
    if {"writer", "reader"} & set(names):
        layers.warm_up()
    tallies = {name: Tally() for name in names}
    end = time.monotonic() + asked.seconds
    round_number = 0
    while time.monotonic() < end:
        for at, name in enumerate(names):
            left = end - time.monotonic()
            if left <= 0:
                break
            # In rounds: each target has its share whenever it is stopped.
            share = min(left, max(4.0, asked.seconds / len(names) / 4))
            until = time.monotonic() + share
            while time.monotonic() < until:
                number = asked.seed * 10**6 + round_number * 1000 + at
                follow_batch(name, number, tallies[name], until)
                round_number += 1
    report(tallies, asked.kinds)
    return 1 if any(tally.crashes for tally in tallies.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
