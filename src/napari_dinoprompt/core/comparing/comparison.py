"""A real stain and fakes of the same field under one reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dinoprompt.core.comparing.assembly import Drawn, assemble
from napari_dinoprompt.core.comparing.draws import draw_references
from napari_dinoprompt.core.comparing.requests import make_request
from napari_dinoprompt.core.comparing.views import (
    FakePlane,
    apply_reference,
    iter_view,
    place_fake,
)
from napari_dinoprompt.core.planes import shows_nothing
from napari_dinoprompt.core.progress import Notice, Progress, along, run_through
from napari_dinoprompt.core.thresholds import resolve_thresholds

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.comparing.report import Comparison
    from napari_dinoprompt.core.comparing.requests import Request
    from napari_dinoprompt.core.comparing.views import Applied, View
    from napari_dinoprompt.core.references.reference import Reference
    from napari_dinoprompt.core.segmentation import SegmentOptions

__all__ = ["compare", "iter_compare"]

# Steps that the features of an image count as; a draw of the prompts is one.
_STEPS = 20


def compare(
    real: ArrayLike,
    fakes: ArrayLike | Sequence[ArrayLike],
    reference: Reference,
    *,
    backbone: Backbone | None = None,
    truth: ArrayLike | None = None,
    options: SegmentOptions | None = None,
    names: Sequence[str] | None = None,
    class_name: str | None = None,
    draws: int = 20,
    seed: int = 0,
) -> Comparison:
    """Compare one or several fakes with the real stain of the same field.

    The same reference, with its statistics and its threshold, is applied to all.

    Parameters
    ----------
    real : (H, W) or (H, W, 3 or 4) array_like
    fakes : (h, w) or (h, w, 3 or 4) array_like, or list or tuple of them
        Of any number of pixels, if the aspect ratio is that of the real, and of any
        type: black and white of 8 bits, 16 bits and of 0 to 1 are the same.
    reference : Reference
        Most often made on the real; one of another image of that stain serves too.
    backbone : Backbone, optional
        The one of the reference; loaded by its name if not given.
    truth : (h, w) array_like of bool or int, optional
        Labels of the objects that are really there; of a plain mask the connected
        regions. The fakes are then compared with it instead of the mask of the real,
        and so is the real itself.
    options : SegmentOptions, optional
        The window "histogram" matches the fakes to the real.
    names : sequence of str, optional
        Of the fakes.
    class_name : str, optional
        The object class to compare; the reference's first by default.
    draws : int
        How many times the prompts are drawn anew, for intervals and noise floor; 0
        for none, else at least 2. With fewer than three prompts there are none.
    seed : int
        Of the draws.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        If an image or an option cannot be used.
    IncompatibleReferenceError
        If the backbone is not the reference's.
    WeightsNotFoundError
        If the backbone has to be loaded and its weights are not here.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> real = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> fake = real.copy()
    >>> fake[:40, :40] = 0  # one object is missed
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> features = dp.extract_features(real, backbone)
    >>> points = [(20, 60), (20, 100), (60, 60)]
    >>> reference = dp.Reference.from_prompts(features, points)
    >>> report = dp.compare(real, fake, reference, truth=real > 0, draws=0)
    >>> [row["name"] for row in report.table]
    ['real', 'fake']
    >>> [row["only_in_real"] for row in report.table]
    [0.0, 1.0]
    >>> report.agreement.shape
    (160, 160)
    """
    return run_through(
        iter_compare(
            real,
            fakes,
            reference,
            backbone=backbone,
            truth=truth,
            options=options,
            names=names,
            class_name=class_name,
            draws=draws,
            seed=seed,
        )
    )


def iter_compare(
    real: ArrayLike,
    fakes: ArrayLike | Sequence[ArrayLike],
    reference: Reference,
    *,
    backbone: Backbone | None = None,
    truth: ArrayLike | None = None,
    options: SegmentOptions | None = None,
    names: Sequence[str] | None = None,
    class_name: str | None = None,
    draws: int = 20,
    seed: int = 0,
) -> Generator[Progress | Notice, None, Comparison]:
    """Compare as `compare` does, step by step."""
    request = make_request(
        real,
        fakes,
        reference,
        backbone=backbone,
        truth=truth,
        options=options,
        names=names,
        class_name=class_name,
        draws=draws,
        seed=seed,
    )
    total = _STEPS * (1 + len(request.fakes)) + request.draws
    yield Progress(0, total)
    views = yield from _iter_views(request, total)
    applied = [_apply(request, view, request.reference) for view in views]
    drawn = yield from _iter_draws(request, views, total)
    return assemble(request, applied, drawn)


def _iter_views(
    request: Request, total: int
) -> Generator[Progress | Notice, None, list[View]]:
    """Extract the features of the real and of all fakes, once."""
    views: list[View] = []
    for image in (None, *request.fakes):
        placed = (
            FakePlane(request.real, shows_nothing(request.real))
            if image is None
            else place_fake(image, request.real, request.options)
        )
        steps = iter_view(placed, request.reference, request.backbone, request.options)
        view = yield from along(steps, _STEPS * len(views), _STEPS, total)
        views.append(view)
    return views


def _iter_draws(
    request: Request, views: list[View], total: int
) -> Generator[Progress | Notice, None, Drawn]:
    """Measure again what depends on the prompts, for each draw of them."""
    drawn = Drawn(len(views), request.truth)
    draws = draw_references(request.reference, views[0], request.draws, request.seed)
    for done, draw in enumerate(draws, start=1):
        drawn.add(
            [
                _apply(request, view, draw.reference, draw.distinct).side
                for view in views
            ]
        )
        yield Progress(total - request.draws + done, total)
    drawn.close()
    return drawn


def _apply(
    request: Request,
    view: View,
    reference: Reference,
    distinct: Reference | None = None,
) -> Applied:
    return apply_reference(
        view,
        reference,
        resolve_thresholds(reference, request.options.threshold),
        request.options.cleaning,
        request.class_name,
        distinct,
    )
