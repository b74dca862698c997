"""The same prompts at several resolutions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from napari_dinoprompt.core.comparison.metrics import measure_agreement
from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.progress import Progress, run_to_end
from napari_dinoprompt.core.prompt_study.resolution import (
    Setting,
    advise,
    iter_resolution,
)
from napari_dinoprompt.core.prompts import Prompts
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.segmentation.similarities import score_classes


def study_resolution(*given, **options):
    return run_to_end(iter_resolution(*given, **options))


@pytest.fixture(scope="module")
def prompts(blobs) -> Prompts:
    return Prompts(blobs.prompts, ("object",) * 5)


def test_each_setting_is_what_the_tool_does(
    blobs, blob_features, filterbank, toy_vit, prompts
) -> None:
    settings = [Setting(filterbank, 1), Setting(filterbank, 2), Setting(toy_vit, 2)]
    large = np.kron(blobs.image, np.ones((4, 4), np.uint8))
    found = study_resolution(
        blobs.image, prompts, settings, truth=blobs.truth, others={"large.tif": large}
    )
    names = [one.name for one in found.trials]
    assert names == ["filterbank x1", "filterbank x2", "toy x2", "large.tif"]
    first, _, _, own = found.trials
    reference = Reference.from_prompts(blob_features, blobs.prompts)
    mask = score_classes(blob_features, reference).mask(reference.auto_thresholds)
    np.testing.assert_array_equal(first.mask, mask != 0)
    assert first.iou == pytest.approx(measure_agreement(mask, blobs.truth).iou)
    assert first.agreement == 1
    assert first.bytes == blob_features.vectors.numel() * 4
    assert own.own_image
    assert own.cell == pytest.approx(0.5)
    # Prompts that were not scaled would lie on something else.
    assert own.iou > 0.7
    assert [row["recommended"] for row in found.rows()].count(1) == 1
    assert found.trials[found.best].name in found.sentence


def test_a_smaller_image_of_the_same_field(blobs, filterbank, prompts) -> None:
    half = blobs.image[::2, ::2]
    found = study_resolution(
        blobs.image, prompts, [Setting(filterbank, 1)], others={"half": half}
    )
    assert found.trials[1].mask.shape == blobs.image.shape
    assert found.trials[1].agreement > 0.4
    assert np.isnan(found.trials[0].iou)


def test_it_is_not_done_while_objects_are_sought(blobs, filterbank, prompts) -> None:
    said = [
        (one.done, one.total)
        for one in iter_resolution(blobs.image, prompts, [Setting(filterbank, 1)])
        if isinstance(one, Progress)
    ]
    assert said == sorted(said)
    # It can be stopped between any two prompts.
    assert said.count((50, 100)) > len(prompts.points)
    assert said.index((100, 100)) == len(said) - 1


def test_what_cannot_be_tried(blobs, filterbank, prompts) -> None:
    setting = Setting(filterbank, 1)
    with pytest.raises(InputError, match="at least one"):
        study_resolution(blobs.image, prompts, [])
    with pytest.raises(InputError, match="aspect ratios"):
        study_resolution(
            blobs.image, prompts, [setting], others={"o": blobs.image[:, :50]}
        )
    with pytest.raises(InputError, match="The truth is"):
        study_resolution(
            blobs.image, prompts, [setting], truth=np.ones((3, 3), dtype=int)
        )
    with pytest.raises(InputError, match="filterbank x300 needs more memory"):
        study_resolution(blobs.image, prompts, [setting, Setting(filterbank, 300)])


def tried(
    name: str,
    seconds: float,
    agreement: float = 1,
    *,
    iou: float = np.nan,
    cell: float = 2.0,
) -> SimpleNamespace:
    return SimpleNamespace(
        name=name, seconds=seconds, agreement=agreement, iou=iou, cell=cell, width=20.0
    )


def test_with_a_truth_the_fastest_that_is_as_good() -> None:
    best, text = advise(
        [
            tried("x1", 1, iou=0.7),
            tried("x2", 4, 0.8, iou=0.8),
            tried("x4", 16, 0.8, iou=0.805),
        ]
    )
    assert best == 1
    assert text == ("Take x2: IoU 0.800 in 4.0 s. x4 has 0.805, but takes 16.0 s.")


def test_without_one_agreement_tells_whether_it_matters() -> None:
    best, text = advise([tried("x2", 4), tried("x1", 1, 0.95)])
    assert best == 1
    assert "matters little" in text
    coarse = [tried("x1", 1, cell=16.0), tried("x4", 9, 0.5, cell=4.0)]
    best, text = advise(coarse)
    assert best == 1
    assert "The masks differ" in text
    assert "5 cells across" in text
    assert advise(coarse[:1])[0] == 0
