"""Fakes with a known number of wrong objects, and what every figure says of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from scipy import ndimage as ndi

from hallucination_parts.edits import Edited, plant, remove
from napari_dinoprompt.core.comparison.measures import Side, measure_pair
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.masks.cleaning import Cleaning, clean_and_label
from napari_dinoprompt.core.references.reference import Reference, resolve_thresholds
from napari_dinoprompt.core.segmentation.similarities import score_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from stain_parts.fields import StainField

    from napari_dinoprompt.core.backbones.base import Backbone


Edit = Literal["planted", "removed"]
MAPS = ("agreement", "ssim", "squared_error", "feature_distance", "similarity")
"""The maps that may point at the wrong objects."""

Grey: TypeAlias = "NDArray[np.float32]"
_CLEANING = Cleaning(min_size=30, fill_holes=True, split=True)


@dataclass(frozen=True)
class Trial:
    """What one fake gives.

    Attributes
    ----------
    field : str
    kind : str
        ``"none"``, an edit, or the name of a harmless change.
    rough : bool
        The fake was changed harmlessly on top.
    asked, count : int
        Wrong objects that were asked for and made.
    figures : mapping of str to float
        By column.
    pointing : mapping of str to float
        By map: the chance that a pixel of a wrong object stands out more than one of
        the rest (area under the ROC curve). Empty without wrong objects.
    """

    field: str
    kind: str
    rough: bool
    asked: int
    count: int
    figures: Mapping[str, float]
    pointing: Mapping[str, float]


class Stage:
    """A field with its reference and its real side, to be compared with fakes.

    Parameters
    ----------
    field : StainField
    backbone : Backbone
    """

    def __init__(self, field: StainField, backbone: Backbone) -> None:
        self.field = field
        self._image = field.real.astype(np.float32)
        self._backbone = backbone
        features = extract_features(self._image, backbone)
        self._reference = Reference.from_prompts(features, field.points)
        self._window = features.window
        self._real = self._side(self._image)

    def try_edit(
        self, edit: Edit, count: int, rng: np.random.Generator, *, rough: bool
    ) -> Trial:
        """Compare a fake with some objects wrong; else faithful, or only roughly so."""
        make = plant if edit == "planted" else remove
        made = make(self._image, self.field.truth, count, rng)
        change = HARMLESS[str(rng.choice(list(HARMLESS)))] if rough else faithful
        return self._compare(edit, count, made, change(made.image, rng), rough=rough)

    def try_nothing(self, rng: np.random.Generator) -> Trial:
        """Compare a fake that is as faithful, with all objects right."""
        whole = Edited(self._image, np.zeros(self._image.shape, bool), 0)
        return self._compare("none", 0, whole, faithful(whole.image, rng), rough=False)

    def try_harmless(self, name: str, rng: np.random.Generator) -> Trial:
        """Compare a fake that is less faithful, with all objects right."""
        whole = Edited(self._image, np.zeros(self._image.shape, bool), 0)
        fake = HARMLESS[name](whole.image, rng)
        return self._compare(name, 0, whole, fake, rough=True)

    def _side(self, image: NDArray[np.float32]) -> Side:
        features = extract_features(image, self._backbone, window=self._window)
        similarities = score_classes(features, self._reference)
        thresholds = resolve_thresholds(self._reference)
        mask, instances = clean_and_label(similarities.mask(thresholds), _CLEANING)
        return Side(
            mask=mask > 0,
            instances=instances,
            grey=self._window.apply(image),
            similarity=similarities.of("object"),
            features=features,
            affine=self._reference.affine(),
        )

    def _compare(
        self,
        kind: str,
        asked: int,
        made: Edited,
        fake: NDArray[np.float32],
        *,
        rough: bool,
    ) -> Trial:
        side = self._side(fake)
        found = measure_pair(self._real, side)
        pointing = {}
        if made.count:
            distance = found.maps.feature_distance
            assert distance is not None  # both sides have features
            differs = {
                "agreement": (found.maps.agreement >= 2).astype(np.float32),
                "ssim": -found.maps.ssim,
                "squared_error": found.maps.squared_error,
                "feature_distance": distance,
                "similarity": np.abs(side.similarity - self._real.similarity),
            }
            pointing = {
                name: stands_out(values[made.where], values[~made.where])
                for name, values in differs.items()
            }
        return Trial(
            self.field.name,
            kind,
            rough,
            asked,
            made.count,
            dict(found.figures),
            pointing,
        )


def faithful(
    image: NDArray[np.float32], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Change an image as little as the best of virtual stains does."""
    changed = ndi.gaussian_filter(image, 0.5) * rng.uniform(0.97, 1.03)
    noisy = changed + rng.normal(0, 2, image.shape)
    clipped: Grey = noisy.clip(0, 255).astype(np.float32)
    return clipped


def _brighter(image: NDArray[np.float32], rng: np.random.Generator) -> Grey:
    return faithful(image, rng) * np.float32(1.15)


def _blurred(image: NDArray[np.float32], rng: np.random.Generator) -> Grey:
    return faithful(ndi.gaussian_filter(image, 1.5), rng)


def _noisy(image: NDArray[np.float32], rng: np.random.Generator) -> Grey:
    noisy = faithful(image, rng) + rng.normal(0, 12, image.shape)
    clipped: Grey = noisy.clip(0, 255).astype(np.float32)
    return clipped


def _shifted(image: NDArray[np.float32], rng: np.random.Generator) -> Grey:
    return faithful(np.roll(image, 2, axis=1), rng)


HARMLESS: dict[str, Callable[..., NDArray[np.float32]]] = {
    "15 % brighter": _brighter,
    "blurred, sigma 1.5": _blurred,
    "noise of 12": _noisy,
    "2 px aside": _shifted,
}
"""Changes that leave every object where it is."""


def stands_out(inside: NDArray[np.float32], outside: NDArray[np.float32]) -> float:
    """Return the area under the ROC curve: 0.5 is chance, ties count half."""
    inside, outside = inside[np.isfinite(inside)], outside[np.isfinite(outside)]
    if not (len(inside) and len(outside)):
        return float("nan")
    ordered = np.sort(outside)
    below = np.searchsorted(ordered, inside, "left")
    upto = np.searchsorted(ordered, inside, "right")
    return float((below + upto).mean() / 2 / len(ordered))
