"""Tasks on a graphics card that is too small, simulated with torch's own errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import napari_dinoprompt as dp
from napari_dinoprompt import cli
from napari_dinoprompt.core.backbones import vit
from napari_dinoprompt.core.features import extraction
from napari_dinoprompt.core.io.read import read_image
from napari_dinoprompt.core.progress import Notice
from napari_dinoprompt.core.tiling.tiles import Tile


def compute_on_small_card(arguments: list[str]) -> None:
    """Run the command with a network of which only so many tiles fit at once.

    The first argument is how many, the second what then is raised.
    """
    fits, error, *rest = arguments
    compute = vit.VisionTransformer.__call__
    extraction._WORTH_KEEPING_SECONDS = 1e9  # type: ignore[attr-defined]

    def cramped(self: vit.VisionTransformer, batch: torch.Tensor) -> torch.Tensor:
        if len(batch) > int(fits):
            print(f"refused {len(batch)}", flush=True)
            raise _ERRORS[error]
        return compute(self, batch)

    vit.VisionTransformer.__call__ = cramped  # type: ignore[method-assign]
    vit.VisionTransformer.batch_size = property(lambda _: 8)  # type: ignore[assignment, method-assign]
    cli.main(rest)


def leave_the_card(weights: str, name: str, image: str) -> None:
    """Compute tiles with a card on which nothing fits, and on the CPU alone."""
    network = dp.load_backbone(f"timm:{name}", checkpoint=weights, device="cpu")
    card = _Card(network)
    plane = read_image(Path(image)).astype(np.float32) / 255
    crop = np.repeat(np.resize(plane, (1, 224, 224)), 3, axis=0)
    tiles = [Tile(0, column, 14, 14) for column in range(5)]

    def read(tile: Tile) -> np.ndarray:
        return np.roll(crop, 40 * tile.column, axis=2)

    notices, found = [], {}
    for which, backbone in (("card", card), ("alone", network)):
        for said in extraction.run_tiles(tiles, read, backbone, None):
            if isinstance(said, Notice):
                notices.append(said.message)
            else:
                found.setdefault(which, []).extend(one.vectors for one in said)
    same = all(map(torch.equal, found["card"], found["alone"]))
    print(json.dumps({"notices": notices, "same": same, "asked": card.asked}))


class _Card:
    """A network on a card without memory."""

    def __init__(self, network: vit.VisionTransformer) -> None:
        self._network = network
        self.device = torch.device("xpu")
        self.batch_size = 4
        self.asked: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def __call__(self, batch: torch.Tensor) -> torch.Tensor:
        self.asked.append(len(batch))
        raise torch.OutOfMemoryError("out of memory")


_ERRORS = {
    "torch": torch.OutOfMemoryError("XPU out of memory. Tried to allocate 2.00 GiB"),
    "words": RuntimeError("CUDA error: out of memory"),
    "cublas": RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling"),
    "python": MemoryError(),
}
