"""Times of several ways to do the same, taken in turn."""

from __future__ import annotations

from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time one run, until the device is done.

    Parameters
    ----------
    work : callable
    device : torch.device

    Returns
    -------
    float
        In seconds.
    """
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return perf_counter() - start


def in_turn(
    works: Mapping[str, Callable[[], object]], repeats: int, device: torch.device
) -> dict[str, list[float]]:
    """Time several works one after the other, again and again.

    What else the machine does then falls on all of them alike. Each round begins
    with another one.

    Parameters
    ----------
    works : mapping of str to callable
    repeats : int
    device : torch.device

    Returns
    -------
    dict of str to list of float
        Seconds of each run, by name.
    """
    names = list(works)
    found: dict[str, list[float]] = {name: [] for name in names}
    for round_number in range(repeats):
        first = round_number % len(names)
        for name in names[first:] + names[:first]:
            found[name].append(seconds(works[name], device))
    return found


def ratio(slow: list[float], fast: list[float]) -> float:
    """Return how many times faster the second is: the median over the rounds.

    Parameters
    ----------
    slow, fast : list of float
        Seconds, round by round.

    Returns
    -------
    float
    """
    return median(one / other for one, other in zip(slow, fast, strict=True))
