"""How far the voxels of a file are apart, where OME or ImageJ has written it."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from .tiff import ome_pixels, tiff_file
from .zarr import described_image, is_zarr

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import tifffile


# Distance of voxels along z, y and x, in micrometres.
Spacing = tuple[float, float, float]

_PREFIXES = {
    "pico": 1e-6,
    "nano": 1e-3,
    "micro": 1.0,
    "milli": 1e3,
    "centi": 1e4,
    "deci": 1e5,
    "": 1e6,
}
_UNITS = {
    "pm": 1e-6,
    "nm": 1e-3,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "mm": 1e3,
    "cm": 1e4,
    "dm": 1e5,
    "m": 1e6,
    "micron": 1.0,
    "microns": 1.0,
    "å": 1e-4,
    "angstrom": 1e-4,
    "angstroms": 1e-4,
    "ångström": 1e-4,
    "inch": 25_400.0,
    "in": 25_400.0,
    "mil": 25.4,
    **{
        f"{prefix}{metre}": factor
        for prefix, factor in _PREFIXES.items()
        for metre in ("meter", "metre", "meters", "metres")
    },
}


def read_spacing(path: Path, series: int = 0) -> Spacing | None:
    """Read how far the voxels of a TIFF or OME-Zarr are apart.

    None if the file does not say it, or in units of which nothing is known.
    """
    found = _read_steps(path, "zyx", series)
    return None if found is None else (found[0], found[1], found[2])


def read_pixel_size(path: Path, series: int = 0) -> tuple[float, float] | None:
    """Read height and width of a pixel in micrometres, as `read_spacing`."""
    found = _read_steps(path, "yx", series)
    return None if found is None else (found[0], found[1])


def _read_steps(path: Path, axes: str, series: int) -> list[float] | None:
    # Metadata is written by many programs, and is only a convenience here.
    with suppress(Exception):
        if is_zarr(path):
            found = _zarr_steps(path, axes)
        else:
            found = _tiff_steps(path, axes, series)
        if found is not None and all(math.isfinite(one) and one > 0 for one in found):
            return found
    return None


def micrometres(unit: object) -> float | None:
    """Return how many micrometres a unit of length has; None for an unknown one."""
    name = str(unit).strip()
    # ImageJ writes what is not ASCII in this way.
    with suppress(UnicodeError):
        name = name.encode("ascii").decode("unicode_escape")
    return _UNITS.get(name.lower())


def _scaled(steps: Sequence[Any], units: Sequence[object]) -> list[float] | None:
    factors = [micrometres(unit) for unit in units]
    known = [one for one in factors if one is not None]
    if len(known) < len(factors):
        return None
    return [float(step) * one for step, one in zip(steps, known, strict=True)]


def _tiff_steps(path: Path, axes: str, series: int) -> list[float] | None:
    with tiff_file(path) as tiff:
        if tiff.is_ome:
            pixels = ome_pixels(tiff, series)
            names = [f"PhysicalSize{axis.upper()}" for axis in axes]
            units = [pixels.get(f"{name}Unit", "µm") for name in names]
            return _scaled([pixels[name] for name in names], units)
        return _imagej_steps(tiff, axes)


def _imagej_steps(tiff: tifffile.TiffFile, axes: str) -> list[float] | None:
    said = tiff.imagej_metadata or {}
    tags = tiff.pages.first.tags
    steps = {"z": abs(float(said.get("spacing", math.nan)))}
    for axis in "yx":
        pixels, units = tags[f"{axis.upper()}Resolution"].value
        steps[axis] = units / pixels
    unit = said.get("unit")
    return _scaled(
        [steps[axis] for axis in axes], [said.get(f"{axis}unit", unit) for axis in axes]
    )


def _zarr_steps(path: Path, axes: str) -> list[float] | None:
    described = described_image(path)
    units = {str(axis["name"]).lower(): axis.get("unit") for axis in described["axes"]}
    steps = dict.fromkeys(units, 1.0)
    wanted = (described["datasets"][0], described)
    for one in (
        step for level in wanted for step in level.get("coordinateTransformations", ())
    ):
        if one.get("type") == "scale":
            for name, factor in zip(units, one["scale"], strict=True):
                steps[name] *= float(factor)
    return _scaled([steps[axis] for axis in axes], [units[axis] for axis in axes])
