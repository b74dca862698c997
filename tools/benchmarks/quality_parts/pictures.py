"""The best, median and worst plane of each set as pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from napari_dinoprompt.core.images.intensity import measure_window
from napari_dinoprompt.core.io.atomic import open_atomically
from quality_parts.cases import Case
from quality_parts.data import CLICKS, IMAGE
from quality_parts.protocols import USUAL, score_case

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from quality_parts.cases import Unit
    from quality_parts.methods import Method
    from quality_parts.results import Run
    from quality_parts.store import FeatureStore


_TITLES = ("image", "similarity", "mask", "truth")
_DPI = 100
_QUALITY = 75


def draw_pictures(
    folder: Path,
    units: list[Unit],
    method: Method,
    run: Run,
    store: FeatureStore,
    upscale: float | str | None = None,
) -> list[Path]:
    """Draw the best, median and worst plane of each set.

    Parameters
    ----------
    folder : Path
    units : list of Unit
        Those where prompts and truth are of the same plane count.
    method : Method
    run : Run
        Where the outcomes are.
    store : FeatureStore
    upscale : float, optional
        Instead of the protocol's.

    Returns
    -------
    list of Path
        One file per set.
    """
    by_set: dict[str, list[tuple[float, Unit, Case]]] = {}
    for unit in units:
        for case in unit.cases:
            if (
                case != Case(IMAGE, CLICKS, USUAL, 0, 0)
                or unit.target is not unit.source
            ):
                continue
            outcome = run.read(unit, method)[case.name]
            group = by_set.setdefault(unit.target.set_name, [])
            group.append((outcome.iou_own, unit, case))
    paths = []
    for name, found in by_set.items():
        ranked = sorted(found, key=lambda one: -one[0])
        places = dict.fromkeys((0, (len(ranked) - 1) // 2, len(ranked) - 1))
        rows = [ranked[place] for place in places]
        figure = Figure(figsize=(10, 2.6 * len(rows)), layout="constrained", dpi=_DPI)
        axes = figure.subplots(len(rows), len(_TITLES), squeeze=False)
        for line, (iou, unit, case) in zip(axes, rows, strict=True):
            _draw_row(line, iou, unit, case, method, store, upscale)
        path = folder / f"{name}.jpg"
        with open_atomically(path) as file:
            figure.savefig(file, format="jpeg", pil_kwargs={"quality": _QUALITY})
        paths.append(path)
    return paths


def _draw_row(
    axes: NDArray[np.object_],
    iou: float,
    unit: Unit,
    case: Case,
    method: Method,
    store: FeatureStore,
    upscale: float | str | None,
) -> None:
    plane = unit.target
    image = plane.image()
    shown = measure_window(image).apply(image)
    scored = score_case(unit, case, method, store, upscale)
    points = plane.draws[case.placed][case.draw].objects[: case.prompts]
    for title, place in zip(_TITLES, axes, strict=True):
        _draw_image(place, scored.map if title == "similarity" else shown)
        place.set_title(title, fontsize=8)
    axes[0].plot(points[:, 1], points[:, 0], "+", color="yellow", markersize=6)
    axes[0].set_title(plane.key, fontsize=8)
    axes[2].set_title(f"mask, IoU {iou:.2f}", fontsize=8)
    _outline(axes[2], scored.mask, "orangered")
    _outline(axes[3], plane.truth, "deepskyblue")


def _draw_image(place: Axes, pixels: NDArray[np.float32]) -> None:
    place.imshow(pixels, cmap="gray", interpolation="antialiased")
    place.set_axis_off()


def _outline(place: Axes, mask: NDArray[np.bool_], colour: str) -> None:
    if mask.any() and not mask.all():
        place.contour(mask, levels=[0.5], colors=colour, linewidths=0.6)
