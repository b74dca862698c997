"""Errors in words, where a user can do something about them."""

from __future__ import annotations

import errno

from napari_dinoprompt.core.errors import DinopromptError, is_out_of_memory

__all__ = ["explain", "first_line", "reason_of"]

_FULL = "the disk is full. Make room there, or choose another place"
_NOT_ALLOWED = (
    "this user is not allowed to. Change the permissions, or choose another place"
)
_REASONS = {
    errno.ENOSPC: _FULL,
    getattr(errno, "EDQUOT", errno.ENOSPC): _FULL,
    errno.EROFS: "the disk is read-only. Choose another place",
    errno.EACCES: _NOT_ALLOWED,
    errno.EPERM: _NOT_ALLOWED,
    errno.ENAMETOOLONG: "the name is too long. Choose a shorter one",
}


def explain(error: BaseException) -> str | None:
    """Put an error that a user can do something about into words.

    None for anything else: that is a bug, and its traceback is wanted.
    """
    if isinstance(error, DinopromptError):
        return str(error)
    if is_out_of_memory(error):
        return (
            "There is not enough memory. Take a smaller image, a lower upscale or a "
            "smaller backbone, or close other programs."
        )
    if isinstance(error, OSError):
        if error.filename:
            return f"{error.filename} cannot be used: {reason_of(error)}."
        # Its own words say more where no file is named.
        return f"{error.strerror or error}."
    return None


def first_line(error: BaseException) -> str:
    """Return what an error says first, or its kind if it says nothing."""
    return str(error).strip().partition("\n")[0] or type(error).__name__


def reason_of(error: OSError) -> str:
    """Say why something cannot be read or written, and what to do if that is known.

    To follow a colon; without a full stop.
    """
    known = None if error.errno is None else _REASONS.get(error.errno)
    return known or str(error.strerror or error)
