"""The sample data are what their script draws, and have what they promise."""

from __future__ import annotations

import csv
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import pytest
from make_sample_data import (
    PROMPT_SEEDS,
    PROMPTS,
    draw_prompts,
    draw_sample_field,
    files_that_differ,
    read_image,
    write_prompts,
)

from napari_dinoprompt.sample_data import FIELDS, sample_files, sample_path

if TYPE_CHECKING:
    from pathlib import Path

    from draw_tissue import TissueField


@cache
def fresh(field: str) -> TissueField:
    """Draw a field once for all tests."""
    return draw_sample_field(field)


def correlation(fake: Path, real: Path) -> float:
    """Return the Pearson correlation of two stored images."""
    pair = [read_image(path).ravel().astype(float) for path in (fake, real)]
    return float(np.corrcoef(pair)[0, 1])


def neighbouring_pairs(labels: np.ndarray) -> set[tuple[int, int]]:
    """Return the pairs of labels that share an edge between pixels."""
    pairs = set()
    for a, b in ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1])):
        touch = (a != b) & (a > 0) & (b > 0)
        pairs |= set(zip(a[touch].tolist(), b[touch].tolist(), strict=True))
    return pairs


@pytest.mark.slow
def test_drawing_twice_gives_the_same_field() -> None:
    first, second = fresh("early"), draw_sample_field("early")
    for name in ("membrane", "nuclei", "truth", "cells"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.records == second.records
    assert first.drawn == second.drawn


@pytest.mark.parametrize("field", FIELDS)
def test_stored_files_equal_a_fresh_drawing(field: str) -> None:
    drawn = fresh(field)
    images = {
        "membrane": drawn.membrane,
        "nuclei_real": drawn.nuclei,
        "nuclei_truth": drawn.truth,
    }
    folder = sample_path(f"{field}_membrane.png").parent
    assert files_that_differ(folder, field, images) == []
    files = sample_files(field)
    for role, image in images.items():
        assert read_image(files[role]).dtype == image.dtype


def test_a_changed_pixel_is_found() -> None:
    changed = fresh("early").nuclei.copy()
    changed[0, 0] ^= 1
    folder = sample_path("early_membrane.png").parent
    assert files_that_differ(folder, "early", {"nuclei_real": changed}) == [
        "early_nuclei_real.png"
    ]


def test_late_has_more_and_smaller_nuclei() -> None:
    early, late = (np.bincount(fresh(f).truth.ravel())[1:] for f in FIELDS)
    assert len(late) > 2.5 * len(early)
    assert np.median(late) < 0.5 * np.median(early)


@pytest.mark.parametrize("field", FIELDS)
def test_truth_labels_are_consecutive_and_recorded(field: str) -> None:
    drawn = fresh(field)
    labels = np.unique(drawn.truth)
    np.testing.assert_array_equal(labels, np.arange(len(drawn.drawn) + 1))
    owners = {i: record.label for record in drawn.records for i in record.nuclei}
    assert sorted(owners) == labels[1:].tolist()
    for label, owner in owners.items():
        assert (drawn.cells[drawn.truth == label] == owner).all()


@pytest.mark.parametrize("field", FIELDS)
def test_membranes_do_not_give_the_nuclei_away(field: str) -> None:
    drawn = fresh(field)
    whole = [record for record in drawn.records if record.inside]
    numbers = np.array([len(record.nuclei) for record in whole])
    assert 0.05 < (numbers == 0).mean() < 0.2
    assert 0.05 < (numbers == 2).mean() < 0.25
    assert {nucleus.focus for nucleus in drawn.drawn} == {0, 1, 2}


@pytest.mark.parametrize("field", FIELDS)
def test_cells_touch_and_so_do_double_nuclei(field: str) -> None:
    drawn = fresh(field)
    assert len(neighbouring_pairs(drawn.cells)) > len(drawn.records)
    doubles = {r.nuclei for r in drawn.records if len(r.nuclei) == 2}
    touching = {tuple(sorted(pair)) for pair in neighbouring_pairs(drawn.truth)}
    assert len(doubles & touching) >= 0.5 * len(doubles) > 0


@pytest.mark.parametrize("field", FIELDS)
def test_the_task_is_neither_trivial_nor_impossible(field: str) -> None:
    drawn = fresh(field)
    truth = drawn.truth > 0
    best = max(
        (truth & (drawn.nuclei > level)).sum() / (truth | (drawn.nuclei > level)).sum()
        for level in range(20, 120)
    )
    assert 0.65 < best < 0.9


@pytest.mark.parametrize("field", FIELDS)
def test_training_longer_makes_the_better_fake(field: str) -> None:
    files = sample_files(field)
    undertrained, trained = (
        correlation(files[f"nuclei_fake_{how}"], files["nuclei_real"])
        for how in ("undertrained", "trained")
    )
    assert 0.05 < undertrained < trained - 0.1
    assert 0.5 < trained < 0.95


@pytest.mark.parametrize("field", FIELDS)
def test_prompts_lie_in_the_truth(field: str) -> None:
    truth = fresh(field).truth
    path = sample_files(field)["prompts"]
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["index", "axis-0", "axis-1", "class"]
    assert [row[0] for row in rows[1:]] == [str(i) for i in range(PROMPTS)]
    assert {row[3] for row in rows[1:]} == {"object"}
    assert all(truth[int(float(y)), int(float(x))] > 0 for _, y, x, _ in rows[1:])
    redrawn = write_prompts(draw_prompts(truth, PROMPT_SEEDS[field]))
    assert path.read_text(encoding="utf-8") == redrawn


def test_all_files_are_small() -> None:
    folder = sample_path("early_membrane.png").parent
    files = [path for path in folder.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5_000_000


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="field must be one of"):
        sample_files("middle")
    with pytest.raises(FileNotFoundError, match="no sample file"):
        sample_path("none.png")


@pytest.mark.slow
def test_a_few_steps_of_training_lower_the_loss() -> None:
    train = pytest.importorskip("train_fake_stain", exc_type=ImportError)
    plan = train.TrainingPlan(steps=10, early_stop=2, batch=2, crop_px=64)
    with train.reproducible_torch(threads=1):
        first, second = (
            train.train_fake_stain([fresh("early")], plan) for _ in range(2)
        )
        assert first.losses == second.losses
        assert np.mean(first.losses[-3:]) < 0.7 * np.mean(first.losses[:3])
        fakes = [
            train.predict_nuclei(network, fresh("early").membrane)
            for network in (first.undertrained, first.trained)
        ]
    assert all(fake.shape == (512, 512) for fake in fakes)
    assert all(fake.dtype == np.uint8 for fake in fakes)
    assert (fakes[0] != fakes[1]).any()


def test_training_refuses_what_it_cannot_do() -> None:
    train = pytest.importorskip("train_fake_stain", exc_type=ImportError)
    with pytest.raises(ValueError, match="at least one field"):
        train.train_fake_stain([], train.TrainingPlan())
    with pytest.raises(ValueError, match="early_stop"):
        train.train_fake_stain(
            [fresh("early")], train.TrainingPlan(steps=2, early_stop=3)
        )
