"""Progress bars on stderr, where somebody looks at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress import DownloadColumn as Downloaded
from rich.progress import TimeRemainingColumn as Remaining
from rich.progress import TransferSpeedColumn as Speed

from napari_dinoprompt._cli.messages import say
from napari_dinoprompt.core.progress import Notice

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from rich.console import Console

    from napari_dinoprompt.core.progress import Progress as Step

__all__ = ["follow", "progress_bar", "transfer_bar"]

T = TypeVar("T")


def progress_bar(console: Console) -> Progress:
    """Make a bar that leaves no trace, and none at all in a log file."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Remaining(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def transfer_bar(console: Console) -> Progress:
    """Make the same for bytes."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        Downloaded(),
        Speed(),
        Remaining(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )


def follow(
    steps: Generator[Step | Notice, None, T],
    what: str,
    console: Console,
    make_bar: Callable[[Console], Progress] = progress_bar,
) -> T:
    """Run a job that reports its progress, and return its result.

    Parameters
    ----------
    steps : generator of Progress and Notice
    what : str
        What is being done, for the bar.
    console : Console
    make_bar : callable
        Makes the bar on the console.

    Returns
    -------
    whatever the generator returns
    """
    with make_bar(console) as bar:
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
