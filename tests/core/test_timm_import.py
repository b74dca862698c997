"""Importing timm: the guard itself must not stand in the way."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from napari_dinoprompt.core.backbones.vit import _load_triton

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_triton_that_cannot_be_imported_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As triton 3.1 is where setuptools is missing; timm works all the same."""
    package = tmp_path / "triton"
    package.mkdir()
    package.joinpath("__init__.py").write_text("import no_such_module_as_setuptools")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "triton", raising=False)
    flags = sys.getdlopenflags()
    _load_triton()
    assert "triton" not in sys.modules
    assert sys.getdlopenflags() == flags
