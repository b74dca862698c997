"""What holds of every result, whatever the input was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .verdict import Fault

if TYPE_CHECKING:
    from napari_dinoprompt.core.features.feature_map import FeatureMap
    from napari_dinoprompt.core.references.reference import Reference


# A cosine, less a quarter of that with the nearest background prompt.
_MOST = 1.25 + 1e-3


def expect(truth: object, what: str) -> None:
    """Complain if something does not hold."""
    if not truth:
        raise Fault(f"does not hold: {what}")


def no_data_of(image: Any) -> np.ndarray:
    """Tell which pixels of a plane hold no data, by the plainest means."""
    masked = np.ma.getmaskarray(image) if isinstance(image, np.ma.MaskedArray) else None
    plane = np.asarray(image)
    colours = plane[..., :3] if plane.ndim == 3 and plane.shape[2] > 1 else plane
    held = np.isfinite(colours.astype(np.float64) if colours.dtype == bool else colours)
    if masked is not None:
        held = held & ~(masked[..., :3] if colours is not plane else masked)
    return ~held.reshape(*plane.shape[:2], -1).all(axis=2)


def check_map(found: Any, missing: np.ndarray) -> None:
    """Check a similarity map."""
    expect(found.shape == missing.shape, "shape of the similarity is that of the plane")
    expect(found.dtype == np.float32, "similarity is float32")
    values = np.asarray(found[...] if not hasattr(found, "isel") else found)
    expect(
        (np.isnan(values) == missing).all(), "NaN where there is no data, only there"
    )
    held = values[~missing]
    expect(np.isfinite(held).all(), "similarity is finite where there is data")
    expect((np.abs(held) <= _MOST).all(), f"similarity in range: {held.min(initial=0)}")


def check_numbering(mask: np.ndarray, instances: np.ndarray, classes: int) -> None:
    """Check classes and numbers of objects."""
    expect(mask.dtype == np.uint8, "mask is uint8")
    expect(instances.dtype == np.int32, "instances are int32")
    expect(mask.shape == instances.shape, "mask and instances have one shape")
    expect(int(mask.max(initial=0)) <= classes, "no class that there is not")
    expect(((mask > 0) == (instances > 0)).all(), "objects are where the mask is")
    numbers = np.unique(instances[instances > 0])
    expect((numbers == np.arange(1, len(numbers) + 1)).all(), "numbers from 1 to n")
    pairs = np.unique(np.stack([instances[mask > 0], mask[mask > 0]]), axis=1)
    expect(pairs.shape[1] == len(numbers), "each object is of one class")


def check_segmentation(found: Any, image: Any, reference: Reference) -> None:
    """Check a result of `segment`, of planes that are held and large ones."""
    missing = no_data_of(image)
    check_map(found.similarity, missing)
    names = reference.object_classes
    expect(tuple(found.names) == names, "classes are those of the reference")
    expect(tuple(found.thresholds) == names, "one threshold per class")
    mask, instances = np.asarray(found.mask[...]), np.asarray(found.instances[...])
    check_numbering(mask, instances, len(names))
    expect(mask.shape == missing.shape, "shape of the mask is that of the plane")
    expect(not mask[missing].any(), "no object where there is no data")
    expect(found.objects == instances.max(initial=0), "objects are counted")
    for number, name in enumerate(names):
        page = np.asarray(found.maps[number])
        expect(np.isfinite(page[~missing]).all(), f"the map of {name!r} is finite")


def check_features(found: FeatureMap, image: Any) -> None:
    """Check a feature map."""
    import torch

    shape = np.asarray(image).shape[:2]
    expect(found.grid.shape == shape, "the grid is that of the plane")
    expect(tuple(found.vectors.shape[:2]) == found.grid.cells, "one vector per cell")
    expect(torch.isfinite(found.vectors).all(), "vectors are finite")
    expect(torch.isfinite(found.light).all(), "the light is finite")
    missing = no_data_of(image)
    held = np.zeros(shape, bool) if found.no_data is None else found.no_data
    expect((held == missing).all(), "no-data are the pixels that are not finite")
    statistics = found.measures.statistics
    expect(np.isfinite(statistics.mean).all(), "the mean is finite")
    expect(np.isfinite(statistics.scale).all(), "the scale is finite")


def same(one: Any, other: Any) -> None:
    """Complain if two runs differ."""
    expect(
        np.array_equal(np.asarray(one[...]), np.asarray(other[...]), equal_nan=True),
        "the same twice",
    )


def unchanged(image: Any, before: Any) -> None:
    """Complain if an input array has been changed."""
    expect(np.asarray(image).tobytes() == before, "the input is not changed")
