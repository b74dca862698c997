"""Records to be kept."""

from __future__ import annotations

import pytest

from napari_dinoprompt.core.autosave.records import ImageRecord, KeptSettings
from napari_dinoprompt.core.masks.cleaning import Cleaning


@pytest.fixture
def record() -> ImageRecord:
    """Three prompts with everything set."""
    return ImageRecord(
        key="image/points",
        fingerprint="0a" * 32,
        image="Kerne, grün.tif",
        points=((0.1 + 0.2, 1e-17), (5.0, 1 / 3), (1e300, -7.25)),
        placed=((1.0, 2.0), (3.0, 4.0), (5.0, 6.0)),
        classes=("object", "background", "Zellkern 核"),
        thresholds={"object": -0.25, "Zellkern 核": 1.0},
        settings=KeptSettings(
            backbone="dinov2-small",
            block=2,
            own_weights=True,
            device="cuda",
            precision="bf16",
            upscale=1.7,
            classes=("object", "background", "Zellkern 核", "spare"),
            selected_class="spare",
            points_only=True,
            cleaning=Cleaning(12, fill_holes=True, split=True),
        ),
        changed=1_700_000_000.25,
    )
