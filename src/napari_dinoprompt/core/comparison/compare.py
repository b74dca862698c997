"""A real stain and fakes of the same field under one reference."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.images.alignment import check_same_field, match_labels
from napari_dinoprompt.core.images.intensity import IntensityWindow
from napari_dinoprompt.core.images.labels import as_labels
from napari_dinoprompt.core.images.plane import as_plane, plane_shape, shows_nothing
from napari_dinoprompt.core.progress import (
    Notice,
    Progress,
    runs_to_end,
    scaled_progress,
)
from napari_dinoprompt.core.prompts import list_classes
from napari_dinoprompt.core.references.reference import Reference, resolve_thresholds
from napari_dinoprompt.core.segmentation.segment import (
    SegmentOptions,
    fitting_backbone,
    target_window,
)
from napari_dinoprompt.core.validation import as_array, check_seed

from .bootstrap import (
    LEAST_PROMPTS,
    Drawn,
    draw_references,
    intervals,
    noise_floor,
    true_side,
)
from .columns import COLUMNS
from .measures import Measures, Report, Side, measure_pair, valid_pixels
from .perceptual import LPIPS, find_network, perceptual_distance
from .prepared_images import apply_reference, iter_prepared_image, place_fake
from .report import Comparison

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from typing import Any

    from numpy.typing import ArrayLike, NDArray

    from napari_dinoprompt.core.backbones.base import Backbone

    from .perceptual import Network
    from .prepared_images import Applied, PreparedImage


# Steps that the features of an image count as; a draw of the prompts is one.
_STEPS = 20


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

    Yields
    ------
    Progress
        Whoever stops asking stops the work.
    Notice
        If a device was too small.

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
    options = options or SegmentOptions()
    name = _check_class(reference, class_name)
    plane = as_plane(real)
    planes = _planes(fakes)
    for one in planes:
        check_same_field(plane_shape(plane), plane_shape(one))
    check_seed(seed)
    if draws < 0 or draws == 1:
        raise InputError(f"The number of draws must be 0 or at least 2, not {draws}.")
    # Both complain about what they cannot use.
    resolve_thresholds(reference, options.threshold)
    target_window(reference, options.window)
    note = _why_no_draws(reference, name, draws)
    request = _Request(
        real=plane,
        fakes=planes,
        names=_names(len(planes), names, truth is not None),
        truth=None if truth is None else _read_truth(truth, plane_shape(plane)),
        reference=reference,
        backbone=fitting_backbone(reference, backbone),
        options=options,
        class_name=name,
        draws=0 if note else draws,
        seed=seed,
        note=note,
    )
    total = _STEPS * (1 + len(planes)) + request.draws
    yield Progress(0, total)
    views = yield from _iter_views(request, total)
    applied = [apply_reference(view, reference, options, name) for view in views]
    drawn = yield from _iter_draws(request, views, applied, total)
    return _assemble(request, applied, drawn)


compare = runs_to_end("compare", iter_compare)


@dataclass(frozen=True, eq=False)
class _Request:
    """What is compared, and how.

    Attributes
    ----------
    real : (H, W) or (H, W, 3) ndarray
    fakes : tuple of (h, w) or (h, w, 3) ndarray
        At least one.
    names : tuple of str
        Of the fakes, all different.
    truth : (H, W) ndarray of int32 or None
    reference : Reference
    backbone : Backbone
    options : SegmentOptions
    class_name : str
    draws, seed : int
    note : str
        Why nothing is drawn; empty if it is.
    """

    real: NDArray[np.generic]
    fakes: tuple[NDArray[np.generic], ...]
    names: tuple[str, ...]
    truth: NDArray[np.int32] | None
    reference: Reference
    backbone: Backbone
    options: SegmentOptions
    class_name: str
    draws: int
    seed: int
    note: str


def _iter_views(
    request: _Request, total: int
) -> Generator[Progress | Notice, None, list[PreparedImage]]:
    """Extract the features of the real and of all fakes, once."""
    views: list[PreparedImage] = []
    names = ("the real", *request.names)
    for name, image in zip(names, (request.real, *request.fakes), strict=True):
        steps = iter_prepared_image(
            place_fake(image, request.real, request.options) if views else image,
            request.reference,
            request.backbone,
            request.options,
            nothing=shows_nothing(image),
            name=name,
        )
        view = yield from scaled_progress(steps, _STEPS * len(views), _STEPS, total)
        views.append(view)
    return views


def _iter_draws(
    request: _Request,
    views: list[PreparedImage],
    applied: Sequence[Applied],
    total: int,
) -> Generator[Progress | Notice, None, Drawn]:
    """Measure again what depends on the prompts, for each draw of them."""
    drawn = Drawn(len(views), request.truth)
    draws = draw_references(request.reference, views[0], request.draws, request.seed)
    options, name = request.options, request.class_name
    for done, draw in enumerate(draws, start=1):
        drawn.add(
            [
                apply_reference(view, draw, options, name, one.matches).side
                for view, one in zip(views, applied, strict=True)
            ]
        )
        yield Progress(total - request.draws + done, total)
    drawn.close()
    return drawn


def _assemble(
    request: _Request, applied: Sequence[Applied], drawn: Drawn
) -> Comparison:
    """Measure what was applied and put all together."""
    network = find_network()
    columns = COLUMNS if network is None else (*COLUMNS, LPIPS)
    real = applied[0]
    against = true_side(real.side, request.truth)
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


def _measure(real: Side, fake: Side, network: Network | None) -> Measures:
    found = measure_pair(real, fake)
    if network is None:
        return found
    distance = perceptual_distance(
        real.grey, fake.grey, network, valid_pixels(real, fake)
    )
    return replace(found, figures={**found.figures, LPIPS.key: distance})


def _settings(request: _Request, real: Applied) -> dict[str, object]:
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


def _read_truth(truth: ArrayLike, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Read (h, w) labels and bring them to the (H, W) grid of the real.

    Where all are the same, as in a mask, connected regions are objects.
    """
    from skimage.measure import label
    from skimage.segmentation import relabel_sequential

    labels = as_labels(truth)
    matched: NDArray[Any] = match_labels(labels, shape)
    held = np.unique(matched[matched != 0])
    found = label(matched != 0) if len(held) == 1 else relabel_sequential(matched)[0]
    return np.asarray(found, dtype=np.int32)


