"""`dinoprompt compare`: the numbers of the API, files, and how it fails."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from scipy import ndimage as ndi

import napari_dinoprompt as dp
from napari_dinoprompt import cli
from napari_dinoprompt.core.comparison import figure
from napari_dinoprompt.core.io.read import read_image

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Bench:
    folder: Path
    real: Path
    fake: Path
    large: Path
    truth: Path
    reference: Path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch) -> Callable[..., Ran]:
    monkeypatch.setenv("COLUMNS", "150")

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ran(int(ended.value.code or 0), out, err)

    return run


@pytest.fixture
def bench(tmp_path: Path, blobs, blob_reference) -> Bench:
    weak = ndi.gaussian_filter(blobs.image, 1)
    paths = {
        "real": tmp_path / "real.tif",
        "fake": tmp_path / "fake.png",
        "large": tmp_path / "large.tif",
        "truth": tmp_path / "truth.tif",
    }
    tifffile.imwrite(paths["real"], blobs.image)
    iio.imwrite(paths["fake"], weak)
    tifffile.imwrite(paths["large"], np.kron(weak, np.ones((2, 2), np.uint8)))
    tifffile.imwrite(paths["truth"], blobs.truth.astype(np.uint16))
    return Bench(tmp_path, reference=blob_reference.save(tmp_path / "blobs"), **paths)


def test_a_comparison_that_was_killed_is_told_from_a_whole_one(
    run, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = bench.folder / "out"
    options = ("--reference", bench.reference, "--output", out, "--draws", 0)
    command = ("compare", bench.real, bench.fake, *options)

    def killed(*_: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(figure, "render", killed)
        assert run(*command).code == 130
    line = f"dinoprompt: the comparison in {out} did not finish; it is made anew.\n"
    assert run(*command).err == line
    assert run(*command).err == ""


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_command_and_api_give_the_same_numbers(run, bench: Bench) -> None:
    output = bench.folder / "results"
    ran = run(
        *("compare", bench.real, bench.fake, bench.large),
        *("--reference", bench.reference, "--truth", bench.truth),
        *("--input", bench.large, "--output", output, "--draws", 3),
        *("--min-size", 12, "--fill-holes", "--split", "--window", "histogram"),
    )
    assert (ran.code, ran.err) == (0, "")
    expected = dp.compare(
        read_image(bench.real),
        [read_image(bench.fake), read_image(bench.large)],
        dp.Reference.load(bench.reference),
        truth=read_image(bench.truth),
        options=dp.SegmentOptions(
            window="histogram",
            cleaning=dp.Cleaning(min_size=12, fill_holes=True, split=True),
        ),
        names=["fake", "large"],
        draws=3,
    )
    rows = table_of(output / "comparison.csv")
    for row, record in zip(rows, expected.table, strict=True):
        assert list(row) == list(record)
        for key, value in record.items():
            assert row[key] == ("" if value != value else str(value))
    assert (output / "comparison.pdf").is_file()
    np.testing.assert_array_equal(
        tifffile.imread(output / "fake_agreement.tif"), expected.agreement
    )
    for words in ("hallucinated", "noise floor", "own-threshold IoU", str(output)):
        assert words in ran.out
    fake = expected.reports[0]
    low, high = fake.intervals["iou"]
    assert f"{fake.measures.figures['iou']:.3f} [{low:.3f}, {high:.3f}]" in ran.out


def test_without_truth_and_draws(run, bench: Bench, monkeypatch) -> None:
    monkeypatch.setattr(figure, "draw_comparison", lambda *_: None)
    monkeypatch.setattr(figure, "render", lambda *_: b"")
    ran = run(
        *("compare", bench.real, bench.fake, "--reference", bench.reference),
        *("--output", bench.folder / "results", "--draws", 0),
    )
    assert ran.code == 0
    assert "compared with the mask of the real" in ran.out
    assert "No intervals and no noise floor" in ran.out
    assert "hallucinated" not in ran.out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"real": "missing.tif"}, "There is no image file"),
        ({"fake": "missing.tif"}, "There is no image file"),
        ({"--truth": "blobs.reference.safetensors"}, "cannot be read"),
        ({"--input": "missing.tif"}, "There is no image file"),
        ({"--reference": "missing"}, "There is no reference file"),
        ({"--class": "cell"}, "no object class 'cell'"),
        ({"--window": "auto"}, "--window must be reference, image, histogram or LOW"),
        ({"--draws": 1}, "at least 2"),
        ({"--draws": -1}, "--draws"),
    ],
)
def test_one_line_says_what_is_wrong(run, bench: Bench, change, words) -> None:
    given = {"--reference": bench.reference.name, "--output": "out"} | change
    folder = bench.folder
    paths = ("--reference", "--output", "--truth", "--input")
    options = [
        part
        for key, value in given.items()
        if key.startswith("--")
        for part in (key, folder / value if key in paths else value)
    ]
    real = folder / given.get("real", bench.real)
    fake = folder / given.get("fake", bench.fake)
    ran = run("compare", real, fake, *options)
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert line.startswith("dinoprompt: ")
    assert words in line
    assert not (folder / "out").exists()


def test_another_field_is_refused(run, bench: Bench) -> None:
    other = bench.folder / "other.tif"
    tifffile.imwrite(other, np.zeros((90, 20), np.uint8))
    ran = run(
        *("compare", bench.real, other, "--reference", bench.reference),
        *("--output", bench.folder / "out"),
    )
    assert ran.code == 2
    assert "aspect ratio" in ran.err


def test_segment_matches_the_histogram_of_a_real_image(run, bench: Bench) -> None:
    call = (
        *("segment", bench.fake, "--reference", bench.reference),
        *("--output", bench.folder / "out", "--window", "histogram"),
    )
    ran = run(*call, "--like", bench.real)
    assert (ran.code, ran.err) == (0, "")
    expected = dp.segment(
        read_image(bench.fake),
        dp.Reference.load(bench.reference),
        options=dp.SegmentOptions(window="histogram"),
        like=read_image(bench.real),
    )
    np.testing.assert_array_equal(
        tifffile.imread(bench.folder / "out" / "fake_mask.tif"), expected.mask
    )
    ran = run(*call)
    assert ran.code == 2
    (line,) = ran.err.splitlines()
    assert "--like REAL" in line


def test_results_never_overwrite_what_they_come_from(run, bench: Bench) -> None:
    precious = bench.folder / "fake_ssim.tif"
    precious.write_bytes(bench.real.read_bytes())
    ran = run(
        *("compare", precious, bench.fake, "--reference", bench.reference),
        *("--output", bench.folder),
    )
    assert ran.code == 2
    assert "would overwrite" in ran.err
    assert precious.read_bytes() == bench.real.read_bytes()
