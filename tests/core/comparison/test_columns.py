"""The table of columns is complete and well-formed."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest

from napari_dinoprompt.core.comparison.columns import COLUMNS, Better, Column, Group


def test_keys_and_titles_are_unique() -> None:
    for values in ([c.key for c in COLUMNS], [c.title for c in COLUMNS]):
        assert len(set(values)) == len(values)
    assert all(c.key.isidentifier() for c in COLUMNS)


def test_groups_come_one_after_the_other() -> None:
    groups = [c.group for c in COLUMNS]
    assert tuple(dict.fromkeys(groups)) == get_args(Group)
    assert sum(a != b for a, b in pairwise(groups)) == 4


@pytest.mark.parametrize("one", COLUMNS, ids=lambda one: one.key)
def test_every_column_says_what_it_is(one: Column) -> None:
    assert one.better in get_args(Better)
    assert one.meaning.endswith(".")
    assert ". " not in one.meaning, "one sentence"
    assert one.source


def test_only_a_truth_makes_hallucinations() -> None:
    titles = {c.key: c.with_truth for c in COLUMNS if c.with_truth}
    assert titles == {"only_in_real": "missed", "only_in_fake": "hallucinated"}
