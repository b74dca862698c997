"""How much tiles should overlap: quality on real images, and seams.

python tools/benchmarks/overlap.py --backbone timm:vit_tiny_patch16_224 \
  --checkpoint WEIGHTS --block 5 --output overlap
python tools/benchmarks/overlap.py --seams-only --output overlap-dinov2

writes overlap.md: for each overlap in cells the IoU of the mask at the product's own
threshold and at the best one, by set, placing and upscale, and the jump of the
similarity across the borders of tiles beside that between all other cells. Without a
backbone the network is DINOv2-small's architecture with random weights, whose seams can
be measured but whose masks say nothing.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

import torch
from programs import exit_code
from quality_parts.data import (
    IMAGE,
    MITO_SETS,
    NUCLEI_SETS,
    PLACED,
    find_data,
    find_planes,
)
from quality_parts.figures import best_iou
from quality_parts.summary import Step, paired
from speed_parts.networks import RANDOM, NetworkChoice, overlapping
from speed_parts.pictures import picture, places_on_objects
from speed_parts.seams import jump_ratio, tile_borders

from napari_dinoprompt.core.comparison.metrics import measure_agreement
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.prompts import OBJECT
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.scoring.similarity import score_plane
from napari_dinoprompt.core.segmentation.similarities import score_classes

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray
    from quality_parts.data import Plane

    from napari_dinoprompt.core.backbones.vit import VisionTransformer


_PROMPTS = 5
_SIDES = (1024, 1036, 2048)


@dataclass(frozen=True)
class Figure:
    """IoU on one plane with one overlap, mean over draws."""

    overlap: int
    upscale: float
    placed: str
    set_name: str
    plane: str
    own: float
    best: float


@exit_code
def main(words: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    options = _options(words)
    backbone = NetworkChoice(
        options.backbone, options.checkpoint, options.block, "cpu"
    ).load()
    quarter = -(-backbone.tile // 4)
    overlaps = sorted({0, 1, 2, 4, quarter})
    lines = [f"# Overlap: {backbone.info}, tiles of {backbone.tile} cells", ""]
    if not options.seams_only:
        sets = tuple(options.sets)
        planes = find_planes(find_data(options.data), sets, options.limit)
        figures = [
            figure
            for upscale in options.upscales
            for plane in planes
            for figure in _on_plane(backbone, plane, upscale, overlaps, options)
        ]
        lines += _quality_table(figures, overlaps, quarter)
    lines += _seam_table(backbone, overlaps, options.sides)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "overlap.md").write_text("\n".join(lines) + "\n", "utf-8")


def _options(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--backbone", default=RANDOM, help="a transformer, else random weights")
    add("--checkpoint", type=Path, help="its weights")
    add("--block", type=int, help="transformer block, else the last")
    add("--data", type=Path, help="else DINOPROMPT_DATA, else ../shared/data")
    add("--sets", nargs="+", default=(*MITO_SETS, *NUCLEI_SETS))
    add("--limit", type=int, help="so many planes of each set")
    add("--draws", type=int, default=5, help="the first so many draws")
    add("--upscales", type=float, nargs="+", default=[1.0, 4.0])
    add("--sides", type=int, nargs="+", default=_SIDES, help="of pictures for seams")
    add("--seams-only", action="store_true", help="no measuring data are read")
    add("--output", type=Path, default=Path("overlap"))
    return parser.parse_args(words)


def _on_plane(
    backbone: VisionTransformer,
    plane: Plane,
    upscale: float,
    overlaps: Sequence[int],
    options: argparse.Namespace,
) -> Iterator[Figure]:
    image = plane.image(IMAGE)
    for overlap in overlaps:
        features = extract_features(
            image, overlapping(backbone, overlap), upscale=upscale
        )
        for placed in PLACED:
            own, best = [], []
            for draw in plane.draws[placed][: options.draws]:
                points = draw.objects[:_PROMPTS]
                reference = Reference.from_prompts(
                    features, points, measures=features.measures
                )
                similarities = score_classes(features, reference)
                mask = similarities.mask(reference.auto_thresholds) > 0
                own.append(measure_agreement(mask, plane.truth).iou)
                best.append(best_iou(similarities.of(OBJECT), plane.truth).iou)
            yield Figure(
                overlap,
                upscale,
                placed,
                plane.set_name,
                plane.key,
                fmean(own),
                fmean(best),
            )
    print(f"{plane.key} x{upscale:g}", file=sys.stderr)


def _quality_table(
    figures: Sequence[Figure], overlaps: Sequence[int], quarter: int
) -> list[str]:
    lines = [
        "own / best IoU; in brackets own IoU less that with a quarter, ± a paired "
        "standard error over planes.",
        "",
        "| set | placed | upscale | "
        + "".join(f"{one} cells | " for one in overlaps).rstrip(),
        f"|{'---|' * (3 + len(overlaps))}",
    ]
    sets = list(dict.fromkeys(figure.set_name for figure in figures))
    upscales = list(dict.fromkeys(figure.upscale for figure in figures))
    rows = list(product(sets, PLACED, upscales))
    means: dict[int, list[tuple[float, float]]] = {one: [] for one in overlaps}
    for name, placed, upscale in rows:
        group = [
            one
            for one in figures
            if (one.set_name, one.placed, one.upscale) == (name, placed, upscale)
        ]
        usual = {one.plane: one.own for one in group if one.overlap == quarter}
        cells = []
        for overlap in overlaps:
            here = [one for one in group if one.overlap == overlap]
            own, best = fmean(x.own for x in here), fmean(x.best for x in here)
            means[overlap].append((own, best))
            change: Step = paired(usual, {one.plane: one.own for one in here})
            cells.append(
                f"{own:.3f} / {best:.3f} ({change.change:+.3f} ± {change.error:.3f})"
            )
        lines.append(f"| {name} | {placed} | {upscale:g} | {' | '.join(cells)} |")
    cells = [
        " / ".join(f"{fmean(one):.3f}" for one in zip(*found, strict=True))
        for found in means.values()
    ]
    return [*lines, f"| mean | | | {' | '.join(cells)} |", ""]


def _seam_table(
    backbone: VisionTransformer, overlaps: Sequence[int], sides: Sequence[int]
) -> list[str]:
    lines = [
        "Mean jump of the similarity between neighbouring cells across the borders of "
        "tiles, as a multiple of that between all others, and the same for pixels.",
        "",
        "| image | overlap | tiles | cells | pixels |",
        "|---|---|---|---|---|",
    ]
    for side, overlap in product(sides, overlaps):
        found = seam_jumps(picture(side), overlapping(backbone, overlap))
        lines.append(
            f"| {side}² | {overlap} | {found.tiles} | {found.cells:.2f} | "
            f"{found.pixels:.2f} |"
        )
        print(lines[-1], file=sys.stderr)
    return lines


@dataclass(frozen=True)
class Seams:
    """How much more the similarity jumps at the borders of tiles than elsewhere.

    Attributes
    ----------
    tiles : int
    cells, pixels : float
        Between neighbouring cells, and between pixels on either side of a border.
    """

    tiles: int
    cells: float
    pixels: float


def seam_jumps(
    image: NDArray[np.generic], backbone: VisionTransformer, upscale: float = 1.0
) -> Seams:
    """Measure seams on the map of five prompts on bright places.

    Parameters
    ----------
    image : (H, W) ndarray
    backbone : VisionTransformer
    upscale : float

    Returns
    -------
    Seams
    """
    features = extract_features(image, backbone, upscale=upscale)
    points = places_on_objects(image, _PROMPTS)
    reference = Reference.from_prompts(features, points)
    with torch.inference_mode():
        cells = score_plane(features, reference).objects[0].cpu().numpy()
    pixels = score_classes(features, reference).of(OBJECT)
    plan = backbone.plan(features.grid.cells)
    return Seams(
        len(plan.tiles),
        jump_ratio(cells, tile_borders(plan)),
        jump_ratio(pixels, tile_borders(plan, features.grid.cell)),
    )


if __name__ == "__main__":
    sys.exit(main())
