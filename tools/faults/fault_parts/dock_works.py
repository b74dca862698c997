"""Every kind of work of the dock: how it is begun, and what it needs before."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[3] / "tests" / "support"))
from typing import TYPE_CHECKING

import toy_dinov2
from hub_stand_in import Hub, stall

from napari_dinoprompt._qt.common.layer_boxes import WindowChoice
from napari_dinoprompt._qt.compare.panel import CompareRequest
from napari_dinoprompt.core.features import extraction, regions
from napari_dinoprompt.core.masks.cleaning import Cleaning

if TYPE_CHECKING:
    from collections.abc import Callable

    from fault_parts.dock_table import Table

_turns = count()


@dataclass(frozen=True)
class Work:
    """A kind of work.

    Attributes
    ----------
    begin : callable
        Begins it at a table that is ready.
    prepare : callable, optional
        Called before each beginning, and waited for.
    side, planes : int
        Of the subject.
    large : bool
        The subject counts as too large to hold.
    endless : bool
        It would not end by itself.
    """

    begin: Callable[[Table], None]
    prepare: Callable[[Table], None] = lambda _table: None
    side: int = 420
    planes: int = 0
    large: bool = False
    endless: bool = False


def count_as_large() -> None:
    """Let every plane count as too large, and have many regions."""
    extraction._WHOLE_BYTES = 1
    regions._SIDE = 96


def _features(table: Table) -> None:
    request = table.work.session.request
    upscale = 1.5 if request.upscale == 1.0 else 1.0
    table.work.features.choose(replace(request, upscale=upscale))


def _score(table: Table) -> None:
    table.place(3 + next(_turns) % 6)


def _clean(table: Table) -> None:
    sizes = 10 + next(_turns) % 5
    cleaning = Cleaning(min_size=sizes, fill_holes=True, split=True)
    table.work.choose_cleaning(cleaning)


def _all_planes(table: Table) -> None:
    table.work.stacks.start()


def _reference(table: Table):
    return table.work.session.reference()


def _apply(table: Table) -> None:
    table.work.tab_jobs.applying.apply(
        _reference(table),
        [table.image, table.fake],
        WindowChoice("reference"),
        all_planes=True,
    )


def _batch(table: Table) -> None:
    folder = Path(sys.argv[3])
    table.work.tab_jobs.batch.run(
        _reference(table),
        [folder / "images"],
        folder / f"batch {next(_turns)}",
        WindowChoice("reference"),
    )


def _compare(table: Table) -> None:
    table.work.tab_jobs.comparing.compare(
        CompareRequest(
            choice=_reference(table),
            real=table.image,
            fakes=[table.fake],
            input_image=None,
            truth=None,
            window=WindowChoice("reference"),
            class_name=None,
            draws=4,
        )
    )


def _study(table: Table) -> None:
    table.work.tab_jobs.studying.run(("convergence", "threshold")[next(_turns) % 2])


def _export(table: Table) -> None:
    table.work.tab_jobs.comparing.export(Path(sys.argv[3]) / f"export {next(_turns)}")


def _fetch(table: Table) -> None:
    assert table.dock is not None
    table.dock.weights._get.click()


def _fill(table: Table) -> None:
    table.place(3 + next(_turns) % 6)


WORKS = {
    "features": Work(_features, side=500),
    "scoring": Work(_score, side=500),
    "cleaning": Work(_clean, side=500),
    "all planes": Work(_all_planes, prepare=_score, planes=12, side=240),
    "apply": Work(_apply),
    "batch": Work(_batch, side=240),
    "compare": Work(_compare, side=240),
    "study": Work(_study, side=240),
    "export": Work(_export, prepare=_compare, side=160),
    "download": Work(_fetch, side=160, endless=True),
    "large plane": Work(_fill, side=480, large=True),
}


def use_hub(hub: Hub) -> None:
    """Let this process fetch weights from a stand-in that stalls half way."""
    from huggingface_hub import constants

    from napari_dinoprompt.core.backbones import download
    from napari_dinoprompt.core.backbones.download import ask_hub

    toy_dinov2.put_in_place(pytest.MonkeyPatch())
    constants.HF_HUB_OFFLINE = False
    # So few bytes that it is never whole: what was received is kept.
    hub.get = [stall(3_000)] * 50
    download.ask_hub = lambda weights, _: ask_hub(weights, hub.endpoint)


def image_count(folder: Path) -> None:
    """Write images for a batch."""
    import tifffile

    from fault_parts.inputs import draw

    (folder / "images").mkdir(parents=True, exist_ok=True)
    for number in range(16):
        picture = np.ascontiguousarray(draw(number, (160, 180)))
        tifffile.imwrite(folder / "images" / f"{number:02}.tif", picture)
