"""Counts of objects in one line, in blocks as at once."""

import numpy as np
import pytest
from scipy import ndimage as ndi

from napari_dinoprompt.core.objects import boxes
from napari_dinoprompt.core.objects.counts import ObjectCounts, iter_counts
from napari_dinoprompt.core.progress import run_to_end


def test_blocks_count_what_the_whole_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    instances = ndi.label(rng.random((70, 90)) > 0.5)[0]
    classes = np.append(0, rng.integers(1, 3, instances.max()))
    mask = classes[instances].astype(np.uint8)
    monkeypatch.setattr(boxes, "SIDES", {2: (32, 16), 3: (4, 8, 8)})
    found = run_to_end(iter_counts(instances, mask, ("a", "b", "c")))
    sizes = np.bincount(instances.ravel())
    for at, held in enumerate(found.sizes, start=1):
        expected = sizes[1:][classes[1:] == at]
        assert held.tolist() == expected.tolist()
    assert found.total == instances.max()
    assert found.pixels == 70 * 90
    volume = np.stack([instances, instances])
    deep = run_to_end(iter_counts(volume, np.stack([mask, mask]), ("a", "b", "c")))
    assert [one.tolist() for one in deep.sizes] == [
        (2 * one).tolist() for one in found.sizes
    ]


def test_one_line_for_each_class() -> None:
    cells, none = np.array([10, 20, 30]), np.zeros(0, np.int64)
    one = ObjectCounts(("cell",), (cells,), 600)
    assert one.describe(None) == "3 objects · median 20 px · 10.0% of the image"
    assert "20 px (5 µm²)" in one.describe(0.25)
    assert "20 voxels (5 µm³)" in one.describe(0.25, through=True)
    two = ObjectCounts(("cell", "debris"), (cells[:1], none), 100)
    assert two.describe(None).splitlines() == [
        "cell: 1 object · median 10 px · 10.0% of the image",
        "debris: 0 objects",
    ]
    both = one + ObjectCounts(("cell",), (cells[:1],), 400)
    assert (both.total, both.pixels) == (4, 1000)
    assert (one + ObjectCounts.none(("cell",))).total == 3
