"""The demo in a viewer."""

from __future__ import annotations

from importlib import import_module

from napari_dinoprompt.core.errors import InputError

__all__ = ["open_viewer"]


def open_viewer() -> None:
    """Open napari with the sample images, prompts and results; wait until it closes.

    Raises
    ------
    InputError
        If napari has no Qt to open windows with.
    """
    try:
        viewer = import_module("napari_dinoprompt._qt.demo_viewer")
    except ImportError as error:
        msg = (
            f"napari cannot open a window ({error}). Install one of its Qt bindings, "
            'for example: pip install "napari[pyqt6]"; or run: dinoprompt demo '
            "--no-viewer"
        )
        raise InputError(msg) from error
    viewer.open_demo()
