"""The programs for the prompt study, stains and planted nuclei, on the sample."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import hallucinations
import numpy as np
import prompt_study
import pytest
import stains
from quality_parts.data import CLICKS, RANDOM, sample_planes
from stain_parts.fields import points_on

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("program", [prompt_study, stains, hallucinations])
def test_without_measuring_data_a_program_says_so(
    program: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(["--data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_sample_has_prompts_at_random_too() -> None:
    plane = next(sample_planes())
    assert plane.prompts(CLICKS) is plane.draws[CLICKS]
    draws = plane.prompts(RANDOM)
    assert len(draws) == 5
    for one in draws:
        assert one.objects.shape == one.background.shape == (20, 2)
        assert plane.truth[tuple(one.objects.astype(int).T)].all()
        assert not plane.truth[tuple(one.background.astype(int).T)].any()


def test_nuclei_of_typical_size_are_clicked_in_the_middle() -> None:
    nuclei = np.zeros((60, 400), dtype=bool)
    for number in range(10):
        nuclei[20:29, 40 * number : 40 * number + 9] = True
    nuclei[:60, 300:340] = True  # a fold of the tissue
    nuclei[5, 5:90:40] = True  # specks
    points = points_on(nuclei, CLICKS)
    assert len(np.unique(points, axis=0)) == 5
    assert (points[:, 0] == 24).all()
    assert (points[:, 1] % 40 == 4).all()


@pytest.mark.parametrize("placed", [CLICKS, RANDOM])
def test_the_study_of_the_sample(tmp_path: Path, placed: str) -> None:
    words = ["--sample-only", "--parts", "threshold", "--placed", placed]
    assert prompt_study.main([*words, "--output", str(tmp_path)]) == 0
    with (tmp_path / f"threshold_filterbank_{placed}.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert row["image"] == "sample"
    assert 0.5 < float(row["IoU automatic"]) <= float(row["IoU best"])
