"""What napari calls by name: any layer is written, or refused in one line."""

from __future__ import annotations

from typing import Any

import pytest
from fuzz_parts.targets import TARGETS
from fuzz_parts.verdict import judge
from hypothesis import HealthCheck, Phase, given, settings


@pytest.mark.parametrize("name", ["writer", "reader"])
def test_layers_and_paths_are_used_or_refused_in_one_line(name: str) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=20,
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=target.cases)
    def attempt(case: Any) -> None:
        judge(lambda: target.attempt(case), 200)

    attempt()
