"""A subset of prompts gives what a reference of these prompts would give."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.prompt_study.prompt_maps import (
    Subset,
    block_means,
    iou,
    make_prompt_maps,
)
from napari_dinoprompt.core.prompt_study.subject import make_subject
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.scoring.similarity import score_plane

GROUND = [(5.0, 5.0), (70.0, 90.0)]
CLASSES = ("object",) * 3 + ("nuclei",) * 2 + ("background",) * 2


@pytest.fixture(params=["filterbank", "network"])
def features(request, blobs, blob_features, toy_vit):
    if request.param == "filterbank":
        return blob_features
    from napari_dinoprompt.core.features.extraction import extract_features

    return extract_features(blobs.image, toy_vit, upscale=2)


@pytest.mark.parametrize("classes", [("object",) * 7, CLASSES])
def test_as_a_reference_of_the_same_prompts(features, blobs, classes) -> None:
    points = np.concatenate((blobs.prompts, GROUND))
    reference = Reference.from_prompts(features, points, classes)
    subject = make_subject(features, reference)
    maps = make_prompt_maps(subject)
    left = [0, 2]
    kept = [subject.members[i] for i in left]
    kept += [i for i in range(len(points)) if i not in subject.members]
    fewer = Reference.from_prompts(
        features, points[kept], [classes[i] for i in kept], measures=features.measures
    )
    # A subset keeps the objects that all prompts together have found.
    same_objects = replace(fewer, vectors=reference.vectors[kept])
    with torch.inference_mode():
        plane = score_plane(features, same_objects)
        shown = plane.fitted.blocks(0).numpy()
    subset = Subset(maps, left)
    found = subset.find(0.2)
    expected = shown > 0.2
    if maps.competing_score is not None:
        from napari_dinoprompt.core.features.guided_filter import look_up

        step = features.guide.step
        wide = look_up(plane.objects, features.grid, shown.shape, step)
        expected &= wide.argmax(dim=0).numpy() == 0
    # Rounding may turn a block that lies on the cut.
    assert np.mean(found.mask != expected) < 1e-3
    assert 0 < expected.mean() < 1
    chosen = subset.find().threshold
    assert chosen == pytest.approx(fewer.auto_thresholds["object"], abs=0.02)


def test_masks_leave_out_what_holds_no_data(blobs, filterbank) -> None:
    from napari_dinoprompt.core.features.extraction import extract_features

    image = blobs.image.astype(np.float32)
    image[40:60, 40:80] = np.nan
    features = extract_features(image, filterbank)
    held = [p for p in blobs.prompts if np.isfinite(image[int(p[0]), int(p[1])])]
    subject = make_subject(features, Reference.from_prompts(features, held))
    maps = make_prompt_maps(subject)
    found = Subset(maps, [0]).find(-1.0)
    assert maps.blocks == np.count_nonzero(found.mask)
    assert not found.mask[21:29, 21:39].any()


def test_prompts_on_another_plane_count_with_their_vectors(
    blobs, blob_features
) -> None:
    from dataclasses import replace

    reference = Reference.from_prompts(blob_features, blobs.prompts)
    planes = ((0,), (0,), (1,), (0,), (0,))
    subject = make_subject(blob_features, replace(reference, planes=planes), plane=(0,))
    maps = make_prompt_maps(subject)
    assert [one is None for one in maps.clicked] == [False, False, True, False, False]
    # Alone it is cut by what resembles all prompts; with others, by these.
    assert maps.matches
    assert Subset(maps, [2]).find().mask.any()
    first, second = (Subset(maps, members).find() for members in ([0, 1], [0, 1, 2]))
    assert (first.mask != second.mask).any()
    assert iou(first.mask, second.mask) > 0.7


def test_block_means_by_hand() -> None:
    values = np.arange(12.0).reshape(3, 4)
    assert block_means(values, (2, 2), 2.0).tolist() == [[2.5, 4.5], [8.5, 10.5]]
    assert block_means(values, (6, 8), 0.5)[::2, ::2].tolist() == values.tolist()


def test_jaccard_by_hand() -> None:
    one = np.array([True, True, False, False])
    other = np.array([True, False, True, False])
    assert iou(one, other) == pytest.approx(1 / 3)
    assert 1 - iou(one, other) == pytest.approx(2 / 3)
    assert iou(~one & one, ~one & one) == 1


@pytest.mark.parametrize(
    ("truth", "words"),
    [
        (np.zeros((141, 187), int), "empty"),
        (np.zeros((10, 10), int), "141 x 187"),
        (np.full((141, 187), 0.5), "labels"),
    ],
)
def test_truths_that_cannot_be_used(blob_features, blob_reference, truth, words):
    with pytest.raises(InputError, match=words):
        make_subject(blob_features, blob_reference, truth=truth)


def test_unknown_classes_are_refused(blob_features, blob_reference) -> None:
    with pytest.raises(InputError, match="no object class 'cells'"):
        make_subject(blob_features, blob_reference, class_name="cells")
