"""Prompts of the last time, offered again."""

from __future__ import annotations

import os
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from napari_dinoprompt._qt.dock import prompt_sample
from scenes.stage import LAPTOP, open_viewer, settle, shoot

if TYPE_CHECKING:
    from pathlib import Path


def recovery(folder: Path) -> None:
    """The line with Restore and Forget, in the dark and in the light theme."""
    with TemporaryDirectory() as kept:
        os.environ["DINOPROMPT_RECOVERY"] = kept
        for theme, name in (("dark", "recovery"), ("light", "recovery-light")):
            viewer = open_viewer(LAPTOP)
            viewer.theme = theme
            dock = prompt_sample(viewer)
            settle(dock)
            state = dock.controller.session.current
            assert state is not None and state.prompts is not None
            # As if the image came anew: its prompts are gone from the viewer.
            viewer.layers.remove(state.prompts)
            dock.controller.add_prompts()
            settle(dock)
            shoot(viewer, folder / f"{name}.png")
    del os.environ["DINOPROMPT_RECOVERY"]
