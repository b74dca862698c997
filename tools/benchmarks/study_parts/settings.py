"""The resolution table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy import ndimage as ndi

from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.prompt_study.resolution import Setting, iter_resolution
from napari_dinoprompt.core.prompts import Prompts

if TYPE_CHECKING:
    from napari_dinoprompt.core.backbones.base import Backbone
    from study_parts.cases import Case


_LARGE = 700


def resolution_rows(case: Case, backbones: list[Backbone]) -> list[dict[str, object]]:
    """Try five prompts at several upscales, and on a copy of four times the size."""
    upscales = (1.0, 2.0, 4.0) if min(case.truth.shape) < _LARGE else (1.0, 2.0)
    settings = [Setting(one, factor) for one in backbones for factor in upscales]
    others = {}
    if min(case.truth.shape) < _LARGE:
        zoom = (4, 4, 1)[: case.image.ndim]
        others["own image x4"] = ndi.zoom(
            case.image, zoom, order=3, grid_mode=True, mode="mirror"
        )
    prompts = Prompts(case.draws[0].objects[:5], ("object",) * 5)
    answers = []
    for truth in (case.truth, None):
        steps = iter_resolution(
            case.image, prompts, settings, truth=truth, others=others
        )
        answers.append(run_to_end(steps))
    known, blind = answers
    return [
        {
            "image": case.name,
            "setting": trial.name,
            "cell (px)": trial.cell,
            "IoU": round(trial.iou, 3),
            "agreement": round(trial.agreement, 3),
            "seconds": round(trial.seconds, 2),
            "features (MB)": round(trial.bytes / 1e6, 1),
            "objects": trial.objects,
            "threshold": round(trial.threshold, 3),
            "recommended": "with truth" * (k == known.best)
            + " without" * (k == blind.best),
        }
        for k, trial in enumerate(known.trials)
    ] + [
        {"image": case.name, "setting": f"{name}: {found.sentence}"}
        for name, found in (("with truth", known), ("without", blind))
    ]
