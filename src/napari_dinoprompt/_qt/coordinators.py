"""Which coordinator a viewer has."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from napari_dinoprompt._qt.coordinator import Coordinator

if TYPE_CHECKING:
    from napari.components import ViewerModel

__all__ = ["coordinator_of"]

_coordinators: WeakValueDictionary[int, Coordinator] = WeakValueDictionary()


def coordinator_of(viewer: ViewerModel) -> Coordinator:
    """Return the coordinator of a viewer: one, however many docks are open.

    Parameters
    ----------
    viewer : napari.Viewer or napari.components.ViewerModel
        Or napari's proxy of it, which hashes alike.
    """
    found = _coordinators.get(hash(viewer))
    if found is None:
        found = Coordinator(viewer)
        _coordinators[hash(viewer)] = found
    return found
