"""Errors that a user can do something about, and errors in words.

Every one carries a message of one or two sentences that says what is wrong and
what to do; the dock shows it as it is and the command prints it without a
traceback.
"""

from __future__ import annotations

import errno

# Of what is quoted, in letters.
_LONGEST = 200
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


class DinopromptError(Exception):
    """Base of all errors that are meant for the user's eyes.

    Examples
    --------
    >>> import napari_dinoprompt as dp
    >>> try:
    ...     dp.load_backbone("dinov9")
    ... except dp.DinopromptError as error:
    ...     print(type(error).__name__)
    InputError
    """


class InputError(DinopromptError, ValueError):
    """An image, a point or an option that cannot be used as it is."""


class CannotWriteError(InputError):
    """A full disk, or a place where nothing may be written; whatever is to be."""


class WeightsNotFoundError(DinopromptError, FileNotFoundError):
    """The weights of a backbone are not on this machine."""


class FetchError(DinopromptError):
    """Weights that could not be fetched."""


class CheckpointError(DinopromptError):
    """A checkpoint file that is damaged or belongs to another model."""


class ReferenceFileError(DinopromptError):
    """A file that is not a readable reference."""


class IncompatibleReferenceError(DinopromptError):
    """A reference whose vectors cannot be compared with these features."""


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether an error means that memory ran out, on any device.

    torch raises plain RuntimeErrors for it, which are known by their words.
    """
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError)
        and any(
            words in text
            for words in (
                "out of memory",
                "not enough memory",
                "can't allocate memory",
                "alloc_failed",
            )
        )
    )


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
        reason = reason_of(error)
        return f"{reason[:1].upper()}{reason[1:]}."
    return None


def first_line(error: BaseException) -> str:
    """Return what an error says first, or its kind if it says nothing."""
    # Libraries quote what they stumble over, however long it is.
    return str(error).strip().partition("\n")[0][:_LONGEST] or type(error).__name__


def reason_of(error: OSError) -> str:
    """Say why something cannot be read or written, and what to do if that is known.

    To follow a colon; without a full stop.
    """
    known = None if error.errno is None else _REASONS.get(error.errno)
    return known or str(error.strerror or error)
