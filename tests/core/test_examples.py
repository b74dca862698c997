"""The examples in the docstrings of the public names do what they show."""

from __future__ import annotations

import doctest
import inspect
from typing import TYPE_CHECKING

import pytest

import napari_dinoprompt as dp

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", dp.__all__)
def test_example(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # some write files
    shown = doctest.DocTestParser().get_doctest(
        inspect.getdoc(getattr(dp, name)) or "", {}, name, None, 0
    )
    assert shown.examples
    report: list[str] = []
    doctest.DocTestRunner(verbose=False).run(shown, out=report.append)
    assert not report, "".join(report)
