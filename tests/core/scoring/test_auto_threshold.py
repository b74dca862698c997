"""Where a map is cut if nobody says where, by made-up values."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_dinoprompt.core.scoring.auto_threshold import (
    ObjectValues,
    choose_threshold,
    fit_threshold,
    judge_threshold,
    stand_ins,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

COSINES = st.floats(-1, 1, width=32)
NOTHING = np.zeros(0, np.float32)


def evenly(low: float, high: float, count: int = 200) -> NDArray[np.float32]:
    return np.linspace(low, high, count, dtype=np.float32)


def plane(*parts: tuple[float, float, int]) -> NDArray[np.float32]:
    """Values between low and high, so many of each."""
    return np.concatenate([evenly(*part) for part in parts])


def objects(
    inside: tuple[float, float], around: tuple[float, float], ratio: float = 3
) -> list[ObjectValues]:
    return [ObjectValues(evenly(*inside), evenly(*around), ratio)] * 3


PARTED = objects((0.6, 0.9), (0, 0.3))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_whatever_the_values_a_threshold_is_between_0_and_1(
    data: st.DataObject,
) -> None:
    values = st.builds(
        ObjectValues,
        arrays(np.float32, st.integers(1, 6), elements=COSINES),
        arrays(np.float32, st.integers(0, 6), elements=COSINES),
        st.floats(0, 10),
    )
    own = data.draw(st.lists(values, min_size=1, max_size=4))
    left_out = data.draw(st.lists(values, max_size=4))
    spread = data.draw(arrays(np.float32, st.integers(1, 30), elements=COSINES))
    assert 0 < choose_threshold(own, left_out, spread) < 1


@pytest.mark.parametrize("high", [0.5, 0.7, 0.95])
@pytest.mark.parametrize("low", [0.0, 0.2, 0.4])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_objects_are_parted_from_all_else(
    low: float, high: float, share: float
) -> None:
    found = objects((high - 0.05, high), (low - 0.05, low))
    rare = round(5000 * share)
    spread = plane((high - 0.05, high, rare), (low - 0.05, low, 5000 - rare))
    threshold = choose_threshold(found, found, spread)
    assert low - 0.01 <= threshold < high - 0.045
    assert np.mean(spread > threshold) == pytest.approx(share, rel=0.05)


def test_much_that_is_a_little_alike_raises_the_threshold() -> None:
    """What the clicked objects and their surroundings do not tell."""
    found = objects((0.4, 0.9), (0, 0.1))
    rare, ground = (0.4, 0.9, 200), (0.0, 0.1, 4000)
    without = choose_threshold(found, found, plane(rare, ground))
    with_others = choose_threshold(found, found, plane(rare, ground, (0.4, 0.5, 2000)))
    assert without < 0.4
    assert 0.49 < with_others < 0.6


def test_much_that_is_as_much_alike_does_not() -> None:
    """It is taken for more objects."""
    found = objects((0.4, 0.9), (0, 0.1))
    few, many = (
        choose_threshold(found, found, plane((0.4, 0.9, count), (0, 0.1, 4000)))
        for count in (100, 3000)
    )
    assert many == pytest.approx(few, abs=0.02)


def test_objects_that_resemble_the_others_less_lower_the_threshold() -> None:
    spread = plane((0.3, 0.9, 200), (0, 0.1, 4000))
    own = objects((0.6, 0.9), (0, 0.1))
    strict, mild = (
        choose_threshold(own, left_out, spread)
        for left_out in (own, objects((0.3, 0.5), (0, 0.1)))
    )
    assert mild < 0.31 <= 0.35 < 0.6
    assert mild <= strict


def test_bright_surroundings_raise_the_threshold() -> None:
    dark, bright = (
        fit_threshold(objects((0.5, 0.9), (0.0, upper), 10)) for upper in (0.2, 0.7)
    )
    assert 0.2 - 0.01 <= dark <= 0.5 < bright - 0.1


def test_larger_surroundings_count_more() -> None:
    narrow, wide = (
        fit_threshold(objects((0.4, 0.9), (0.2, 0.6), ratio)) for ratio in (0.1, 10)
    )
    assert narrow < wide - 0.1


def test_a_lone_prompt_asks_nothing_of_the_plane() -> None:
    spreads = (plane((0.8, 0.9, 500)), plane((-1, 0, 500)))
    first, second = (choose_threshold(PARTED[:1], [], one) for one in spreads)
    assert first == second == fit_threshold(PARTED[:1])
    assert 0.3 - 0.01 <= first < 0.6


@pytest.mark.parametrize(
    ("threshold", "said"),
    [(0.9, "cores"), (0.76, "cores"), (0.74, ""), (0.3, ""), (0.15, ""), (0.1, "more")],
)
def test_what_a_threshold_does_is_judged(threshold: float, said: str) -> None:
    """Cores from where half of the objects is lost; more from as much as they are."""
    found = objects((0.6, 0.9), (0, 0.2), 2.02)
    assert judge_threshold(found, threshold) == said


def worst(values: Sequence[ObjectValues]) -> set[str]:
    return {judge_threshold(values, threshold) for threshold in (-1, 0, 0.5, 1)}


def test_where_nothing_is_known_nothing_is_said() -> None:
    assert worst([]) == {""}
    point = ObjectValues(np.ones(1, np.float32), NOTHING, 0)
    assert worst([point]) == {"", "cores"}


def test_matches_stand_for_the_object_unless_they_are_something_else() -> None:
    near, far = objects((0.4, 0.6), (0, 0.1))[:1], objects((0.1, 0.3), (0, 0.1))[:1]
    own = objects((0.8, 1), (0, 0.1))[:1]
    assert list(stand_ins(near + far, own)) == near
    assert list(stand_ins(far, own)) == own
    assert list(stand_ins([], own)) == own
    # The only prompt lies on another plane.
    assert list(stand_ins(far, [])) == far
