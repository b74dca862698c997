"""Features of planes that nobody needs are let go of above a budget."""

import pytest
from small_stack import draw_plane

from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.segmentation import plane_features
from napari_dinoprompt.core.segmentation.plane_features import (
    ImageFeatures,
    PlaneFeatures,
)


def test_spare_planes_go_the_first_first(
    filterbank, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = ImageFeatures()
    for at in range(5):
        held.add((at,), PlaneFeatures(extract_features(draw_plane(at), filterbank)))
    one = held[(0,)].bytes
    assert one > 0
    held.trim([(0,)])
    assert len(held) == 5
    # Room for two that are not wanted.
    monkeypatch.setattr(plane_features, "_KEPT_BYTES", 2 * one)
    held.trim([(0,)])
    assert list(held) == [(0,), (3,), (4,)]
    assert held.bytes == 3 * one
    monkeypatch.setattr(plane_features, "_KEPT_BYTES", 2 * one - 1)
    held.trim([(4,)])
    assert list(held) == [(3,), (4,)]
