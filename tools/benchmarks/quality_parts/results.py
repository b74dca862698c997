"""Outcomes on disk: one file per run, method, protocol and plane."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_dinoprompt.core.io.atomic import open_atomically
from quality_parts.cases import Case, Outcome, Unit
from quality_parts.fingerprints import core_code, join

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from quality_parts.methods import Method


_ABOUT = "run.json"


@dataclass(frozen=True)
class Row:
    """One line of the tables: a case with all its names, and its outcome.

    Attributes
    ----------
    backbone, method, protocol, set_name, plane : str
    case : Case
    outcome : Outcome
    """

    backbone: str
    method: str
    protocol: str
    set_name: str
    plane: str
    case: Case
    outcome: Outcome


@dataclass(frozen=True)
class Run:
    """The results of one backbone with its settings.

    A file of results is named by a hash of the code and of the data that it rests on,
    so that results of other code are passed over. Cases are added to a file as they
    are asked for.

    Attributes
    ----------
    folder : Path
    title : str
        For the tables.
    """

    folder: Path
    title: str

    def begin(self) -> None:
        """Make the folder and note what it is about."""
        about = json.dumps({"title": self.title})
        with open_atomically(self.folder / _ABOUT) as file:
            file.write(about.encode())

    def read(self, unit: Unit, method: Method) -> dict[str, Outcome]:
        """Return the outcomes that are there, by name of the case."""
        path = self._path(unit, method)
        if not path.is_file():
            return {}
        found = json.loads(path.read_text("utf-8"))
        return {name: Outcome.from_json(figures) for name, figures in found.items()}

    def write(self, unit: Unit, method: Method, outcomes: dict[str, Outcome]) -> None:
        """Keep the outcomes of a unit, whole or not at all."""
        found = {name: outcome.to_json() for name, outcome in outcomes.items()}
        with open_atomically(self._path(unit, method)) as file:
            file.write(json.dumps(found, indent=1, allow_nan=False).encode())

    def rows(self, units: Iterable[Unit], methods: Iterable[Method]) -> Iterator[Row]:
        """List what is there of some units, in their order."""
        chosen = list(methods)
        for unit in units:
            for method in chosen:
                outcomes = self.read(unit, method)
                for case in unit.cases:
                    if case.name in outcomes:
                        yield Row(
                            self.title,
                            method.name,
                            unit.protocol,
                            unit.target.set_name,
                            unit.target.stem,
                            case,
                            outcomes[case.name],
                        )

    def _path(self, unit: Unit, method: Method) -> Path:
        key = join(
            core_code(), method.code, unit.source.fingerprint, unit.target.fingerprint
        )
        name = f"{unit.target.stem}-{key[:16]}.json"
        folder = self.folder / method.name / unit.protocol / unit.target.set_name
        return folder / name


def find_runs(folder: Path) -> list[Run]:
    """List the runs in a folder of results, by title."""
    found = [
        Run(path.parent, json.loads(path.read_text("utf-8"))["title"])
        for path in folder.glob(f"*/{_ABOUT}")
    ]
    return sorted(found, key=lambda run: (run.title, run.folder.name))
