"""What runs in the threads: calls into `core`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_dinoprompt.core.content_hash import fingerprint_image
from napari_dinoprompt.core.recovery.store import find_records, forget, tidy

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

    from napari_dinoprompt.core.lazy_planes import LazyPlane
    from napari_dinoprompt.core.prompts import PlaneIndex
    from napari_dinoprompt.core.recovery.store import FoundRecord

__all__ = ["forget_records", "look_for_records"]


def look_for_records(
    open_plane: Callable[[PlaneIndex], LazyPlane],
    stack: tuple[int, ...],
    folder: Path,
) -> Generator[None, None, tuple[str, list[FoundRecord]]]:
    """Tell which image it is, and what was kept of it, the newest first."""
    fingerprint = yield from fingerprint_image(open_plane, stack)
    yield
    tidy(folder)
    return fingerprint, find_records(folder, fingerprint)


def forget_records(found: Sequence[FoundRecord]) -> Generator[None, None, None]:
    """Remove records; as `core.recovery.store.forget`."""
    yield
    forget(found)
