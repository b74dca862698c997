"""From what was measured to the comparison."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING

from napari_dinoprompt.core.comparing.columns import COLUMNS
from napari_dinoprompt.core.comparing.draws import intervals, noise_floor
from napari_dinoprompt.core.comparing.measures import measure_masks, measure_pair
from napari_dinoprompt.core.comparing.perceptual import (
    LPIPS,
    find_network,
    perceptual_distance,
)
from napari_dinoprompt.core.comparing.report import Comparison, Report
from napari_dinoprompt.core.intensity import IntensityWindow

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_dinoprompt.core.comparing.measures import Measures, Side
    from napari_dinoprompt.core.comparing.perceptual import Network
    from napari_dinoprompt.core.comparing.requests import Request
    from napari_dinoprompt.core.comparing.views import Applied

__all__ = ["Drawn", "assemble"]


@dataclass(eq=False)
class Drawn:
    """Figures under the draws of the prompts, collected one draw after the other.

    Attributes
    ----------
    views : int
        The real and its fakes.
    truth : (H, W) ndarray of int32 or None
    figures : list of list of dict
        One list per view, the real first, one dictionary per draw.
    floor : list of dict
        The real under one draw against the real under the next.
    """

    views: int
    truth: NDArray[np.int32] | None
    figures: list[list[dict[str, float]]] = field(init=False)
    floor: list[dict[str, float]] = field(default_factory=list)
    _first: Side | None = None
    _last: Side | None = None

    def __post_init__(self) -> None:
        self.figures = [[] for _ in range(self.views)]

    def add(self, sides: Sequence[Side]) -> None:
        """Measure one draw."""
        real = sides[0]
        against = _against(real, self.truth)
        for figures, side in zip(self.figures, sides, strict=True):
            if side is not against:
                figures.append(measure_masks(against, side))
        if self._last is not None:
            self.floor.append(measure_masks(self._last, real))
        self._first = self._first or real
        self._last = real

    def close(self) -> None:
        """Pair the last draw with the first, so that there are as many pairs."""
        if self._first is not None and self._last is not None:
            self.floor.append(measure_masks(self._last, self._first))


def assemble(request: Request, applied: Sequence[Applied], drawn: Drawn) -> Comparison:
    """Measure what was applied and put all together."""
    network = find_network()
    columns = COLUMNS if network is None else (*COLUMNS, LPIPS)
    real = applied[0]
    against = _against(real.side, request.truth)
    names = ("real", *request.names)
    reports = [
        Report(
            name=name,
            segmentation=one.segmentation,
            grey=one.side.grey,
            own_threshold=one.own_threshold,
            measures=_measure(against, one.side, network),
            intervals=intervals(figures, columns),
        )
        for name, one, figures in zip(names, applied, drawn.figures, strict=True)
        if one.side is not against
    ]
    labelled = request.truth is not None
    return Comparison(
        class_name=request.class_name,
        real=real.segmentation,
        real_grey=real.side.grey,
        truth=request.truth,
        real_report=reports[0] if labelled else None,
        reports=tuple(reports[1:] if labelled else reports),
        noise_floor=noise_floor(drawn.floor, columns),
        columns=columns,
        settings=_settings(request, real),
        note=request.note,
    )


def _against(real: Side, truth: NDArray[np.int32] | None) -> Side:
    """Say what is true: the real's mask, itself an estimate, or labels by hand."""
    if truth is None:
        return real
    return replace(real, mask=truth != 0, instances=truth, own_mask=None)


def _measure(real: Side, fake: Side, network: Network | None) -> Measures:
    found = measure_pair(real, fake)
    if network is None:
        return found
    distance = perceptual_distance(real.grey, fake.grey, network)
    return replace(found, figures={**found.figures, LPIPS.key: distance})


def _settings(request: Request, real: Applied) -> dict[str, object]:
    reference, options = request.reference, request.options
    window = options.window
    if not isinstance(window, str | IntensityWindow):
        window = IntensityWindow(*window)
    return {
        "class": request.class_name,
        "compared_with": "mask of the real" if request.truth is None else "truth",
        "backbone": asdict(reference.backbone),
        "upscale": reference.upscale,
        "scoring": reference.scoring,
        "prompts": dict(Counter(reference.classes)),
        "sources": [source.name for source in reference.sources],
        "reference_window": asdict(reference.window),
        "window": window if isinstance(window, str) else asdict(window),
        "thresholds": dict(real.segmentation.thresholds),
        "cleaning": asdict(options.cleaning),
        "draws": request.draws,
        "seed": request.seed,
    }
