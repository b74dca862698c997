"""What may come of an input: a result, or one clear line. Anything else is a fault."""

from __future__ import annotations

import re
import signal
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_dinoprompt.core.errors import DinopromptError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


SECONDS = 20.0
_LONGEST_MESSAGE = 700
_MOST_BYTES = 10**9
_VARYING = re.compile(
    r"/[^\s,;()]*|'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|-?\d[\d.,e+]*|\bnan\b|-?\binf\b"
)


class Fault(AssertionError):
    """An input that is neither used nor refused as it should be."""


class _TooLong(BaseException):
    """Not an Exception: what forgives a damaged file must not forgive this."""


def judge(work: Callable[[], Any], seconds: float = SECONDS) -> str:
    """Do something with an input and judge what comes of it.

    Parameters
    ----------
    work : callable
        Returns when the input was used and everything about the result holds.
    seconds : float
        What takes longer hangs.

    Returns
    -------
    str
        Empty, or the kind of message: without numbers, names and paths.

    Raises
    ------
    Fault
        For any other error, a warning, a message that is no clear line, and for what
        takes too long.
    """
    with warnings.catch_warnings(), _time_limit(seconds):
        warnings.simplefilter("error")
        # Said on purpose, to the user.
        warnings.filterwarnings("ignore", "The grey values of", RuntimeWarning)
        try:
            work()
        except Fault:
            raise
        except DinopromptError as error:
            return _kind(error)
        except _TooLong as error:
            raise Fault(f"longer than {seconds:g} s\n{_where(error)}") from error
        except Exception as error:
            reason = f"{type(error).__name__}: {str(error)[:300]}"
            raise Fault(f"{reason}\n{_where(error)}") from error
    return ""


def _kind(error: Exception) -> str:
    text = str(error)
    if not text or "\n" in text or len(text) > _LONGEST_MESSAGE:
        raise Fault(f"no clear line: {type(error).__name__}: {text[:900]!r}") from error
    short = _VARYING.sub("…", text)
    return f"{type(error).__name__}: {' '.join(short.split())[:110]}"


def _where(error: BaseException) -> str:
    """Name the last lines of the package that the error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    inside = [one for one in frames if "napari_dinoprompt" in one.filename]
    shown = [*inside[-3:], *frames[-1:]]
    return "\n".join(
        f"  {Path(one.filename).name}:{one.lineno} {one.line}" for one in shown
    )


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise _TooLong

    if not hasattr(signal, "SIGALRM"):
        # Windows, where it has to be ended by hand.
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def bounded_memory(extra: int = _MOST_BYTES) -> Iterator[None]:
    """Refuse this process more memory than it has now and some; Linux only.

    What is asked for beyond that raises MemoryError, which `judge` calls a fault.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        yield
        return
    import resource

    line = next(one for one in status.read_text().splitlines() if "VmData" in one)
    held = int(line.split()[1]) * 1024
    before = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (held + extra, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)
