"""What 2-D features find in a synthetic 3-D stack: the table of docs/how-to/stacks.md.

``python tools/benchmarks/volumes.py``; it takes about a minute. The stacks are drawn,
not recorded: ellipsoids, blurred, with noise.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parents[2] / "tests" / "support"))

from synthetic_volume import Volume, draw_volume

from napari_dinoprompt import (
    Cleaning,
    Reference,
    SegmentOptions,
    extract_features,
    load_backbone,
    measure_window,
    segment_stack,
)

HEIGHT = 3.0
SEEDS = range(5)
PLANE = 10


def f1(found: np.ndarray, truth: np.ndarray, least: float = 0.5) -> float:
    """Objects that overlap one of the truth by at least half of their union."""
    count, true = int(found.max()), int(truth.max())
    pairs = np.zeros((count + 1, true + 1), dtype=np.int64)
    np.add.at(pairs, (found.ravel(), truth.ravel()), 1)
    union = pairs.sum(1)[:, None] + pairs.sum(0)[None] - pairs
    hits = int((pairs[1:, 1:] / union[1:, 1:] >= least).sum())
    return 2 * hits / (count + true)


def iou(mask: np.ndarray, truth: np.ndarray) -> float:
    """Pixels in both, of those in either."""
    return float((mask & truth).sum() / max(1, (mask | truth).sum()))


def measure(volume: Volume) -> dict[str, float]:
    """Segment one stack in several ways."""
    backbone = load_backbone("filterbank", device="cpu")
    window = measure_window(volume.image[PLANE])
    features = extract_features(volume.image[PLANE], backbone, window=window)
    points = [point[1:] for point in volume.prompts(PLANE)]
    reference = Reference.from_prompts(features, points)
    image, truth = volume.image, volume.truth
    plain = segment_stack(image, reference, backbone)
    there = truth > 0
    ious = [iou(m > 0, t) for m, t in zip(plain.mask, there, strict=True)]
    sizes = there.sum(axis=(1, 2))
    middle = sizes > 0.5 * sizes.max()
    own = segment_stack(
        image, reference, backbone, SegmentOptions(cleaning=Cleaning(40, True, True))
    )
    found = {
        "IoU, all planes": iou(plain.mask > 0, there),
        "IoU, planes with many objects": float(np.mean(np.array(ious)[middle])),
        "IoU, other planes": float(np.mean(np.array(ious)[~middle])),
        "mask voxels / true voxels": float((plain.mask > 0).sum() / there.sum()),
        "F1, numbered in each plane": f1(own.instances, truth),
    }
    for name, cleaning, spacing in (
        ("F1, 3-D, connected only", Cleaning(), HEIGHT),
        ("F1, 3-D, min size and holes", Cleaning(200, True, False), HEIGHT),
        ("F1, 3-D, also split, true spacing", Cleaning(200, True, True), HEIGHT),
        ("F1, 3-D, also split, spacing 1", Cleaning(200, True, True), 1.0),
    ):
        result = segment_stack(
            image,
            reference,
            backbone,
            SegmentOptions(
                cleaning=cleaning, objects_3d=True, spacing=(spacing, 1.0, 1.0)
            ),
        )
        found[name] = f1(result.instances, truth)
    return found


def main() -> None:
    """Print the table, mean and range over the seeds."""
    for title, options in (
        ("little blur along z (3 pixels)", {"blur": (3.0, 1.5)}),
        ("much blur along z (9 pixels)", {"blur": (9.0, 2.0)}),
    ):
        rows = [measure(draw_volume(seed, **options)) for seed in SEEDS]
        print(f"\n{title}")
        for name in rows[0]:
            values = [row[name] for row in rows]
            mean, low, high = np.mean(values), min(values), max(values)
            print(f"| {name} | {mean:.2f} ({low:.2f} to {high:.2f}) |")


if __name__ == "__main__":
    main()
