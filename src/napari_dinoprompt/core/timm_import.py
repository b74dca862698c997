"""The one place that imports timm, because of a crash.

timm imports torchvision and with it triton, whose library carries an LLVM of its
own. In a viewer that has drawn with Mesa, another LLVM is loaded already, and on
Linux the dynamic linker mixes the two: the process dies. Binding triton's symbols
to its own libraries first (RTLD_DEEPBIND) keeps them apart.
"""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

__all__ = ["import_timm"]


def import_timm() -> ModuleType:
    """Import timm in a way that survives a running viewer.

    Returns
    -------
    module
        ``timm``, with ``timm.data`` loaded.
    """
    if "timm" not in sys.modules and sys.platform == "linux":
        _load_triton()
    import_module("timm.data")
    return import_module("timm")


def _load_triton() -> None:
    """Load triton by itself, before torch does; where it is of no use, do without.

    Sub-packages with compiled code load with the package. Older ones cannot be
    imported where setuptools is missing, and timm then works without them.
    """
    if find_spec("triton") is not None:
        with _deep_binding(), suppress(ImportError):
            import_module("triton")


@contextmanager
def _deep_binding() -> Iterator[None]:
    flags = sys.getdlopenflags()
    sys.setdlopenflags(os.RTLD_NOW | os.RTLD_DEEPBIND)
    try:
        yield
    finally:
        sys.setdlopenflags(flags)
