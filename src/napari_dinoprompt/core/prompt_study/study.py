"""All parts of the prompt study of one image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dinoprompt.core.backbones.load import default_backbone, load_backbone
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.extraction import fits_whole
from napari_dinoprompt.core.features.feature_map import FeatureMap
from napari_dinoprompt.core.images.plane import as_plane, plane_shape
from napari_dinoprompt.core.progress import (
    Notice,
    Progress,
    runs_to_end,
    scaled_progress,
)
from napari_dinoprompt.core.prompts import Prompts
from napari_dinoprompt.core.references.from_image import iter_prompted_image
from napari_dinoprompt.core.validation import Upscale, check_seed, check_upscale

from .convergence import iter_convergence
from .influence import iter_influence
from .prompt_maps import make_prompt_maps
from .report import PARTS, Study
from .resolution import iter_resolution, list_settings
from .subject import make_subject
from .threshold import iter_threshold

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.images.intensity import IntensityWindow


_SHARE = 100


def iter_study(
    image: ArrayLike,
    points: ArrayLike,
    classes: Sequence[str] | None = None,
    backbone: Backbone | None = None,
    *,
    truth: ArrayLike | None = None,
    upscale: Upscale = "auto",
    window: IntensityWindow | tuple[float, float] | None = None,
    class_name: str | None = None,
    points_only: bool = False,
    orders: int = 200,
    upscales: Sequence[float] = (1.0, 2.0, 4.0),
    backbones: Sequence[Backbone] = (),
    others: Mapping[str, ArrayLike] | None = None,
    parts: Sequence[str] = PARTS,
    seed: int = 0,
) -> Generator[Progress | Notice, None, Study]:
    """Study what prompts, resolution and threshold do to a result.

    Parameters
    ----------
    image : (H, W) or (H, W, 3 or 4) array_like
    points : (N, 2) array_like
        y and x of the prompts in pixels.
    classes : sequence of N str, optional
        ``"object"``, ``"background"`` or names; all are ``"object"`` by default.
    backbone : Backbone, optional
        The backbone of choice on this machine by default.
    truth : (H, W) array_like of bool or int, optional
        Labels or a mask of the objects that are really there.
    upscale : float or "auto"
        How much the image is enlarged before the backbone, as `make_reference`.
    window : IntensityWindow or (low, high), optional
        Grey values that become black and white; the image's own by default.
    class_name : str, optional
        The object class to study; the first by default.
    points_only : bool
        Take the features at the prompts alone, not those of the objects that they are
        on.
    orders : int
        In how many random orders the prompts are added.
    upscales : sequence of float
        That the resolution is studied at, beside `upscale`.
    backbones : sequence of Backbone
        That it is studied with, beside `backbone`.
    others : mapping of str to (h, w) or (h, w, 3 or 4) array_like, optional
        The same field with other numbers of pixels, see `iter_resolution`.
    parts : sequence of str
        Of ``"convergence"``, ``"influence"``, ``"resolution"`` and ``"threshold"``;
        all by default.
    seed : int
        Of the orders.

    Yields
    ------
    Progress
        Whoever stops asking stops the work.
    Notice
        If a device was too small, or an upscale was chosen.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        If an image, a point or an option cannot be used.
    WeightsNotFoundError
        If a backbone has to be loaded and its weights are not here.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> points = [(20, 60), (20, 100), (60, 60), (60, 100)]
    >>> found = dp.study(image, points, backbone=backbone, truth=image > 0,
    ...                  parts=["convergence", "influence"])
    >>> found.convergence.counts.tolist()
    [1, 2, 3, 4]
    >>> found.influence.outliers
    ()
    """
    wanted = _check_parts(parts)
    check_seed(seed)
    asked = check_upscale(upscale)
    plane = as_plane(image)
    prompts = Prompts.of(points, classes)
    backbone = backbone or load_backbone(default_backbone())
    if not fits_whole(plane_shape(plane), backbone, 1.0 if asked == "auto" else asked):
        msg = "The image is too large to be studied as a whole; study a part of it."
        raise InputError(msg)
    total = _SHARE * (1 + len(wanted))
    yield Progress(0, total)
    steps = iter_prompted_image(
        plane,
        prompts,
        backbone,
        upscale=asked,
        window=window,
        points_only=points_only,
        whole_only=True,
    )
    made = yield from scaled_progress(steps, 0, _SHARE, total)
    features, reference = made.features, made.reference
    assert isinstance(features, FeatureMap)
    subject = make_subject(features, reference, truth=truth, class_name=class_name)
    found: dict[str, object] = dict.fromkeys(PARTS)
    notes: list[str] = []
    shared = {"convergence", "influence"} & set(wanted)
    maps = make_prompt_maps(subject) if shared else None
    for done, part in enumerate(wanted, start=1):
        job: Generator[Progress | Notice, None, object]
        if part == "convergence":
            if len(subject.members) < 2:
                notes.append("One prompt cannot converge: place at least two.")
                continue
            job = iter_convergence(subject, orders=orders, seed=seed, maps=maps)
        elif part == "influence":
            job = iter_influence(subject, maps=maps)
        elif part == "threshold":
            job = iter_threshold(subject)
        else:
            rest = [one for one in backbones if one.info != backbone.info]
            job = iter_resolution(
                plane,
                prompts,
                list_settings([backbone, *rest], (reference.upscale, *upscales)),
                window=features.window,
                truth=truth,
                class_name=subject.class_name,
                others=others,
                points_only=points_only,
            )
        found[part] = yield from scaled_progress(job, _SHARE * done, _SHARE, total)
    yield Progress(total, total)
    return Study(
        **found,  # type: ignore[arg-type]
        light=features.light.cpu().numpy(),
        settings={
            "backbone": str(backbone.info),
            "upscale": reference.upscale,
            "points_only": points_only,
            "class": subject.class_name,
            "prompts": len(prompts.points),
            "window": [features.window.low, features.window.high],
            "with_truth": truth is not None,
            "parts": list(wanted),
            "seed": seed,
        },
        notes=tuple(notes),
    )


study = runs_to_end("study", iter_study)


def _check_parts(parts: Sequence[str]) -> tuple[str, ...]:
    for part in parts:
        if part not in PARTS:
            msg = f"There is no part {part!r} of a study; choose of {', '.join(PARTS)}."
            raise InputError(msg)
    if not parts:
        raise InputError(f"There is nothing to study; choose of {', '.join(PARTS)}.")
    return tuple(part for part in PARTS if part in parts)
