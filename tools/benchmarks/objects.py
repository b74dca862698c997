"""How well objects are chosen, told apart and measured.

Three parts. *choose*: of objects that are known, those like five prompted ones, on
stain_deepliif (positive nuclei, IHC) and on nuclei (true objects and as many copies
shifted onto background); beside cutting pixels first. *instances*: our own objects
against true nuclei. *table*: 100,000 objects of a plane of 20,000 x 20,000 pixels.
"""

from __future__ import annotations

import resource
import time
import warnings
from typing import TYPE_CHECKING

import numpy as np
from programs import backbone_of, data_of, exit_code, quality_parser
from quality_parts.data import CLICKS, NUCLEI_SETS, find_planes
from scipy import ndimage as ndi
from scipy.stats import rankdata
from skimage.measure import label

import napari_dinoprompt as dp
from napari_dinoprompt.core.io.read import read_image
from napari_dinoprompt.core.objects.scores import iter_object_scores
from napari_dinoprompt.core.progress import run_to_end

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_FIELDS = ("Bladder1", "Lung1", "22_2")
_NEGATIVE, _POSITIVE = 1, 2
_SMALLEST = 20
_PROMPTS = 5
_ATTEMPTS = 200
Known = tuple[str, "NDArray[np.generic]", "NDArray[np.int32]", "NDArray[np.bool_]"]
"""A name, the picture, the objects, and which of them are meant."""


def stained(data: Path) -> Iterator[Known]:
    """Yield immunohistochemistry with all nuclei; meant are the positive ones."""
    for name in _FIELDS:
        folder = data / "stain_deepliif"
        truth = read_image(folder / f"{name}_gtlabel.png")
        truth = truth[..., 0] if truth.ndim == 3 else truth
        found = label(np.isin(truth, (_NEGATIVE, _POSITIVE)))
        count = np.arange(1, found.max() + 1)
        sizes = ndi.sum_labels(np.ones_like(truth), found, count)
        share = ndi.sum_labels(truth == _POSITIVE, found, count) / sizes
        kept = sizes >= _SMALLEST
        numbers = np.concatenate(([0], np.cumsum(kept) * kept)).astype(np.int32)
        image = read_image(folder / f"{name}_real_IHC.png")
        yield name, image, numbers[found], share[kept] > 0.5


def shifted(data: Path, kind: str, limit: int | None) -> Iterator[Known]:
    """Yield nuclei with copies of theirs on background; meant are the true ones."""
    for plane in find_planes(data, (kind,), limit):
        truth = read_image(plane.truth_file).astype(np.int32)
        rng = np.random.default_rng(0)
        objects, meant = np.zeros_like(truth), []
        shapes = []
        for number, box in enumerate(ndi.find_objects(truth), start=1):
            if box is not None:
                shapes.append(truth[box] == number)
                meant.append(True)
                objects[truth == number] = len(meant)
        for shape in shapes:
            height, width = shape.shape
            for _ in range(_ATTEMPTS):
                y = int(rng.integers(0, truth.shape[0] - height + 1))
                x = int(rng.integers(0, truth.shape[1] - width + 1))
                part = objects[y : y + height, x : x + width]
                if not part[shape].any():
                    meant.append(False)
                    part[shape] = len(meant)
                    break
        yield plane.stem, plane.image(), objects, np.array(meant)


def click(objects: NDArray[np.int32], number: int) -> tuple[float, float]:
    """Place a prompt where an object is deepest."""
    depth = ndi.distance_transform_edt(np.pad(objects == number, 1))
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(y - 1), float(x - 1)


def area_under_curve(scores: NDArray[np.float64], meant: NDArray[np.bool_]) -> float:
    """Return the share of pairs in the right order, ties counted half."""
    ranks = rankdata(scores)
    true, false = int(meant.sum()), int((~meant).sum())
    return float((ranks[meant].sum() - true * (true + 1) / 2) / (true * false))


def measure_choice(
    known: Known, backbone: object, draws: int
) -> dict[str, list[float]] | None:
    """Choose objects by prompts on some of them; those are left out of the figures."""
    _, image, objects, meant = known
    numbers = np.arange(1, len(meant) + 1)
    sizes = ndi.sum_labels(np.ones_like(objects), objects, numbers)
    low, high = np.quantile(sizes[meant], [0.3, 0.9])
    typical = numbers[meant & (sizes >= low) & (sizes <= high)]
    if len(typical) < _PROMPTS or meant.sum() < _PROMPTS + 3 or (~meant).sum() < 3:
        return None
    rng = np.random.default_rng(1)
    found: dict[str, list[float]] = {}
    for _ in range(draws):
        clicked = rng.choice(typical, _PROMPTS, replace=False)
        points = [click(objects, int(one)) for one in clicked]
        reference = dp.make_reference(image, points, backbone=backbone)
        result = dp.segment(image, reference, backbone)
        scores = run_to_end(iter_object_scores(objects, {"object": result.similarity}))
        cut = scores.thresholds(result.thresholds)
        left = ~np.isin(numbers, clicked)
        truth = meant[left]
        covered = ndi.mean(result.mask > 0, objects, numbers)[left] > 0.5
        chosen = (scores.classes(cut) > 0)[left]
        figures = {"auc": area_under_curve(scores.scores[left, 0], truth)}
        for name, decided in (("objects", chosen), ("pixels", covered)):
            hits = int((decided & truth).sum())
            figures[f"accuracy {name}"] = float((decided == truth).mean())
            figures[f"f1 {name}"] = 2 * hits / max(1, decided.sum() + truth.sum())
        for name, value in figures.items():
            found.setdefault(name, []).append(value)
    return found


