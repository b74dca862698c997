"""System libraries that Qt needs for a window: without them it ends the process."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

__all__ = ["missing_packages"]

# By the packages of Debian and Ubuntu; tests/run.sh installs the same.
_LIBRARIES = {
    "libgl1": "libGL.so.1",
    "libegl1": "libEGL.so.1",
    "libglib2.0-0": "libglib-2.0.so.0",
    "libfontconfig1": "libfontconfig.so.1",
    "libxkbcommon0": "libxkbcommon.so.0",
    "libdbus-1-3": "libdbus-1.so.3",
    "libxcb-cursor0": "libxcb-cursor.so.0",
    "libxkbcommon-x11-0": "libxkbcommon-x11.so.0",
    "libxcb-icccm4": "libxcb-icccm.so.4",
    "libxcb-keysyms1": "libxcb-keysyms.so.1",
    "libxcb-shape0": "libxcb-shape.so.0",
}


def missing_packages(libraries: dict[str, str] = _LIBRARIES) -> tuple[str, ...]:
    """Name the packages whose libraries cannot be loaded.

    Parameters
    ----------
    libraries : dict of str to str, optional
        The library of each package.

    Returns
    -------
    tuple of str
        Empty where Qt brings its libraries along: anywhere but on Linux, and in
        environments of conda.
    """
    if sys.platform != "linux" or Path(sys.prefix, "conda-meta").is_dir():
        return ()
    return tuple(
        package for package, library in libraries.items() if not _loads(library)
    )


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
