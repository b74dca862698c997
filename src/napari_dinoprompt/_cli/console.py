"""What the command says: results on stdout; progress, notes and errors on stderr."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Generator

    from rich.progress import Progress as Bar

    from napari_dinoprompt.core.progress import Notice, Progress


T = TypeVar("T")


def side_console() -> Console:
    """Return the console for progress, notes and errors: stderr."""
    return Console(stderr=True, markup=False, emoji=False, highlight=False)


def results_console() -> Console:
    """Return the console for results: stdout. File names are no markup."""
    return Console(markup=False, emoji=False, highlight=False)


def tell(text: str) -> None:
    """Print a line of results on stdout, however long it is."""
    results_console().print(text, soft_wrap=True)


def say(text: str, console: Console | None = None) -> None:
    """Print one line on stderr, however long it is."""
    line = " ".join(text.split())
    (console or side_console()).print(f"dinoprompt: {line}", soft_wrap=True)


def progress_bar(console: Console, *, of_bytes: bool = False) -> Bar:
    """Make a bar that leaves no trace, and none at all in a log file."""
    # Not before something takes its time: the help does not.
    from rich import progress

    done: tuple[progress.ProgressColumn, ...] = (progress.MofNCompleteColumn(),)
    if of_bytes:
        done = (progress.DownloadColumn(), progress.TransferSpeedColumn())
    return progress.Progress(
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        *done,
        progress.TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def follow(
    steps: Generator[Progress | Notice, None, T], what: str, *, of_bytes: bool = False
) -> T:
    """Run a job that reports its progress, and return its result."""
    from napari_dinoprompt.core.progress import Notice

    console = side_console()
    with progress_bar(console, of_bytes=of_bytes) as bar:
        task = bar.add_task(what, total=None)
        while True:
            try:
                step = next(steps)
            except StopIteration as finished:
                result: T = finished.value
                return result
            if isinstance(step, Notice):
                say(step.message, console)
            else:
                bar.update(task, completed=step.done, total=step.total or None)
