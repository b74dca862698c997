"""What the study found on the current image."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_dinoprompt._qt.studying.request import StudyResult
    from napari_dinoprompt.core.studying.suggestion import Suggestion
    from napari_dinoprompt.session import ImageState

__all__ = ["StudyResults"]


class StudyResults:
    """The last result of each part."""

    def __init__(self) -> None:
        self._found: dict[str, StudyResult] = {}
        self._skipped = 0

    def get(self, part: str) -> StudyResult | None:
        """Return what was found last, if anything."""
        return self._found.get(part)

    def ghost(self, result: StudyResult | None) -> tuple[int, int, Suggestion] | None:
        """Number of the suggestion on show, how many there are, and itself.

        Parameters
        ----------
        result : StudyResult or None
            The suggestions, if they hold.
        """
        places = [] if result is None else result.found.places
        if self._skipped >= len(places):
            return None
        return self._skipped + 1, len(places), places[self._skipped]

    def skip(self) -> None:
        """Turn to the next suggestion."""
        self._skipped += 1

    def put(self, result: StudyResult) -> None:
        """Keep a result in place of the one before."""
        self._found[result.part] = result
        if result.part == "suggestion":
            self._skipped = 0

    def drop(self, part: str) -> None:
        """Forget the result of a part."""
        self._found.pop(part, None)

    def keep_only(self, state: ImageState | None) -> None:
        """Forget what is of other images."""
        for part, result in list(self._found.items()):
            if result.key.state is not state:
                del self._found[part]
