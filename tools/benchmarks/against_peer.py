"""Product and peer in turn, both as they ship, on empty caches: one table.

python tools/benchmarks/against_peer.py --output against-peer
python tools/benchmarks/against_peer.py --backbone timm:vit_tiny_patch16_224 \
  --checkpoint WEIGHTS --output against-peer-vit

writes against_peer.md: for each size and upscale the time of extraction, tiles, the
jump of the map where tiles meet, and the IoU of the mask of five clicks in the middle
of objects with the truth. The pictures are put together from the sample data. Without
a backbone the network is DINOv2-small's architecture with random weights: times are
those of the real one, IoUs say nothing. Needs napari-dinosim 0.1.5:
pip install --no-deps napari-dinosim opencv-python-headless
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from programs import exit_code
from skimage.measure import regionprops
from speed_parts.networks import RANDOM, NetworkChoice
from speed_parts.peer import Peer
from speed_parts.pictures import picture
from speed_parts.seams import jump_ratio, tile_borders

import napari_dinoprompt as dp
from napari_dinoprompt.core.comparison.metrics import measure_agreement
from napari_dinoprompt.core.features.extraction import fits_whole
from napari_dinoprompt.core.prompts import OBJECT
from napari_dinoprompt.core.tiling.cache import TileCache
from napari_dinoprompt.core.tiling.grid import CellGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_dinoprompt.core.backbones.vit import VisionTransformer


_CLICKS = 5
_FEW_TILES = 20
_CACHE_BYTES = 10_000_000_000


@dataclass(frozen=True)
class Spent:
    """Seconds of one extraction: on the clock, and of all processors together."""

    wall: float
    cpu: float


@exit_code
def main(words: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--backbone", default=RANDOM, help="a transformer, else random weights")
    add("--checkpoint", type=Path, help="its weights")
    add("--device", default="auto")
    add("--sizes", type=int, nargs="+", default=[1036, 2048, 4096])
    add("--upscales", type=float, nargs="+", default=[1.0, 4.0])
    add("--rounds", type=int, default=3, help="of images with up to 20 tiles, else 1")
    add("--output", type=Path, default=Path("against-peer"))
    options = parser.parse_args(words)
    options.output.mkdir(parents=True, exist_ok=True)
    lines = [
        "times as fast: median over rounds of peer / product, on the clock and in "
        "processor time, which other programs on the machine disturb less.",
        "",
        "| image | upscale | who | tiles | time | processor time | times as fast | "
        "seam | IoU |",
        f"|{'---|' * 9}",
    ]
    choice = NetworkChoice(options.backbone, options.checkpoint, None, options.device)
    backbone = choice.load("auto")
    for side in options.sizes:
        for upscale in options.upscales:
            for line in _compare(backbone, side, upscale, options.rounds):
                print(line, flush=True)
                lines.append(line)
            text = "\n".join([f"# {backbone.info}", "", *lines]) + "\n"
            (options.output / "against_peer.md").write_text(text, "utf-8")


def _compare(
    backbone: VisionTransformer, side: int, upscale: float, rounds: int
) -> list[str]:
    image = picture(side)
    labels = picture(side, role="nuclei_truth")
    points = _centroids(labels)
    peer = Peer(backbone, upscale)
    grid = CellGrid(image.shape, backbone.info.patch, upscale)  # type: ignore[arg-type]
    plan = backbone.plan(grid.cells)
    whole = fits_whole((side, side), backbone, upscale)
    made: list[Any] = []

    def extract() -> None:
        made.clear()
        with tempfile.TemporaryDirectory() as folder:
            cached = replace(backbone, cache=TileCache(Path(folder), _CACHE_BYTES))
            if whole:
                made.append(dp.extract_features(image, cached, upscale=upscale))
                return
            features = dp.lazy_features(image, cached, upscale=upscale)
            for region in features.regions.regions:
                features.part(region)

    few = len(plan.tiles) <= _FEW_TILES
    ours, theirs = [], []
    for number in range(rounds if few else 1):
        pair: list[tuple[list[Spent], Callable[[], object]]]
        pair = [(ours, extract), (theirs, lambda: peer.embed(image))]
        for spent, work in pair if number % 2 == 0 else pair[::-1]:
            spent.append(_timed(work))
    wall, cpu = (
        median(
            getattr(one, which) / getattr(other, which)
            for one, other in zip(theirs, ours, strict=True)
        )
        for which in ("wall", "cpu")
    )
    seam, iou = "", "done part by part"
    if made:
        (features,) = made
        reference = dp.Reference.from_prompts(features, points)
        similarity = dp.similarity_map(features, reference)
        seam = f"{jump_ratio(similarity, tile_borders(plan, grid.cell)):.2f}"
        mask = similarity > reference.auto_thresholds[OBJECT]
        iou = f"{measure_agreement(mask, labels > 0).iou:.3f}"
    peer_iou = measure_agreement(peer.click(points) > 0, labels > 0).iou
    head = f"| {side}² | {upscale:g} "
    return [
        f"{head}| product | {len(plan.tiles)} | {_times(ours)} | "
        f"{wall:.2f}, {cpu:.2f} | {seam} | {iou} |",
        f"{head}| peer | {peer.tiles} | {_times(theirs)} | | | {peer_iou:.3f} |",
    ]


def _times(spent: Sequence[Spent]) -> str:
    wall, cpu = (
        median(getattr(one, which) for one in spent) for which in ("wall", "cpu")
    )
    return f"{wall:.1f} s | {cpu:.1f} s"


def _timed(work: Callable[[], object]) -> Spent:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    clock, processors = perf_counter(), process_time()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return Spent(perf_counter() - clock, process_time() - processors)


def _centroids(labels: NDArray[Any]) -> NDArray[np.float64]:
    """Choose objects near the middle of the picture and take their middles."""
    found = np.array([one.centroid for one in regionprops(labels)])
    random = np.random.default_rng(0)
    points: NDArray[np.float64] = random.permutation(found)[:_CLICKS]
    return points


if __name__ == "__main__":
    sys.exit(main())
