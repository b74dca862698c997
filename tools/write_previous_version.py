"""Write the files that ``tests/core/test_previous_version.py`` opens.

    python tools/write_previous_version.py tests/data/previous_version

They are written once, by the last version before a large change, and kept: a version
that cannot read them, or computes anew what they hold, has broken a promise.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

VERSION = "0.1.0"
"""What the files say that they were written by; hashes of settings hold it."""

_ask = importlib.metadata.version
importlib.metadata.version = lambda name: (
    VERSION if name == "napari-dinoprompt" else _ask(name)
)
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "support"))

import numpy as np  # noqa: E402
import tifffile  # noqa: E402
from fixed_vit import FIXED_VIT, write_fixed_vit  # noqa: E402
from small_stack import DIM, DISCS, EMPTY, draw_plane, draw_stack  # noqa: E402

import napari_dinoprompt as dp  # noqa: E402
from napari_dinoprompt.cli import main as run_command  # noqa: E402
from napari_dinoprompt.core.lazy_planes import LazyPlane  # noqa: E402
from napari_dinoprompt.core.progress import run_through  # noqa: E402
from napari_dinoprompt.core.recovery.fingerprint import fingerprint_image  # noqa: E402
from napari_dinoprompt.core.recovery.keeper import Keeper  # noqa: E402
from napari_dinoprompt.core.recovery.record import (  # noqa: E402
    ImageRecord,
    KeptSettings,
)

CHANGED = 1_700_000_000
"""When the images of the batch were last written, in seconds since 1970."""
CLEANING = dp.Cleaning(min_size=12, fill_holes=True)


def write_images(folder: Path) -> None:
    folder.mkdir()
    for seed, name in enumerate(("first", "second")):
        tifffile.imwrite(folder / f"{name}.tif", draw_plane(seed), compression="zlib")
        os.utime(folder / f"{name}.tif", (CHANGED, CHANGED))
    stack = draw_stack(4)
    tifffile.imwrite(folder / "stack.tif", stack, compression="zlib")


def write_references(folder: Path, images: Path) -> dp.Reference:
    """Two classes and background, a threshold by hand, and prompts of two images."""
    folder.mkdir()
    backbone = dp.load_backbone("filterbank", device="cpu")
    made = []
    for name in ("first", "second"):
        features = dp.extract_features(
            tifffile.imread(images / f"{name}.tif"), backbone
        )
        points = [*DISCS, DIM, EMPTY]
        classes = ["object"] * len(DISCS) + ["dim", "background"]
        made.append(
            dp.Reference.from_prompts(
                features, points, classes, source=name, pixel_size=(0.5, 0.25)
            )
        )
    made[0].save(folder / "first")
    joined = (made[0] + made[1]).with_thresholds({"object": 0.5})
    joined.save(folder / "joined")
    return joined


def write_batch(folder: Path, images: Path, reference: Path) -> None:
    """Two images, of which the second was being written when the program ended."""
    words = ["segment", *map(str, [images / "first.tif", images / "second.tif"])]
    words += ["--reference", str(reference), "--output", str(folder)]
    words += ["--min-size", "12", "--fill-holes", "--device", "cpu"]
    try:
        run_command(words)
    except SystemExit as ended:
        assert not ended.code
    # Whoever takes the folder elsewhere says where the images are now.
    record = json.loads((folder / "first_record.json").read_text("utf-8"))
    record["job"]["image"] = "first.tif"
    (folder / "first_record.json").write_text(json.dumps(record, indent=1))
    (folder / "second_record.json").write_text('{"unfinished": true}')
    for kind in ("mask", "instances"):
        (folder / f"second_{kind}.tif").unlink()


def write_stack(store: Path, images: Path, reference: dp.Reference) -> None:
    """Two of four planes are finished."""
    stack = tifffile.imread(images / "stack.tif")
    backbone = dp.load_backbone("filterbank", device="cpu")
    options = dp.SegmentOptions(cleaning=CLEANING)
    dp.segment_stack(
        stack, reference, backbone, options, planes=[(0,), (2,)], store=store
    )


def write_features(folder: Path, images: Path) -> None:
    """What a network made of an image, as it lies in the cache."""
    os.environ["DINOPROMPT_CACHE"] = str(folder.resolve())
    with tempfile.TemporaryDirectory() as place:
        weights = write_fixed_vit(Path(place, "weights.safetensors"))
        backbone = dp.load_backbone(
            FIXED_VIT, checkpoint=weights, device="cpu", precision="fp32"
        )
        dp.extract_features(tifffile.imread(images / "first.tif"), backbone)


def write_prompts(folder: Path, images: Path) -> None:
    """What a dock had kept when its program ended."""
    image = tifffile.imread(images / "first.tif")
    steps = fingerprint_image(lambda index: LazyPlane(image, index), ())
    record = ImageRecord(
        key="image/prompts",
        fingerprint=run_through(steps),
        image="first",
        points=((12.5, 12.5), (34.5, 46.5), (24.5, 30.5)),
        placed=((6.25, 3.125), (17.25, 11.625), (12.25, 7.625)),
        classes=("object", "dim", "background"),
        thresholds={"dim": 0.25},
        settings=KeptSettings(
            backbone="filterbank",
            own_weights=False,
            device="auto",
            precision="auto",
            upscale=2.0,
            classes=("object", "background", "dim", "unused"),
            selected_class="dim",
            cleaning=CLEANING,
        ),
    )
    keeper = Keeper(folder)
    keeper.note(record)
    keeper.close()
    for lock in folder.glob("*.lock"):
        lock.unlink()


def write_comparison(folder: Path, images: Path, reference: dp.Reference) -> None:
    real, fake = (
        tifffile.imread(images / f"{name}.tif") for name in ("first", "second")
    )
    truth = (real > 110).astype(np.uint8)
    options = dp.SegmentOptions(cleaning=CLEANING)
    found = dp.compare(
        real, fake, reference, truth=truth, options=options, names=["fake"], draws=2
    )
    found.save(folder)
    for figure in ("comparison.png", "comparison.pdf"):
        (folder / figure).write_bytes(b"")  # nobody reads them again


def main(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    images = folder / "images"
    write_images(images)
    reference = write_references(folder / "references", images)
    file = folder / "references" / "joined.reference.safetensors"
    write_batch(folder / "batch", images, file)
    write_stack(folder / "stack.zarr", images, reference)
    write_features(folder / "features", images)
    write_prompts(folder / "prompts", images)
    write_comparison(folder / "comparison", images, reference)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
