"""The whole benchmark: compute what is missing, then write tables and pictures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from napari_dinoprompt._cli.console import progress_bar
from napari_dinoprompt.core.backbones.load import load_backbone
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.io.atomic import open_atomically
from quality_parts.data import find_data, find_planes
from quality_parts.fingerprints import join
from quality_parts.methods import find_methods
from quality_parts.peer import peer_method
from quality_parts.pictures import draw_pictures
from quality_parts.protocols import plan_units, run_case
from quality_parts.results import Run, find_runs
from quality_parts.sheets import write_cases, write_summary, write_times
from quality_parts.store import FeatureStore
from quality_parts.tables import write_markdown

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from napari_dinoprompt.core.backbones.base import Backbone
    from quality_parts.cases import Unit
    from quality_parts.methods import Method
    from quality_parts.settings import Settings


def run_benchmark(settings: Settings, console: Console) -> int:
    """Compute what is missing and write everything.

    Parameters
    ----------
    settings : Settings
    console : Console
        For progress and messages.

    Returns
    -------
    int
        How many cases were computed, the others were there.

    Raises
    ------
    DinopromptError
        If data, backbone or an option cannot be used.
    """
    methods = find_methods(settings.methods)
    planes = find_planes(find_data(settings.data), settings.sets, settings.limit)
    store = open_store(settings)
    backbone = store.backbone
    if settings.peer:
        try:
            methods.append(peer_method(backbone))
        except InputError as error:
            console.print(f"Without the peer: {error}", markup=False)
    units = plan_units(planes, settings.protocols, settings.prompts, settings.draws)
    run = run_of(settings, store)
    run.begin()
    computed = 0
    with progress_bar(console) as bar:
        task = bar.add_task(run.title, total=len(units) * len(methods))
        for unit in units:
            for method in methods:
                bar.update(task, description=f"{unit.target.key} {method.name}")
                computed += _complete(unit, method, run, store, settings.upscale)
                bar.advance(task)
    _write(settings.output, units, methods)
    pictures = settings.output / "pictures" / run.folder.name / methods[0].name
    # What was there already has its pictures, unless that run was stopped.
    if computed or not pictures.is_dir():
        draw_pictures(pictures, units, methods[0], run, store, settings.upscale)
    console.print(
        f"{computed} cases and {store.computed} feature maps computed; tables in "
        f"{settings.output / 'quality.md'}",
        markup=False,
        soft_wrap=True,
    )
    return computed


def _complete(
    unit: Unit,
    method: Method,
    run: Run,
    store: FeatureStore,
    upscale: float | str | None,
) -> int:
    """Compute the cases of a unit that are missing, and keep them."""
    outcomes = run.read(unit, method)
    missing = [
        case
        for case in unit.cases
        if case.name not in outcomes and (method.background or not case.background)
    ]
    for case in missing:
        outcomes[case.name] = run_case(unit, case, method, store, upscale)
    if missing:
        run.write(unit, method, outcomes)
    return len(missing)


def open_store(settings: Settings) -> FeatureStore:
    """Load the backbone and open the store of its features.

    Raises
    ------
    DinopromptError
        If the backbone cannot be used.
    """
    backbone = load_backbone(
        settings.backbone,
        checkpoint=settings.checkpoint,
        device=settings.device,
        precision=settings.precision,
        block=settings.block,
    )
    return FeatureStore(
        settings.output / "features", backbone, _precision(backbone), settings.variant
    )


def _precision(backbone: Backbone) -> str:
    return str(getattr(backbone, "dtype", "torch.float32")).partition(".")[2]


def run_of(settings: Settings, store: FeatureStore) -> Run:
    """Name the run by all that makes its features others."""
    info = store.backbone.info
    precision = _precision(store.backbone)
    title = str(info)
    if settings.upscale is not None:
        title += f", upscale {settings.upscale}"
    if settings.variant is not None:
        title += f", {settings.variant}"
    if precision != "float32":
        title += f", {precision}"
    slug = re.sub(r"[^\w.]+", "-", title).strip("-")
    short = join(info.weights_hash)[:8]
    return Run(settings.output / "results" / f"{slug}-{short}", title)


def _write(output: Path, units: list[Unit], methods: list[Method]) -> None:
    """Write the tables of all backbones in the folder."""
    runs = find_runs(output / "results")
    rows = [row for run in runs for row in run.rows(units, methods)]
    texts = {
        "quality.md": write_markdown(rows),
        "quality.csv": write_cases(rows),
        "quality_summary.csv": write_summary(rows),
        "timing.csv": write_times(rows),
    }
    for name, text in texts.items():
        with open_atomically(output / name) as file:
            file.write(text.encode())
