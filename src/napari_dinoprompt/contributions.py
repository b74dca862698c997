"""What napari calls by name: sample data."""

from __future__ import annotations

from typing import Any

__all__ = ["open_early_sample", "open_ihc_sample", "open_late_sample"]

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
