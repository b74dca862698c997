"""A few random inputs for everything; `tools/faults/fuzz.py` tries many more."""

from __future__ import annotations

from typing import Any

import pytest
from fuzz_parts.targets import TARGETS
from fuzz_parts.verdict import Fault, judge
from hypothesis import HealthCheck, Phase, given, settings

# In seconds: tests share their machine with others, and import on the way.
PATIENCE = 200.0


@pytest.mark.slow
@pytest.mark.parametrize("name", [one for one, it in TARGETS.items() if it.quick])
def test_an_input_is_used_or_refused_in_one_line(name: str) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=target.quick,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=target.cases)
    def attempt(case: Any) -> None:
        judge(lambda: target.attempt(case), PATIENCE)

    attempt()


def fails_with(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    "error", [KeyError("a"), RuntimeWarning("a"), MemoryError(), ValueError("a\nb")]
)
def test_the_judge_lets_no_other_error_pass(error: Exception) -> None:
    with pytest.raises(Fault):
        judge(lambda: fails_with(error))
