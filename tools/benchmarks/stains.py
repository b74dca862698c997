"""Real against fake: the tables of docs/real-vs-fake.md.

python tools/benchmarks/stains.py --output stains
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage as ndi

sys.path.append(str(Path(__file__).parent))

from programs import backbone_of, data_of, exit_code, quality_parser
from stain_parts.fields import StainField, deepliif_images, find_stain_fields, points_on

import napari_dinoprompt as dp
from napari_dinoprompt.core.comparison.columns import COLUMNS
from napari_dinoprompt.core.comparison.metrics import measure_agreement
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.segmentation.segment import SegmentOptions, segment

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_dinoprompt.core.backbones.base import Backbone
    from napari_dinoprompt.core.comparison.report import Comparison
    from napari_dinoprompt.core.references.reference import Reference

CLEANING = Cleaning(min_size=30, fill_holes=True, split=True)
WINDOWS = ("reference", "image", "histogram")
MAIN: tuple[str, ...] = (
    "iou",
    "f1",
    "only_in_real",
    "only_in_fake",
    "mse",
    "ssim",
    "pearson",
)
MAIN += ("feature_distance", "average_precision")


def reference_of(field: StainField, backbone: Backbone) -> Reference:
    """Make a reference from the prompts of a field."""
    features = dp.extract_features(field.real, backbone)
    return dp.Reference.from_prompts(features, field.points)


def compare_field(field: StainField, backbone: Backbone, draws: int) -> Comparison:
    """Compare all fakes of a field with its labels."""
    return dp.compare(
        field.real,
        list(field.fakes.values()),
        reference_of(field, backbone),
        backbone=backbone,
        truth=field.truth,
        options=SegmentOptions(cleaning=CLEANING),
        names=list(field.fakes),
        draws=draws,
    )


def comparison_table(name: str, report: Comparison) -> list[str]:
    """Show all figures of a field: figures are rows, images columns."""
    lines = [f"### {name}", ""]
    lines += head(["figure", *(row.name for row in report.rows), "noise floor"])
    for one in report.columns:
        cells = [report.title(one)]
        for row in report.rows:
            interval = row.intervals.get(one.key)
            cells.append(show(row.measures.figures[one.key], interval))
        floor = report.noise_floor.get(one.key)
        cells.append("" if floor is None else f"{floor[0]:.3g} ({floor[1]:.3g})")
        lines.append("| " + " | ".join(cells) + " |")
    return [*lines, ""]


def show(value: float, interval: tuple[float, float] | None) -> str:
    """Show a figure with its interval."""
    if np.isnan(value):
        return ""
    if interval is None:
        return f"{value:.3g}"
    return f"{value:.3g} ({interval[0]:.3g} to {interval[1]:.3g})"


def order_table(reports: dict[str, Comparison]) -> list[str]:
    """Show which columns put the undertrained fake below every trained one."""
    lines = ["### Does the figure put undertrained below trained?", ""]
    lines += head(["figure", *reports, "everywhere"])
    for one in COLUMNS:
        if one.better == "none":
            continue
        told = []
        for report in reports.values():
            worst, *others = (r.measures.figures[one.key] for r in report.reports)
            sign = 1 if one.better == "higher" else -1
            told.append(all(sign * worst < sign * other for other in others))
        marks = ["yes" if right else "no" for right in told]
        every = "**yes**" if all(told) else "no"
        lines.append("| " + " | ".join([one.title, *marks, every]) + " |")
    return [*lines, ""]


def own_copies(field: StainField, backbone: Backbone) -> list[str]:
    """Compare a real with changed copies of itself."""
    real = field.real.astype(np.float32)
    rng = np.random.default_rng(0)
    copies = {
        "itself": real,
        "shifted by 3 px": np.roll(real, 3, axis=1),
        "inverted": real.max() - real,
        "blurred, sigma 2": ndi.gaussian_filter(real, 2),
        "noise of 12": (real + rng.normal(0, 12, real.shape)).clip(0, 255),
        "0.7 as bright": real * 0.7,
    }
    report = dp.compare(
        real,
        list(copies.values()),
        reference_of(field, backbone),
        backbone=backbone,
        options=SegmentOptions(cleaning=CLEANING),
        names=list(copies),
        draws=0,
    )
    titles = [one.title for one in COLUMNS if one.key in MAIN]
    lines = [f"### Copies of the real ({field.name})", "", *head(["copy", *titles])]
    for row in report.reports:
        figures = row.measures.figures
        cells = [show(figures[one.key], None) for one in COLUMNS if one.key in MAIN]
        lines.append("| " + " | ".join([row.name, *cells]) + " |")
    return [*lines, ""]


def windows_table(
    fields: list[StainField], data: Path | None, placed: str, backbone: Backbone
) -> list[str]:
    """Show what each window policy forgives: IoU with the labels."""
    lines = ["### Window policies, IoU with the labels", ""]
    lines += head(["image", *WINDOWS])
    for field in fields:
        reference = reference_of(field, backbone)
        for name, image in {"real": field.real, **field.fakes}.items():
            found = [
                iou(image, reference, backbone, window, field.real, field.truth)
                for window in WINDOWS
            ]
            lines.append("| " + " | ".join([f"{field.name} {name}", *found]) + " |")
    for stain in ("DAPI", "Hematoxylin") if data is not None else ():
        images = deepliif_images(data, stain)
        (source, nuclei), *_ = images.values()
        features = dp.extract_features(source, backbone)
        reference = dp.Reference.from_prompts(features, points_on(nuclei, placed))
        for name, (image, truth) in images.items():
            found = [
                iou(image, reference, backbone, window, source, truth)
                for window in WINDOWS
            ]
            lines.append("| " + " | ".join([f"{stain} {name}", *found]) + " |")
    return [*lines, ""]


def iou(
    image: np.ndarray,
    reference: Reference,
    backbone: Backbone,
    window: str,
    like: np.ndarray,
    truth: np.ndarray,
) -> str:
    """Segment an image under a policy and compare with the labels."""
    options = SegmentOptions(window=window, cleaning=CLEANING)  # type: ignore[arg-type]
    like = like if window == "histogram" else None  # type: ignore[assignment]
    found = segment(image, reference, backbone, options, like=like)
    return f"{measure_agreement(found.mask, truth).iou:.2f}"


def head(cells: list[str]) -> list[str]:
    """Return the head of a Markdown table."""
    rule = "| --- " + "| ---: " * (len(cells) - 1) + "|"
    return ["| " + " | ".join(cells) + " |", rule]


@exit_code
def main(words: Sequence[str] | None = None) -> None:
    """Compute all tables."""
    parser = quality_parser(__doc__, "stains")
    parser.add_argument("--draws", type=int, default=20)
    asked = parser.parse_args(words)
    data = data_of(asked)
    backbone = backbone_of(asked)
    fields = find_stain_fields(data, asked.placed)
    reports: dict[str, Comparison] = {}
    lines = []
    for field in fields:
        reports[field.name] = compare_field(field, backbone, asked.draws)
        lines += comparison_table(field.name, reports[field.name])
        reports[field.name].save(asked.output / field.name.replace(" ", "_"))
        (asked.output / "stains.md").write_text("\n".join(lines) + "\n")
    lines += order_table(reports)
    lines += own_copies(fields[0], backbone)
    lines += windows_table(fields, data, asked.placed, backbone)
    (asked.output / "stains.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    sys.exit(main())