def _check_class(reference: Reference, name: str | None) -> str:
    reference.check_objects()
    if name is None:
        return reference.object_classes[0]
    if name not in reference.object_classes:
        known = list_classes(reference.object_classes)
        raise InputError(f"The reference has no object class {name!r}; it has {known}.")
    return name


def _planes(fakes: ArrayLike | Sequence[ArrayLike]) -> tuple[NDArray[np.generic], ...]:
    images: Sequence[Any] = [fakes]
    # A list of images, not an image that is written as a list.
    if isinstance(fakes, list | tuple) and (not fakes or as_array(fakes[0]).ndim > 1):
        images = fakes
    planes = tuple(as_plane(one) for one in images)
    if not planes:
        raise InputError("There is no fake to compare; give at least one.")
    return planes


def _names(
    count: int, names: Sequence[str] | None, with_truth: bool
) -> tuple[str, ...]:
    if names is None:
        return ("fake",) if count == 1 else tuple(f"fake {i + 1}" for i in range(count))
    if len(names) != count or len(set(names)) != count:
        msg = f"{count} fakes need as many names, all different, not {list(names)}."
        raise InputError(msg)
    # That is what the row of the real itself is called.
    taken = "real" if with_truth else None
    return tuple(f"{name} (fake)" if name == taken else name for name in names)


def _why_no_draws(reference: Reference, name: str, draws: int) -> str:
    count = int(reference.members(name).sum())
    if draws == 0:
        return "No intervals and no noise floor: the prompts were not drawn anew."
    if count < LEAST_PROMPTS:
        return (
            f"No intervals and no noise floor: they need at least {LEAST_PROMPTS} "
            f"prompts of {name}, there {'is' if count == 1 else 'are'} {count}."
        )
    return ""
