"""The project's own sample pictures: two drawn fields, real, fake and truth.

All of them are made by ``tools/sample_data/make_sample_data.py``, which draws them and
trains the small network that predicts the fakes. This module only finds the files, and
imports nothing heavy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["FIELDS", "ROLES", "sample_files", "sample_path"]

# The fields: *early* has few large cells, *late* many small ones.
FIELDS = ("early", "late")

# What is stored of each field, and how the name of its file ends.
ROLES = {
    "membrane": "membrane.png",
    "nuclei_real": "nuclei_real.png",
    "nuclei_fake_undertrained": "nuclei_fake_undertrained.png",
    "nuclei_fake_trained": "nuclei_fake_trained.png",
    "nuclei_truth": "nuclei_truth.tif",
    "prompts": "prompts.csv",
}

_LayerData = tuple[Any, dict[str, Any], str]
_TITLES = {
    "membrane": "membrane",
    "nuclei_fake_undertrained": "nuclei (virtual, undertrained)",
    "nuclei_fake_trained": "nuclei (virtual, trained)",
    "nuclei_real": "nuclei (real)",
}


def sample_path(name: str) -> Path:
    """Find one sample file.

    Parameters
    ----------
    name : str
        File name in this folder, for example ``"early_membrane.png"``.

    Returns
    -------
    pathlib.Path
        Absolute path of the existing file.

    Raises
    ------
    FileNotFoundError
        If there is no sample file of that name.
    """
    path = Path(__file__).resolve().parent / name
    if not path.is_file():
        raise FileNotFoundError(f"no sample file {name!r} in {path.parent}")
    return path


def sample_files(field: str) -> dict[str, Path]:
    """Find all files of one field.

    Parameters
    ----------
    field : str
        One of `FIELDS`.

    Returns
    -------
    dict of str to pathlib.Path
        Absolute path for each key of `ROLES`. The images are ``(512, 512)``
        uint8, the truth ``(512, 512)`` uint16 instance labels with 0 as
        background, the prompts a napari points CSV, ``(y, x)`` in pixel indices.

    Raises
    ------
    ValueError
        If `field` is not one of `FIELDS`.
    FileNotFoundError
        If a file of the field is missing.
    """
    if field not in FIELDS:
        raise ValueError(f"field must be one of {FIELDS}, not {field!r}")
    return {role: sample_path(f"{field}_{end}") for role, end in ROLES.items()}


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

    files = sample_files(field)
    return [
        (
            iio.imread(files[role]),
            {"name": f"{field} {title}", "visible": role == "nuclei_real"},
            "image",
        )
        for role, title in _TITLES.items()
    ]
