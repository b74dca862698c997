"""The summary of a batch while it grows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dinoprompt.core.files.results import append_table, write_table

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from typing import Any

__all__ = ["BatchSummary"]

_Rows = list[dict[str, "Any"]]


class BatchSummary:
    """A table of all finished images, on disk after every one of them.

    To write the whole table each time would take longer and longer. What is new goes
    to its end, and at the end of the batch the table is brought into order.

    Parameters
    ----------
    path : Path
        The table.
    others : list of dict
        Rows of earlier batches, which come first.
    """

    def __init__(self, path: Path, others: _Rows) -> None:
        self._path = path
        self._others = others
        self._begun = False
        self._rows: dict[str, _Rows] = {}

    def begin(self, kept: dict[str, _Rows]) -> None:
        """Write what earlier runs have finished.

        Parameters
        ----------
        kept : dict of str to list of dict
            By the name of the results; nothing is written if it is empty.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._rows.update(kept)
        if kept:
            self._write(kept)

    def add(self, name: str, rows: _Rows) -> None:
        """Add one image.

        Parameters
        ----------
        name : str
            Of its results.
        rows : list of dict
            One per class.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        self._rows[name] = rows
        if self._begun:
            append_table(self._path, rows)
        else:
            self._write([name])

    def of(self, name: str) -> _Rows:
        """Return the rows of an image; none if it is not finished."""
        return self._rows.get(name, [])

    def end(self, names: Iterable[str]) -> _Rows:
        """Bring the table into order.

        Parameters
        ----------
        names : iterable of str
            All images of the batch, in their order.

        Returns
        -------
        list of dict
            Those of this batch.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        order = [name for name in names if name in self._rows]
        if order and order != list(self._rows):
            self._write(order)
        return [row for name in order for row in self._rows[name]]

    def _write(self, order: Iterable[str]) -> None:
        rows = [row for name in order for row in self._rows[name]]
        write_table(self._path, [*self._others, *rows])
        self._begun = True
