"""What napari calls by name: sample data, and references as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "get_reference_reader",
    "open_early_sample",
    "open_ihc_sample",
    "open_late_sample",
    "write_reference",
]

_LayerData = tuple[Any, dict[str, Any], str]
_TITLES = {
    "membrane": "membrane",
    "nuclei_fake_undertrained": "nuclei (virtual, undertrained)",
    "nuclei_fake_trained": "nuclei (virtual, trained)",
    "nuclei_real": "nuclei (real)",
}


def open_early_sample() -> list[_LayerData]:
    """Open the early field: few, large cells."""
    return _open_field("early")


def open_late_sample() -> list[_LayerData]:
    """Open the late field: many small cells."""
    return _open_field("late")


def open_ihc_sample() -> list[_LayerData]:
    """Open real tissue: immunohistochemistry of colon, from scikit-image."""
    from skimage.data import immunohistochemistry

    return [(immunohistochemistry(), {"name": "immunohistochemistry"}, "image")]


def _open_field(field: str) -> list[_LayerData]:
    """Return the images of a sample field; the real nuclei alone are on show."""
    import imageio.v3 as iio

    from napari_dinoprompt.sample_data import sample_files

    files = sample_files(field)
    return [
        (
            iio.imread(files[role]),
            {"name": f"{field} {title}", "visible": role == "nuclei_real"},
            "image",
        )
        for role, title in _TITLES.items()
    ]


def get_reference_reader(path: Any) -> Callable[[Any], list[Any]] | None:
    """Return what reads reference files; None where one of several is none."""
    from napari_dinoprompt.core.references.file import SUFFIX

    paths = path if isinstance(path, list) else [path]
    return _read if all(str(one).endswith(SUFFIX) for one in paths) else None


def _read(path: Any) -> list[Any]:
    from napari_dinoprompt.session.reference_layers import open_reference

    paths = path if isinstance(path, list) else [path]
    found = [layer for one in paths for layer in open_reference(Path(one))]
    # napari's sign for a file that was read and makes no layer.
    return found or [(None,)]


def write_reference(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Save the prompts of a layer that the dock has made, with their vectors.

    Refused with a DinopromptError if it is another layer, or if its prompts have
    changed since they were used.
    """
    from napari_dinoprompt.session.reference_layers import reference_of_layer

    return [str(reference_of_layer(data, meta).save(path))]
