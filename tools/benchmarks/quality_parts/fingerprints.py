"""Hashes of code and data: what was computed by other code is not used again."""

from __future__ import annotations

import hashlib
import inspect
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from napari_dinoprompt import core

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


_CORE = Path(core.__file__).parent
_PARTS = Path(__file__).parent
_FEATURE_MAKERS = (
    "features/extraction",
    "tiling/tiles",
    "tiling/tiles",
    "features/extraction",
    "tiling/tiles",
    "tiling/grid",
    "images/intensity",
    "tiling/grid",
)
_MEASURING = ("data", "fakes", "figures", "protocols")


def join(*parts: str) -> str:
    """Hash several strings into one."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _hash_files(paths: Iterable[Path]) -> str:
    return join(*(f"{path.name}\0{path.read_text('utf-8')}" for path in sorted(paths)))


@cache
def feature_code() -> str:
    """Hash the product's code that makes features of an image."""
    files = [
        _CORE / f"{name}.py"
        for name in (*_FEATURE_MAKERS, "images/plane", "features/feature_map")
    ]
    return _hash_files([*files, *(_CORE / "backbones").glob("*.py")])


@cache
def core_code() -> str:
    """Hash the product's code, and this program's that measures it."""
    parts = [_PARTS / f"{name}.py" for name in _MEASURING]
    return join(_hash_files(_CORE.rglob("*.py")), _hash_files(parts))


def code_of(function: Callable[..., object]) -> str:
    """Hash the file that a function is written in."""
    return _hash_files([Path(inspect.getfile(function))])
