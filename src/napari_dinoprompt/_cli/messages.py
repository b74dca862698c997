"""What the command says beside its results: one line each, on stderr."""

from __future__ import annotations

from rich.console import Console

__all__ = ["results_console", "say", "side_console"]


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
