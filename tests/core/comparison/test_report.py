"""A comparison as files and as a figure."""

from __future__ import annotations

import csv
import json
import math
import sys
from typing import TYPE_CHECKING, Any

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import torch

import napari_dinoprompt as dp
from napari_dinoprompt.core.comparison import figure, perceptual, report
from napari_dinoprompt.core.comparison.columns import COLUMNS
from napari_dinoprompt.core.comparison.perceptual import find_network
from napari_dinoprompt.core.comparison.report import comparison_paths
from napari_dinoprompt.core.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    Blobs = Any  # of the conftest, which cannot be imported

GIVEN = ["a/b: c", "A_b_c", "real"]
# The row of the real itself is called that already.
NAMES = [*GIVEN[:2], "real (fake)"]


@pytest.fixture(scope="module")
def found(blobs: Blobs, other_blobs: Blobs, blob_reference, filterbank):
    half = blobs.image.copy()
    half[:70] = 30
    return dp.compare(
        blobs.image,
        [other_blobs.image, half, blobs.image],
        blob_reference,
        backbone=filterbank,
        truth=blobs.truth,
        names=GIVEN,
        draws=2,
    )


def test_all_files_are_written(found, blobs: Blobs, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "results"
    written = found.save(folder, blobs.image)
    assert set(written) == set(folder.iterdir()) == set(comparison_paths(folder, NAMES))
    assert {path.name for path in written} > {
        "a_b_c_agreement.tif",
        "A_b_c_2_ssim.tif",
        "real_fake_squared_error.tif",
    }
    maps = found.reports[1].measures.maps
    for kind in ("agreement", "ssim", "squared_error", "feature_distance"):
        stored = tifffile.imread(folder / f"A_b_c_2_{kind}.tif")
        np.testing.assert_array_equal(stored, getattr(maps, kind))
    with (folder / "comparison.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["real", *NAMES]
    for row, record in zip(rows, found.table, strict=True):
        for key, value in record.items():
            if isinstance(value, float):
                assert row[key] == ("" if math.isnan(value) else str(value))
    with (folder / "objects.csv").open(newline="") as file:
        objects = list(csv.DictReader(file))
    unmatched = [one for report in found.rows for one in report.measures.unmatched]
    assert [float(one["y"]) for one in objects] == [one.centre[0] for one in unmatched]
    assert {one["kind"] for one in objects} >= {"only in real"}
    assert iio.imread(folder / "comparison.png").std() > 10
    assert (folder / "comparison.pdf").read_bytes().startswith(b"%PDF")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than all else."""
    monkeypatch.setattr(figure, "draw_comparison", lambda *_: None)
    monkeypatch.setattr(figure, "render", lambda *_: b"")


def test_json_says_what_the_figures_mean(found, undrawn, tmp_path: Path) -> None:
    found.save(tmp_path)

    def refuse(name: str) -> None:
        pytest.fail(f"{name} is no JSON")

    text = (tmp_path / "comparison.json").read_text(encoding="utf-8")
    content = json.loads(text, parse_constant=refuse)
    assert [one["key"] for one in content["columns"]] == [one.key for one in COLUMNS]
    assert all(one["meaning"] and one["source"] for one in content["columns"])
    assert "hallucinated" in {one["title"] for one in content["columns"]}
    assert content["software"].startswith("napari-dinoprompt ")
    assert content["settings"]["prompts"] == {"object": 5}
    assert content["settings"]["draws"] == 2
    assert content["table"][0]["psnr"] == "inf"
    assert content["table"][0]["psnr_low"] is None
    median, bound = found.noise_floor["iou"]
    assert content["noise_floor"]["iou"] == {"median": median, "95_percent": bound}


def test_a_comparison_that_was_stopped_is_told_from_a_whole_one(
    found, undrawn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found.save(tmp_path)
    assert (tmp_path / "comparison.json").exists()

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "write_tiff", stop)
    with pytest.raises(KeyboardInterrupt):
        found.save(tmp_path)
    # The other files are partly of this, partly of the one before.
    assert not (tmp_path / "comparison.json").exists()
    monkeypatch.undo()
    assert found.save(tmp_path)[-1] == tmp_path / "comparison.json"


def test_no_unmatched_object_leaves_a_header(
    blobs: Blobs, blob_reference, filterbank, undrawn, tmp_path: Path
) -> None:
    same = dp.compare(
        blobs.image, blobs.image, blob_reference, backbone=filterbank, draws=0
    )
    same.save(tmp_path)
    assert (tmp_path / "objects.csv").read_text().startswith("name,side,kind")
    assert len((tmp_path / "objects.csv").read_text().splitlines()) == 1


def test_a_folder_that_cannot_be_made(found, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        found.save(tmp_path / "file")


def test_the_figure_shows_every_fake_and_the_numbers(found, blobs: Blobs) -> None:
    drawn = found.figure(np.stack([blobs.image] * 3, axis=2))
    titles = [panel.get_title(loc="left") for panel in drawn.findobj(is_panel)]
    assert set(NAMES) <= set(titles)
    assert {"real", "truth", "input of the model"} <= set(titles)
    assert sum(title.startswith("agreement") for title in titles) == len(NAMES)
    (table,) = drawn.findobj(is_table)
    words = {cell.get_text().get_text() for cell in table.get_celld().values()}
    assert {"missed", "hallucinated", "noise floor"} <= words
    iou = found.reports[0].measures.figures["iou"]
    assert any(word.startswith(f"{iou:.3f}\n[") for word in words)


def is_panel(artist: object) -> bool:
    return hasattr(artist, "get_title") and hasattr(artist, "imshow")


def is_table(artist: object) -> bool:
    return hasattr(artist, "get_celld")


def test_lpips_is_never_downloaded(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setattr(perceptual, "find_spec", lambda _: object())
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    # Importing it would fail.
    monkeypatch.setitem(sys.modules, "lpips", None)
    assert find_network() is None
    monkeypatch.setattr(perceptual, "find_spec", lambda _: None)
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / perceptual.WEIGHTS).write_text("")
    assert find_network() is None
