"""Fixtures of the core tier: small pictures with known truth, and small backbones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from scipy import ndimage as ndi
from skimage.draw import disk
from toy_dinov2 import build_toy

from napari_dinoprompt.core.backbones.base import BackboneInfo, Scoring
from napari_dinoprompt.core.backbones.filterbank import FilterBank
from napari_dinoprompt.core.backbones.vit import VisionTransformer, wrap_model
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.features.feature_map import FeatureMap
from napari_dinoprompt.core.images.intensity import IntensityWindow
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.tiling.grid import CellGrid

if TYPE_CHECKING:
    from numpy.typing import NDArray

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Blobs:
    """Bright soft discs on a dim noisy ground."""

    image: NDArray[np.uint8]
    truth: NDArray[np.int32]
    centres: NDArray[np.float64]

    @property
    def prompts(self) -> NDArray[np.float64]:
        """Where people click: in five discs, but not on their exact centres."""
        aside = [(2.5, -1), (-3, 2), (0.5, 3.5), (-1, -4), (4, 1)]
        return self.centres[:5] + aside


def draw_blobs(seed: int, shape: tuple[int, int] = (141, 187)) -> Blobs:
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, dtype=np.int32)
    centres: list[tuple[float, float]] = []
    while len(centres) < 16:
        y, x = rng.uniform(9, shape[0] - 9), rng.uniform(9, shape[1] - 9)
        if all((y - b) ** 2 + (x - a) ** 2 > 20**2 for b, a in centres):
            centres.append((y, x))
            rows, columns = disk((y, x), rng.uniform(6, 8), shape=shape)
            truth[rows, columns] = len(centres)
    clean = 30 + 150 * ndi.gaussian_filter((truth > 0).astype(float), 1.0)
    noisy = clean + rng.normal(0, 6, shape)
    return Blobs(noisy.clip(0, 255).astype(np.uint8), truth, np.array(centres))


def make_toy_model(seed: int = 0) -> torch.nn.Module:
    """The toy with weights that make a difference."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_toy()
        # timm's first weights are too small to make a difference at this width.
        for parameter in model.parameters():
            if parameter.ndim == 2:
                torch.nn.init.normal_(parameter, std=0.2)
    model.pretrained_cfg = {
        "input_size": (3, 64, 64),
        "mean": (0.485, 0.456, 0.406),
        "std": (0.229, 0.224, 0.225),
    }
    return model


@pytest.fixture(scope="session")
def blobs() -> Blobs:
    return draw_blobs(1)


@pytest.fixture(scope="session")
def other_blobs() -> Blobs:
    return draw_blobs(2)


@pytest.fixture(scope="session")
def filterbank() -> FilterBank:
    return FilterBank(CPU)


@pytest.fixture
def toy_model() -> torch.nn.Module:
    return make_toy_model()


@pytest.fixture(scope="session")
def toy_vit() -> VisionTransformer:
    return wrap_model(
        "toy", make_toy_model(), block=None, device=CPU, dtype=torch.float32
    )


@pytest.fixture(scope="session")
def blob_features(blobs: Blobs, filterbank: FilterBank) -> FeatureMap:
    return extract_features(blobs.image, filterbank)


@pytest.fixture(scope="session")
def blob_reference(blobs: Blobs, blob_features: FeatureMap) -> Reference:
    return Reference.from_prompts(blob_features, blobs.prompts)


MakeMap = Callable[..., FeatureMap]


@pytest.fixture(scope="session")
def make_map() -> MakeMap:
    """Make a feature map of random or given vectors, without any backbone."""

    def make(
        shape: tuple[int, int] = (20, 30),
        patch: int = 4,
        upscale: float = 1.0,
        *,
        dimension: int = 6,
        vectors: NDArray[np.float32] | None = None,
        scoring: Scoring = "plain",
        no_data: NDArray[np.bool_] | None = None,
    ) -> FeatureMap:
        grid = CellGrid(shape, patch, upscale)
        if vectors is None:
            rng = np.random.default_rng(0)
            vectors = rng.normal(0.5, 1, (*grid.cells, dimension)).astype(np.float32)
        return FeatureMap(
            vectors=torch.from_numpy(vectors),
            grid=grid,
            backbone=BackboneInfo("random", -1, patch, vectors.shape[2], "none"),
            scoring=scoring,
            window=IntensityWindow(0.0, 1.0),
            light=torch.zeros(shape),
            guide_radius=0,
            no_data=no_data,
            featureless=False,
        )

    return make
