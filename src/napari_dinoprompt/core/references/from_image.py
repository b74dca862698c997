"""From an image and its prompts to a reference, at an upscale that fits the objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from napari_dinoprompt.core.backbones.load import (
    FILTERBANK,
    default_backbone,
    load_backbone,
)
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.features.extraction import Estimate, check_memory, estimate
from napari_dinoprompt.core.features.source import iter_any_features
from napari_dinoprompt.core.images.lazy_plane import LazyPlane
from napari_dinoprompt.core.progress import Notice, Progress, run_to_end
from napari_dinoprompt.core.prompts import Prompts
from napari_dinoprompt.core.validation import Upscale, check_upscale

from .from_prompts import iter_reference
from .reference import Reference

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from numpy.typing import ArrayLike

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.features.large import LazyFeatures
    from napari_dinoprompt.core.images.intensity import IntensityWindow


@dataclass(frozen=True, eq=False)
class PromptedImage:
    """An image and what its prompts make of it.

    Attributes
    ----------
    features : FeatureMap or LazyFeatures
    reference : Reference
        Of these features; it knows the upscale.
    """

    features: FeatureMap | LazyFeatures
    reference: Reference


def iter_prompted_image(
    image: ArrayLike | LazyPlane,
    prompts: Prompts,
    backbone: Backbone,
    *,
    upscale: Upscale = "auto",
    window: IntensityWindow | tuple[float, float] | None = None,
    points_only: bool = False,
    source: str = "image",
    pixel_size: tuple[float, float] | None = None,
    whole_only: bool = False,
) -> Generator[Progress | Notice, None, PromptedImage]:
    """Extract features and make a reference, as `make_reference`.

    `whole_only` chooses no upscale at which the image is done part by part.
    """
    asked = check_upscale(upscale)
    plane = LazyPlane.of(image)

    def at(
        factor: float,
    ) -> Generator[Progress | Notice, None, tuple[PromptedImage, float | None]]:
        """Make a reference at one upscale; beside it the one that suits its objects."""
        features = yield from iter_any_features(
            plane, backbone, upscale=factor, window=window
        )
        new = yield from iter_reference(
            {(): features},
            prompts,
            (yield from features.iter_measures()),
            source=source,
            pixel_size=pixel_size,
            points_only=points_only,
        )
        return PromptedImage(features, Reference.of(new.fields)), new.fitting_upscale

    made, fitting = yield from at(1.0 if asked == "auto" else asked)
    present = made.reference.upscale
    # The cells of the filter bank are small as they are.
    small_cells = backbone.info.name == FILTERBANK
    if asked != "auto" or small_cells or fitting is None or fitting == present:
        return made
    needed = estimate(plane.shape, backbone, fitting)
    fits = _is_free(needed, backbone) and (needed.whole or not whole_only)
    rows, columns = needed.cells
    cost = f"{rows} x {columns} cells, {needed.bytes / 1e9:.2g} GB"
    if not fits:
        yield Notice(
            f"The prompted objects are small, but there is not enough memory for an "
            f"upscale of {fitting:g} ({cost}); it stays at {present:g}."
        )
        return made
    yield Notice(
        "The prompted objects are small: features are extracted once more, at an "
        f"upscale of {fitting:g} ({cost})."
    )
    # Its memory is needed.
    del made
    made, _ = yield from at(fitting)
    return made


def make_reference(
    image: ArrayLike | LazyPlane,
    points: ArrayLike | Prompts,
    classes: Sequence[str] | None = None,
    backbone: Backbone | None = None,
    *,
    upscale: Upscale = "auto",
    window: IntensityWindow | tuple[float, float] | None = None,
    points_only: bool = False,
    source: str = "image",
    pixel_size: tuple[float, float] | None = None,
) -> Reference:
    """Make a reference from an image and prompts on it.

    Parameters
    ----------
    image : LazyPlane, or (H, W) or (H, W, 3 or 4) array_like
        A large one is read part by part.
    points : (N, 2) array_like or Prompts
        y and x of the prompts in pixels, N at least 1; or prompts with their classes,
        such as ``Prompts.of_regions(labels)`` makes of regions that were drawn.
    classes : sequence of N str, optional
        ``"object"``, ``"background"`` or names; all are ``"object"`` by default.
    backbone : Backbone, optional
        The backbone of choice on this machine by default.
    upscale : float or "auto"
        How much the image is enlarged before the backbone. ``"auto"`` begins at 1; if
        the prompted objects turn out to be small for the cells of a network, features
        are extracted once more at 2 or 4, as far as memory allows. A warning says so.
    window : IntensityWindow, (low, high) or None
        Grey values that map to 0 and 1; None takes them from the image itself.
    points_only : bool
        Take the features at the prompts alone, not those of the objects that they are
        on.
    source : str
        Name of the image.
    pixel_size : (float, float), optional
        Height and width of a pixel, if known.

    Returns
    -------
    Reference

    Raises
    ------
    InputError
        If the image, a prompt, the upscale or the window cannot be used.
    WeightsNotFoundError
        If the backbone has to be loaded and its weights are not here.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> import numpy as np
    >>> y, x = np.mgrid[:160, :160] % 40 - 20
    >>> image = (200 * (y**2 + x**2 < 64)).astype(np.uint8)
    >>> backbone = dp.load_backbone("filterbank", device="cpu")
    >>> reference = dp.make_reference(image, [(20, 60), (60, 60)], backbone=backbone)
    >>> reference.upscale, len(reference.vectors)
    (1.0, 2)
    """
    steps = iter_prompted_image(
        image,
        points if isinstance(points, Prompts) else Prompts.of(points, classes),
        backbone or load_backbone(default_backbone()),
        upscale=upscale,
        window=window,
        points_only=points_only,
        source=source,
        pixel_size=pixel_size,
    )
    return run_to_end(steps).reference


def _is_free(needed: Estimate, backbone: Backbone) -> bool:
    try:
        check_memory(needed.bytes, backbone.device)
    except InputError:
        return False
    return True
