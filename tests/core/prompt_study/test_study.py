"""All parts together, and as files."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

import napari_dinoprompt as dp
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.core.prompt_study.report import PARTS, study_paths
from napari_dinoprompt.core.prompt_study.study import iter_study


@pytest.fixture(scope="module")
def found(blobs, filterbank) -> dp.Study:
    return dp.study(
        blobs.image,
        blobs.prompts,
        backbone=filterbank,
        truth=blobs.truth,
        orders=10,
        upscales=(1, 2),
    )


def test_all_parts_are_there_and_answer(found) -> None:
    assert tuple(found.parts) == PARTS
    text = " ".join(found.sentences)
    for words in ("enough: the", "Take filterbank", "which is in use"):
        assert words in text
    assert len(found.resolution.trials) == 2
    # A truth's IoU at the whole set is the same on the curve and by influence.
    assert found.convergence.score[2, -1] == found.influence.full_iou


def test_saved_files_hold_the_tables(found, tmp_path) -> None:
    written = found.save(tmp_path / "new")
    assert sorted(written) == sorted(study_paths(tmp_path / "new", PARTS))
    for name, part in found.parts.items():
        with (tmp_path / "new" / f"{name}.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))
        expected = [
            {key: "" if one != one else str(one) for key, one in row.items()}
            for row in part.rows()
        ]
        assert rows == expected
    summary = json.loads((tmp_path / "new" / "study.json").read_text())
    assert summary["answers"] == list(found.sentences)
    assert summary["settings"]["with_truth"] is True
    assert summary["parts"]["convergence"][0]["change_50"] is None
    for path in written:
        if path.suffix == ".png":
            pixels = np.asarray(Image.open(path).convert("L"))
            assert pixels.min() < 100
    assert not list((tmp_path / "new").glob(".dinoprompt*"))


def test_vectors_of_points_are_studied_if_asked_for(blobs, filterbank, found) -> None:
    points = dp.study(
        blobs.image,
        blobs.prompts,
        backbone=filterbank,
        parts=["threshold", "resolution"],
        upscales=(),
        points_only=True,
    )
    features = dp.extract_features(blobs.image, filterbank)
    reference = dp.Reference.from_prompts(features, blobs.prompts, points_only=True)
    (trial,) = points.resolution.trials
    assert trial.threshold == reference.auto_thresholds["object"]
    assert trial.threshold != found.resolution.trials[0].threshold
    assert points.threshold.automatic == trial.threshold


def test_a_folder_that_cannot_be_written(found, tmp_path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        found.save(tmp_path / "file")


def test_one_part_and_one_prompt(blobs, filterbank) -> None:
    found = dp.study(
        blobs.image,
        blobs.prompts[:1],
        backbone=filterbank,
        parts=["threshold", "convergence"],
    )
    assert list(found.parts) == ["threshold"]
    assert "One prompt cannot converge" in found.sentences[-1]


def test_progress_rises_and_the_study_can_be_stopped(blobs, filterbank) -> None:
    steps = iter_study(
        blobs.image,
        blobs.prompts,
        backbone=filterbank,
        orders=5,
        parts=["convergence", "influence"],
    )
    said = []
    for step in steps:
        assert isinstance(step, Progress)
        said.append(step.done / step.total)
    assert said == sorted(said)
    assert (said[0], said[-1]) == (0, 1)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"parts": ["converge"]}, "no part 'converge'"),
        ({"parts": []}, "nothing to study"),
        ({"points": np.zeros((0, 2))}, "no prompt"),
        ({"classes": ["background"] * 5}, "All prompts are background"),
        ({"upscale": 200}, "too large"),
    ],
)
def test_what_cannot_be_studied(blobs, filterbank, wrong, words) -> None:
    given = {"points": blobs.prompts, "backbone": filterbank, **wrong}
    with pytest.raises(InputError, match=words):
        dp.study(blobs.image, **given)


def test_nothing_to_be_seen(blobs, filterbank) -> None:
    with pytest.raises(InputError, match="nothing to study"):
        dp.study(np.full((64, 64), 7), [(3, 3)], backbone=filterbank)
