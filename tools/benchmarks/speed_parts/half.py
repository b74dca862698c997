"""Half against full precision: what it changes of maps and masks.

Three steps away from single precision: tokens kept in half precision, as the product
does; and computed in bf16 or fp16 besides, in the very way that a card or a processor
that has the format would, only slower where it is not built in.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from quality_parts.data import RANDOM, SETS, find_data, find_planes
from quality_parts.store import protocol_upscale

from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.segmentation.similarities import score_classes
from speed_parts.networks import KeptWhole, rewrap
from speed_parts.rows import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray
    from quality_parts.data import Plane

    from napari_dinoprompt.core.backbones.vit import VisionTransformer
    from napari_dinoprompt.core.segmentation.similarities import Similarities
    from speed_parts.settings import Settings


_PROMPTS = 5
_FORMATS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def measure_half(settings: Settings, say: Callable[[str], None]) -> Iterator[Row]:
    """Compare maps and masks in half precision with those in single precision.

    Parameters
    ----------
    settings : Settings
    say : callable
        Is told about each set.

    Yields
    ------
    Row
        One for each set, variant and figure, and the worst of all sets.
    """
    backbone = settings.network.load()
    full = rewrap(KeptWhole, backbone)
    variants = {"kept as fp16": backbone} | {
        f"computed in {name}, kept as fp16": replace(backbone, dtype=dtype)
        for name, dtype in _FORMATS.items()
    }
    folder = find_data(settings.data)
    for name in SETS:
        planes = [
            plane
            for plane in find_planes(folder, SETS, settings.limit)
            if plane.set_name == name
        ]
        if not planes:
            continue
        found: dict[str, list[tuple[float, float, float]]] = {
            one: [] for one in variants
        }
        for plane in planes:
            expected = _result(plane, full)
            for one, variant in variants.items():
                found[one].append(_compare(_result(plane, variant), expected))
        for one, values in found.items():
            overlap, same_cut, change = np.array(values).T

            def row(
                quantity: str, value: float, one: str = one, runs: int = len(planes)
            ) -> Row:
                return Row("half", f"{name}, {one}", quantity, value, "", runs=runs)  # noqa: B023

            yield row("mean IoU of masks", float(overlap.mean()))
            yield row("mean IoU at one threshold", float(same_cut.mean()))
            yield row("lowest IoU of masks", float(overlap.min()))
            yield row("largest change of similarity", float(change.max()))
        say(f"half: {name} done, {len(planes)} planes")


class _Result(NamedTuple):
    """What one variant makes of a plane."""

    similarities: Similarities
    thresholds: Mapping[str, float]

    @property
    def map(self) -> NDArray[np.float32]:
        return self.similarities.of(self.similarities.names[0])

    def mask(self, thresholds: Mapping[str, float]) -> NDArray[np.bool_]:
        return self.similarities.mask(thresholds) > 0


def _result(plane: Plane, backbone: VisionTransformer) -> _Result:
    """Score a plane with the first draw's prompts on it."""
    image = plane.image()
    upscale = protocol_upscale(plane.set_name, image.shape, backbone.info.name)
    features = extract_features(image, backbone, upscale=upscale)
    reference = Reference.from_prompts(
        features, plane.draws[RANDOM][0].objects[:_PROMPTS]
    )
    return _Result(score_classes(features, reference), reference.auto_thresholds)


def _compare(found: _Result, expected: _Result) -> tuple[float, float, float]:
    """Return IoU of own masks and of masks at one threshold, and the largest change."""
    truth = expected.mask(expected.thresholds)
    overlaps = [
        _overlap(found.mask(cuts), truth)
        for cuts in (found.thresholds, expected.thresholds)
    ]
    change = float(np.nanmax(np.abs(found.map - expected.map)))
    return overlaps[0], overlaps[1], change


def _overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    either = np.count_nonzero(one | other)
    return np.count_nonzero(one & other) / either if either else 1.0
