"""`dinoprompt study`: the numbers of the API, and how it fails."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

import napari_dinoprompt as dp
from napari_dinoprompt import cli

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def bench(tmp_path: Path, blobs) -> Path:
    tifffile.imwrite(tmp_path / "image.tif", blobs.image)
    tifffile.imwrite(tmp_path / "truth.tif", blobs.truth.astype(np.uint16))
    lines = [f"{i},{y},{x}" for i, (y, x) in enumerate(blobs.prompts)]
    (tmp_path / "points.csv").write_text(
        "\n".join(["index,axis-0,axis-1", *lines]) + "\n"
    )
    return tmp_path


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_command_and_api_give_the_same_numbers(capsys, bench, blobs) -> None:
    code, out, err = run(
        capsys,
        *("study", bench / "image.tif", "--points", bench / "points.csv"),
        *("--truth", bench / "truth.tif", "--output", bench / "out"),
        *("--backbone", "filterbank", "--device", "cpu", "--orders", 8),
        *("--upscale", "auto", "--upscale", 2, "--other", bench / "image.tif"),
        "--points-only",
    )
    assert (code, err) == (0, "")
    expected = dp.study(
        blobs.image,
        blobs.prompts,
        backbone=dp.load_backbone("filterbank", device="cpu"),
        truth=blobs.truth,
        orders=8,
        upscales=(2,),
        points_only=True,
        others={"image.tif": blobs.image},
    )
    for name, part in expected.parts.items():
        with (bench / "out" / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        for row, record in zip(rows, part.rows(), strict=True):
            assert list(row) == list(record)
            for key, value in record.items():
                # Times differ from run to run.
                if key not in ("seconds", "recommended"):
                    assert row[key] == ("" if value != value else str(value))
    assert expected.convergence.sentence in out
    assert expected.threshold.sentence in out
    assert str(bench / "out") in out


def test_parts_are_chosen(capsys, bench) -> None:
    code, _, _ = run(
        capsys,
        *("study", bench / "image.tif", "--points", bench / "points.csv"),
        *("--output", bench / "out", "--backbone", "filterbank"),
        *("--parts", "influence, threshold"),
    )
    assert code == 0
    names = sorted(path.name for path in (bench / "out").iterdir())
    assert names == [
        *("influence.csv", "influence.png", "study.json"),
        *("threshold.csv", "threshold.png"),
    ]


def test_inputs_are_not_overwritten(capsys, bench) -> None:
    (bench / "influence.csv").write_bytes((bench / "points.csv").read_bytes())
    code, _, err = run(
        capsys,
        *("study", bench / "image.tif", "--points", bench / "influence.csv"),
        *("--output", bench, "--backbone", "filterbank"),
    )
    assert code == 2
    assert "would overwrite" in err


def test_only_the_first_upscale_is_chosen_by_itself(capsys, bench) -> None:
    code, _, err = run(
        capsys,
        *("study", bench / "image.tif", "--points", bench / "points.csv"),
        *("--output", bench / "out", "--upscale", 2, "--upscale", "auto"),
    )
    assert code == 2
    assert "Only the first --upscale" in err


def test_a_part_that_is_none(capsys, bench) -> None:
    code, _, err = run(
        capsys,
        *("study", bench / "image.tif", "--points", bench / "points.csv"),
        *("--output", bench / "out", "--backbone", "filterbank", "--parts", "all,some"),
    )
    assert code == 2
    assert "no part" in err
    assert not (bench / "out").exists()
