"""The demo where there is a display: napari with the sample, prompted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtCore import QTimer

from napari_dinoprompt._qt.dock import PromptSegmentation
from napari_dinoprompt.core.files.points import read_prompts
from napari_dinoprompt.sample_data import sample_files

if TYPE_CHECKING:
    import napari

__all__ = ["open_demo", "prompt_sample"]

_FIELD = "early"


def open_demo() -> None:
    """Open napari on a sample field with prompts placed, and wait until it closes."""
    import napari

    viewer = napari.Viewer()
    prompt_sample(viewer)
    # The dock has made the canvas narrower; once it is shown, the image fits again.
    QTimer.singleShot(0, viewer.reset_view)
    napari.run()


def prompt_sample(viewer: napari.Viewer) -> PromptSegmentation:
    """Open a sample field and the dock in a viewer, and place the sample's prompts.

    The features are computed in the background; the prompts count when they are ready,
    as a user's own clicks would.
    """
    viewer.open_sample("napari-dinoprompt", _FIELD)
    dock = PromptSegmentation(viewer)
    viewer.window.add_dock_widget(dock, name="Prompt segmentation")
    prompts = read_prompts(sample_files(_FIELD)["prompts"])
    dock.coordinator.place_prompts(prompts.points, prompts.classes)
    state = dock.coordinator.session.current
    if state is not None and state.prompts is not None:
        state.given = np.array(state.prompts.data)
    return dock