def match(found: NDArray[np.int32], truth: NDArray[np.int32]) -> dict[str, float]:
    """Compare objects at an intersection over union of one half."""
    pairs, counts = np.unique(
        np.stack((truth.ravel(), found.ravel())), axis=1, return_counts=True
    )
    sizes_t = np.bincount(truth.ravel())
    sizes_f = np.bincount(found.ravel())
    a, b = pairs
    real = (a > 0) & (b > 0)
    a, b, shared = a[real], b[real], counts[real]
    matched = int((shared / (sizes_t[a] + sizes_f[b] - shared) > 0.5).sum())
    true, mine = int((sizes_t[1:] > 0).sum()), int((sizes_f[1:] > 0).sum())
    # A true object of which two of ours hold a quarter each; the other way round.
    split = np.bincount(a[shared > 0.25 * sizes_t[a]], minlength=len(sizes_t)) > 1
    merged = np.bincount(b[shared > 0.5 * sizes_t[a]], minlength=len(sizes_f)) > 1
    return {
        "f1": 2 * matched / max(1, true + mine),
        "over": float(split.sum()) / max(1, true),
        "under": float(merged.sum()) / max(1, true),
        "count": mine / max(1, true),
    }


def measure_table(side: int, count: int) -> None:
    """Measure many objects of a large plane, and what that takes."""
    import tempfile

    import zarr

    with tempfile.TemporaryDirectory() as folder:
        array = zarr.create_array(
            folder, shape=(side, side), chunks=(512, 512), dtype="int32"
        )
        step = int(side / np.sqrt(count))
        y, x = np.mgrid[:step, :step] - step // 2
        disc = y**2 + x**2 < (step * 0.35) ** 2
        number = 0
        for row in range(side // step):
            strip = np.zeros((step, side), np.int32)
            for column in range(side // step):
                number += 1
                strip[:, column * step : (column + 1) * step][disc] = number
            array[row * step : (row + 1) * step] = strip
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.perf_counter()
        table = dp.objects_table(dp.ObjectData(array))
        seconds = time.perf_counter() - start
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        right = bool((table["area_px"] == disc.sum()).all())
        print(
            f"{len(table)} objects of {side} x {side}: {seconds:.0f} s, "
            f"{grown / 1024:.0f} MB more at most; areas right: {right}"
        )


def run(words: Sequence[str] | None = None) -> None:
    """Measure and print."""
    parser = quality_parser(__doc__, "objects.json")
    add = parser.add_argument
    add("--part", choices=("choose", "instances", "table"), default="choose")
    add("--draws", type=int, default=20)
    add("--limit", type=int, help="so many planes of each set of nuclei")
    add("--side", type=int, default=20_000)
    options = parser.parse_args(words)
    warnings.simplefilter("ignore", RuntimeWarning)
    if options.part == "table":
        measure_table(options.side, options.side**2 // 4000)
        return
    data = data_of(options)
    if data is None:
        parser.error("the sample has no such objects; give the measuring data")
    backbone = backbone_of(options)
    if options.part == "instances":
        for kind in NUCLEI_SETS:
            rows = []
            for plane in find_planes(data, (kind,), options.limit):
                truth = read_image(plane.truth_file).astype(np.int32)
                points = plane.prompts(CLICKS)[0].objects[:_PROMPTS]
                image = plane.image()
                reference = dp.make_reference(image, points, backbone=backbone)
                for split in (False, True):
                    cleaning = dp.Cleaning(20, fill_holes=True, split=split)
                    chosen = dp.SegmentOptions(cleaning=cleaning)
                    result = dp.segment(image, reference, backbone, chosen)
                    rows.append((split, match(np.asarray(result.instances), truth)))
            for split in (False, True):
                mine = [one for at, one in rows if at == split]
                shown = "  ".join(
                    f"{name} {np.mean([one[name] for one in mine]):.3f}"
                    for name in mine[0]
                )
                print(f"{kind} {'split' if split else 'plain'} n {len(mine)}: {shown}")
        return
    sets = {
        "stain_deepliif": stained(data),
        "nuclei_histo": shifted(data, "nuclei_histo", options.limit),
        "nuclei_bright": shifted(data, "nuclei_bright", options.limit),
    }
    for name, fields in sets.items():
        together: dict[str, list[float]] = {}
        for known in fields:
            found = measure_choice(known, backbone, options.draws)
            if found is None:
                continue
            if name == "stain_deepliif":
                report(f"{name} {known[0]}", found)
            for key, values in found.items():
                together.setdefault(key, []).append(float(np.mean(values)))
        report(f"{name} (mean of fields)", together)


def report(title: str, found: dict[str, list[float]]) -> None:
    """Print means with their standard errors."""
    shown = "  ".join(
        f"{name} {np.mean(values):.3f} ± {np.std(values) / np.sqrt(len(values)):.3f}"
        for name, values in found.items()
    )
    print(f"{title} n {len(next(iter(found.values())))}: {shown}", flush=True)


main = exit_code(run)


if __name__ == "__main__":
    raise SystemExit(main())
