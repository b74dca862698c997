"""Errors that a user can do something about.

Every one carries a message of one or two sentences that says what is wrong and
what to do; the dock shows it as it is and the command prints it without a
traceback.
"""

from __future__ import annotations

__all__ = [
    "CannotWriteError",
    "CheckpointError",
    "DinopromptError",
    "FetchError",
    "IncompatibleReferenceError",
    "InputError",
    "ReferenceFileError",
    "WeightsNotFoundError",
    "is_out_of_memory",
]


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
