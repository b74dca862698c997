"""What the command says beside its results: one line each, on stderr."""

from __future__ import annotations

from rich.console import Console

from napari_dinoprompt.core.errors import DinopromptError, is_out_of_memory

__all__ = ["explain", "results_console", "say", "side_console"]


def side_console() -> Console:
    """Return the console for progress, notes and errors: stderr."""
    return Console(stderr=True, markup=False, emoji=False, highlight=False)


def results_console() -> Console:
    """Return the console for results: stdout. File names are no markup."""
    return Console(markup=False, emoji=False, highlight=False)


def say(text: str, console: Console | None = None) -> None:
    """Print one line on stderr, however long it is."""
    line = " ".join(text.split())
    (console or side_console()).print(f"dinoprompt: {line}", soft_wrap=True)


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
            "There is not enough memory. Take a smaller image, a lower --upscale or "
            "a smaller backbone, or close other programs."
        )
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return f"{error.filename}: {reason}." if error.filename else f"{reason}."
    return None
