"""How far a job is."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Progress"]


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    Attributes
    ----------
    done, total : int
        Tiles, files, or bytes. A total of 0 is not known yet.
    """

    done: int
    total: int
