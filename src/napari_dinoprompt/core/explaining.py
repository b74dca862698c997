"""Errors in words, where a user can do something about them."""

from __future__ import annotations

from napari_dinoprompt.core.errors import DinopromptError, is_out_of_memory

__all__ = ["explain"]


def explain(error: BaseException) -> str | None:
    """Put an error that a user can do something about into words.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    str or None
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
        reason = error.strerror or str(error)
        return f"{error.filename}: {reason}." if error.filename else f"{reason}."
    return None
