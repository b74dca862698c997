"""The version of this software, as it is written into files."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

__all__ = ["software_version"]


def software_version() -> str:
    """Return the installed version, or ``"unknown"`` from a bare source tree."""
    try:
        return version("napari-dinoprompt")
    except PackageNotFoundError:
        return "unknown"
