"""Fixtures of the layers tier: napari layers without a window."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.layers import Image, Points

from napari_dinoprompt.layers import make_prompt_layer, set_prompts

if TYPE_CHECKING:
    from collections.abc import Callable

COLOURS = {"object": "#009E73", "background": "#D55E00"}


@pytest.fixture
def picture() -> Image:
    """A small grey image that lies crooked in the world."""
    rng = np.random.default_rng(0)
    return Image(
        rng.random((40, 60), dtype=np.float32),
        name="picture",
        contrast_limits=(0, 1),
        scale=(0.5, 2.0),
        rotate=30,
        shear=[0.3],
        translate=(7, -5),
        affine=[[1.1, 0.2, 3.0], [-0.1, 0.9, -4.0], [0, 0, 1]],
        units=("um", "um"),
    )


@pytest.fixture
def make_prompts() -> Callable[..., Points]:
    """Make the prompt layer of an image with points in its own coordinates."""

    def make(image: Image, points: object, classes: list[str] | None = None) -> Points:
        layer = make_prompt_layer(image, COLOURS, "object")
        where = np.asarray(points, dtype=float).reshape(-1, 2)
        set_prompts(layer, where, classes or ["object"] * len(where))
        return layer

    return make
