"""Whether a window can be opened, found out without Qt."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["has_display"]

_WINDOWLESS = ("offscreen", "minimal", "vnc", "linuxfb")


def has_display(environ: Mapping[str, str], platform: str) -> bool:
    """Tell whether this looks like a desktop.

    Asking Qt would be surer, but where there is no display Qt ends the process.

    Parameters
    ----------
    environ : mapping of str to str
        As `os.environ`.
    platform : str
        As `sys.platform`.

    Returns
    -------
    bool
    """
    if environ.get("QT_QPA_PLATFORM", "").partition(":")[0] in _WINDOWLESS:
        return False
    if platform in ("darwin", "win32"):
        return not any(
            environ.get(name) for name in ("CI", "SSH_CONNECTION", "SSH_TTY")
        )
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))
