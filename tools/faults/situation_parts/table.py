"""The table of situations: before, now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ROADS = ("command", "API", "dock")
_KINDS = {
    1: "what stored numbers mean",
    2: "truth as people have it",
    3: "grey ranges",
    4: "view and planes",
    5: "units",
    6: "containers",
    7: "what a file may cost",
    0: "further ones, found in public issue trackers",
}
_BAD = ("WRONG", "TRACE", "over 30 s")


@dataclass(frozen=True)
class Outcome:
    """How a situation ended on the three roads."""

    kind: int
    name: str
    source: str
    ends: dict[str, tuple[str, str]]


def as_markdown(before: list[Any], now: list[Any], head: str) -> str:
    """Write the table, kind by kind."""
    known = {(one["kind"], one["name"]): one for one in before}
    lines = [head]
    for kind, title in _KINDS.items():
        rows = [one for one in now if one["kind"] == kind]
        if not rows:
            continue
        lines += ["", f"## {title[:1].upper()}{title[1:]}", ""]
        lines += [
            "| situation | before: command, API, dock | now | what is said |",
            "| --- | --- | --- | --- |",
        ]
        for row in rows:
            old = known.get((kind, row["name"]))
            name = row["name"].replace("|", "\\|")
            if row["source"]:
                name += f" ({_link(row['source'])})"
            lines.append(f"| {name} | {_ends(old)} | {_ends(row)} | {_said(row)} |")
    lines += ["", *_summary(known, now)]
    return "\n".join(lines) + "\n"


def _link(source: str) -> str:
    repository, _, number = source.partition("#")
    return f"[{source}](https://github.com/{repository}/issues/{number})"


def _ends(row: Any) -> str:
    if row is None:
        return "-"
    ends = [row["ends"].get(road, ["not tried"])[0] for road in ROADS]
    ends = [f"**{end}**" if end in _BAD else end for end in ends]
    return ends[0] if len(set(ends)) == 1 else ", ".join(ends)


def _said(row: Any) -> str:
    """Quote what was said, of the first road that said something."""
    for road in ROADS:
        end, said = row["ends"].get(road, ("", ""))
        line = " ".join(said.split()).removeprefix("dinoprompt: ")
        if line and end != "right":
            shown = line if len(line) < 220 else f"{line[:217]}…"
            return shown.replace("|", "\\|").replace("<", "&lt;")
    return ""


def _summary(known: Any, now: list[Any]) -> list[str]:
    counts = {"before": {}, "now": {}}
    for row in now:
        for when, one in (
            ("before", known.get((row["kind"], row["name"]))),
            ("now", row),
        ):
            for road in ROADS if one else ():
                end = one["ends"].get(road, [""])[0]
                counts[when][end] = counts[when].get(end, 0) + 1
    lines = ["## Counts", "", "Ends of all situations on the three roads.", ""]
    lines += ["| end | before | now |", "| --- | ---: | ---: |"]
    for end in ("right", "told", "refused", *_BAD):
        lines.append(
            f"| {end} | {counts['before'].get(end, 0)} | {counts['now'].get(end, 0)} |"
        )
    return lines
