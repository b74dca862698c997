"""The table of faults: what was tried, what happened, what was lost."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import astuple, dataclass, fields

NOTHING = "nothing"
# Of the program's own folders, which are others each time.
_PLACE = re.compile(r"/tmp/dinoprompt-faults-\w+/")


@dataclass(frozen=True)
class Row:
    """One kind of fault.

    Attributes
    ----------
    group : str
        Of cases; what they are chosen by.
    fault : str
        What was done to the software.
    tried : int
        How often.
    happened : str
        What was seen; messages are quoted.
    lost : str
        What was lost, broken or left behind; else "nothing".
    """

    group: str
    fault: str
    tried: int
    happened: str
    lost: str = NOTHING

    @property
    def good(self) -> bool:
        """Whether nothing was lost."""
        return self.lost == NOTHING


def lost(troubles: list[str]) -> str:
    """Say what was lost, each thing once."""
    return "; ".join(dict.fromkeys(troubles)) or NOTHING


def quote(message: str, most: int = 230) -> str:
    """Quote what the software said, on one line."""
    line = " ".join(message.split()).removeprefix("dinoprompt: ")
    line = _PLACE.sub("", line)
    return f"“{line}”" if len(line) <= most else f"“{line[:most]}…”"


def as_markdown(rows: list[Row]) -> str:
    """Write the table as Markdown."""
    lines = [
        "| fault | tried | what happened | lost |",
        "| --- | ---: | --- | --- |",
    ]
    lines += [
        f"| {_cell(f'{row.group}: {row.fault}')} | {row.tried} "
        f"| {_cell(row.happened)} | {_cell(row.lost)} |"
        for row in rows
    ]
    return "\n".join(lines) + "\n"


def as_csv(found: dict[str, list[Row]]) -> str:
    """Write the table as CSV, with the names of the cases."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", *(field.name for field in fields(Row))])
    for case, rows in found.items():
        writer.writerows((case, *astuple(row)) for row in rows)
    return text.getvalue()


def merge(
    old: str, new: dict[str, list[Row]], order: list[str]
) -> dict[str, list[Row]]:
    """Put rows in the place of older ones of the same cases.

    Parameters
    ----------
    old : str
        A table that `as_csv` has written, or nothing.
    new : dict of str to list of Row
        By the names of their cases.
    order : list of str
        All cases; others are left out.
    """
    found: dict[str, list[Row]] = {}
    for line in csv.DictReader(io.StringIO(old)):
        case = line.pop("case")
        found.setdefault(case, []).append(Row(**{**line, "tried": int(line["tried"])}))
    found |= new
    return {case: found[case] for case in order if case in found}


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
