"""Where one more prompt is suggested."""

from __future__ import annotations

import numpy as np
import pytest

from napari_dinoprompt.core.errors import InputError
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.studying.doubt import make_crowd
from napari_dinoprompt.core.studying.subject import make_subject
from napari_dinoprompt.core.studying.suggestion import suggest


@pytest.fixture(scope="module")
def subject(blobs, blob_features):
    points = np.concatenate((blobs.prompts, [(5.0, 5.0)]))
    classes = ("object",) * 5 + ("background",)
    return make_subject(
        blob_features, Reference.from_prompts(blob_features, points, classes)
    )


@pytest.mark.parametrize("rule", ["change", "crowd", "nearest"])
def test_places_lie_apart_and_inside(subject, rule) -> None:
    found = suggest(subject, count=6, rule=rule)
    points = np.array([one.point for one in found.places])
    assert 2 <= len(points) <= 6
    everything = np.concatenate((points, subject.reference.points))
    apart = np.linalg.norm(everything[:, None] - points[None], axis=2)
    apart[apart == 0] = np.inf
    assert apart.min() >= 8
    upper = np.array(subject.features.grid.shape) - 9
    assert ((points >= 8) & (points <= upper)).all()
    for one in found.places:
        above = one.similarity > found.threshold
        assert one.likely == ("object" if above else "background")
        assert f"{one.similarity:.2f}" in one.reason
    again = suggest(subject, count=6, rule=rule)
    assert [one.point for one in again.places] == [one.point for one in found.places]


def test_the_first_settles_the_most_and_rows_are_in_order(subject) -> None:
    found = suggest(subject, rule="change")
    assert found.places[0].settles == max(one.settles for one in found.places)
    assert [row["rank"] for row in found.rows()] == list(
        range(1, len(found.places) + 1)
    )


def test_the_expected_change_is_that_of_a_new_reference(
    subject, blob_features, blobs
) -> None:
    rng = np.random.default_rng(0)
    places = rng.uniform(0, (140, 186), (400, 2))
    crowd = make_crowd(subject, places, 0.3)
    new = (blobs.centres[9][0], blobs.centres[9][1])
    unit = make_crowd(subject, np.array([new]), 0.3).units
    changes = crowd.changes(unit)[0]
    for changed, name in zip(changes, ("object", "background"), strict=True):
        points = np.concatenate((subject.reference.points, [new]))
        classes = (*subject.reference.classes, name)
        reference = Reference.from_prompts(blob_features, points, classes)
        after = make_crowd(make_subject(blob_features, reference), places, 0.3)
        assert changed == pytest.approx(np.mean(after.mask != crowd.mask), abs=1e-9)


def test_no_room_no_suggestion(blobs, filterbank) -> None:
    from napari_dinoprompt.core.extraction import extract_features

    features = extract_features(blobs.image[:14, :14], filterbank)
    subject = make_subject(features, Reference.from_prompts(features, [(7.0, 7.0)]))
    assert suggest(subject).places == ()


def test_no_suggestion_is_asked_for(subject) -> None:
    with pytest.raises(InputError, match="at least 1"):
        suggest(subject, count=0)
