"""Distances of voxels in the units that programs write."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile
import zarr

from napari_dinoprompt.core.io.spacing import micrometres, read_spacing

if TYPE_CHECKING:
    from pathlib import Path

STACK = np.zeros((3, 16, 16), np.uint8)


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        *[(one, 1) for one in ("µm", "μm", "um", "micron", "Microns", "\\u00B5m")],
        *[("micrometer", 1), ("micrometre", 1), ("nm", 1e-3), ("nanometer", 1e-3)],
        *[("Å", 1e-4), ("angstrom", 1e-4), ("cm", 1e4), ("centimeter", 1e4)],
        *[("mm", 1e3), ("millimetre", 1e3), ("m", 1e6), ("meter", 1e6)],
        *[("inch", 25_400), ("pm", 1e-6)],
        *[("pixel", None), ("", None), (None, None), ("reference frame", None)],
    ],
)
def test_units_of_length(unit, expected) -> None:
    found = micrometres(unit)
    assert found == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(("unit", "factor"), [("nm", 1e-3), ("Å", 1e-4), ("cm", 1e4)])
def test_ome_tiff(tmp_path: Path, unit, factor) -> None:
    sizes = {f"PhysicalSize{axis}": at for at, axis in enumerate("ZYX", start=1)}
    units = {f"PhysicalSize{axis}Unit": unit for axis in "ZYX"}
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, STACK, metadata={"axes": "ZYX", **sizes, **units})
    assert read_spacing(path) == pytest.approx((factor, 2 * factor, 3 * factor))


def imagej(path: Path, **said: object) -> None:
    metadata = {"axes": "ZYX", "spacing": 2.0, **said}
    tifffile.imwrite(path, STACK, imagej=True, resolution=(4, 2), metadata=metadata)


def test_imagej(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    imagej(path, unit="nm")
    assert read_spacing(path) == pytest.approx((2e-3, 0.5e-3, 0.25e-3))
    imagej(path, unit="nm", zunit="micron")
    assert read_spacing(path) == pytest.approx((2, 0.5e-3, 0.25e-3))
    imagej(path, unit="pixel")
    assert read_spacing(path) is None
    imagej(path)
    assert read_spacing(path) is None


def test_ome_zarr(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    group = zarr.open_group(path, mode="w")
    group.create_array("0", data=STACK)
    axes = [
        {"name": name, "type": "space", "unit": unit}
        for name, unit in zip("zyx", ("micrometer", "nanometer", "nm"), strict=True)
    ]
    scale = {"type": "scale", "scale": [2.0, 300.0, 400.0]}
    level = {"path": "0", "coordinateTransformations": [scale]}
    image = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [level]}]}
    group.attrs["ome"] = image
    assert read_spacing(path) == pytest.approx((2, 0.3, 0.4))
    for axis in axes:
        del axis["unit"]
    group.attrs["ome"] = image
    assert read_spacing(path) is None
