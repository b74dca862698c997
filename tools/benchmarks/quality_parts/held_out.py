"""Leave one set out: constants chosen on the other sets, and what that costs."""

from __future__ import annotations

import json
from dataclasses import asdict
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.io.atomic import open_atomically
from quality_parts.choices import GRID, CutCase, cut_case, shipped
from quality_parts.data import RANDOM, SAMPLE_SETS, STAIN_SETS
from quality_parts.fingerprints import code_of, core_code, join
from quality_parts.store import protocol_upscale

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from quality_parts.data import Plane
    from quality_parts.store import FeatureStore


CutCases = dict[str, dict[int, list[CutCase]]]
"""By set and number of prompts."""


def compute_cuts(
    folder: Path,
    planes: Sequence[Plane],
    prompts: Sequence[int],
    draws: int | None,
    store: FeatureStore,
    note: Callable[[str], None],
) -> CutCases:
    """Try every combination on every plane; what is in the folder is used again.

    Parameters
    ----------
    folder : Path
        For one file per plane.
    planes : sequence of Plane
    prompts : sequence of int
    draws : int or None
    store : FeatureStore
    note : function of str
        Told each plane's name.

    Returns
    -------
    CutCases
    """
    found: CutCases = {}
    for plane in planes:
        if plane.set_name in (*STAIN_SETS, *SAMPLE_SETS):
            continue
        note(plane.key)
        key = join(
            core_code(),
            code_of(cut_case),
            plane.fingerprint,
            f"{list(prompts)} {draws} {asdict(store.backbone.info)}",
        )
        path = folder / f"{key[:32]}.json"
        if not path.is_file():
            cases = _cases(plane, prompts, draws, store)
            text = json.dumps([[k, asdict(case)] for k, case in cases])
            with open_atomically(path) as file:
                file.write(text.encode())
        group = found.setdefault(plane.set_name, {})
        for k, figures in json.loads(path.read_text("utf-8")):
            case = CutCase(figures["best"], tuple(figures["own"]))
            group.setdefault(k, []).append(case)
    return found


def _cases(
    plane: Plane, prompts: Sequence[int], draws: int | None, store: FeatureStore
) -> list[tuple[int, CutCase]]:
    image = plane.image()
    name = store.backbone.info.name
    upscale = protocol_upscale(plane.set_name, image.shape, name)
    features = store.features(image, upscale)
    measures = features.measures
    return [
        (k, cut_case(features, measures, draw.objects[:k], plane.truth))
        for draw in plane.draws[RANDOM][:draws]
        for k in prompts
    ]


def write_choices(found: CutCases, title: str, scoring: str) -> str:
    """Write the table of one backbone.

    Parameters
    ----------
    found : CutCases
        Of at least two sets.
    title : str
    scoring : {"plain", "centred", "standardised"}
        Of the backbone.

    Returns
    -------
    str
        Markdown.
    """
    own = {name: _mean_own(cases) for name, cases in found.items()}
    best = {name: _mean_best(cases) for name, cases in found.items()}
    shares = {name: _shares(cases) for name, cases in found.items()}
    usual = GRID.index(shipped(scoring))
    lines = [
        f"## {title}",
        "",
        "Combinations are: lowest-highest share, rarity, peaks count as. IoU over "
        "all numbers of prompts. Shipped: " + str(GRID[usual]) + ".",
        "",
        "| set held out | chosen on the others | own | shipped: own | best for the "
        "set itself | own | best threshold |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in found:
        others = np.mean([shares[one] for one in found if one != name], axis=0)
        chosen, mine = int(np.argmax(others)), int(np.argmax(shares[name]))
        cells = [
            name,
            str(GRID[chosen]),
            f"{own[name][chosen]:.3f}",
            f"{own[name][usual]:.3f}",
            str(GRID[mine]),
            f"{own[name][mine]:.3f}",
            f"{best[name]:.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    overall = np.mean([shares[name] for name in found], axis=0)
    top = int(np.argmax(overall))
    lines += [
        "",
        f"Own / best over all sets: {overall[usual]:.3f} with the shipped constants, "
        f"{overall[top]:.3f} with the best of all ({GRID[top]}).",
    ]
    return "\n".join(lines) + "\n"


def _mean_own(cases: Mapping[int, list[CutCase]]) -> NDArray[np.float64]:
    return np.asarray(np.mean([_own(group) for group in cases.values()], axis=0))


def _mean_best(cases: Mapping[int, list[CutCase]]) -> float:
    return fmean(fmean(case.best for case in group) for group in cases.values())


def _own(group: list[CutCase]) -> NDArray[np.float64]:
    return np.asarray(np.mean([case.own for case in group], axis=0))


def _shares(cases: Mapping[int, list[CutCase]]) -> NDArray[np.float64]:
    """Return own / best of each combination, averaged over numbers of prompts."""
    parts = [
        _own(group) / max(fmean(case.best for case in group), 1e-9)
        for group in cases.values()
    ]
    return np.asarray(np.mean(parts, axis=0))
