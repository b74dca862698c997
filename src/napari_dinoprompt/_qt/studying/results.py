"""What the study found on the current image."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_dinoprompt._qt.studying.request import StudyResult
    from napari_dinoprompt.session import ImageState

__all__ = ["StudyResults"]


class StudyResults:
    """The last result of each part."""

    def __init__(self) -> None:
        self._found: dict[str, StudyResult] = {}

    def get(self, part: str) -> StudyResult | None:
        """Return what was found last, if anything."""
        return self._found.get(part)

    def put(self, result: StudyResult) -> None:
        """Keep a result in place of the one before."""
        self._found[result.part] = result

    def drop(self, part: str) -> None:
        """Forget the result of a part."""
        self._found.pop(part, None)

    def keep_only(self, state: ImageState | None) -> None:
        """Forget what is of other images."""
        for part, result in list(self._found.items()):
            if result.key.state is not state:
                del self._found[part]
