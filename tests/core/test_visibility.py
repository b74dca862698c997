"""An image that shows nothing in a reference's window: everybody is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import tifffile

import napari_dinoprompt as dp
from napari_dinoprompt import cli
from napari_dinoprompt.core.intensity import IntensityWindow
from napari_dinoprompt.core.visibility import notice_of_window

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from napari_dinoprompt.core.backbones import Backbone

WINDOW = IntensityWindow(20, 200)
SAID = "grey values lie outside the intensity window of the reference, "
STORED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "16 bits": lambda image: image.astype(np.uint16) * 257,
    "black and white": lambda image: image > 100,
    "0 to 1": lambda image: (image / 255).astype(np.float32),
}


@pytest.mark.parametrize("how", STORED)
def test_the_same_image_stored_otherwise_is_told_of(
    how: str, blobs, blob_reference: dp.Reference, filterbank: Backbone
) -> None:
    image = STORED[how](blobs.image)
    with pytest.warns(RuntimeWarning, match=SAID):
        dp.segment(image, blob_reference, filterbank)
    # What the warning says to do.
    found = dp.segment(
        image, blob_reference, filterbank, dp.SegmentOptions(window="image")
    )
    assert found.objects > 3


@pytest.mark.parametrize(
    "image",
    [
        np.full((64, 64), 255, np.uint8),
        np.eye(64, dtype=np.uint8) * 0 + 3,
        # An empty field, with the noise of a camera.
        np.random.default_rng(0).normal(30, 2, (64, 64)).astype(np.uint8),
        # Dim and bright, but to be seen.
        np.arange(4096, dtype=np.uint16).reshape(64, 64) // 80,
        np.arange(4096, dtype=np.uint16).reshape(64, 64),
        # One hot pixel.
        np.where(np.arange(4096).reshape(64, 64) == 9, 9999, 0),
        np.full((64, 64), np.nan),
    ],
)
def test_what_can_be_seen_or_never_could_is_not(image: np.ndarray) -> None:
    assert notice_of_window([image], WINDOW) is None


def test_an_8_bit_image_is_too_dark_for_a_window_of_16_bits() -> None:
    image = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert notice_of_window([image], IntensityWindow(0, 40000)) is not None
    assert notice_of_window([image.astype(np.uint16)], IntensityWindow(0, 900)) is None


def test_a_stack_tells_once(
    blobs, blob_reference: dp.Reference, filterbank: Backbone
) -> None:
    stack = np.stack([blobs.image[:48, :48]] * 3).astype(np.uint16) * 257
    with pytest.warns(RuntimeWarning, match=SAID) as heard:
        dp.segment_stack(stack, blob_reference, filterbank)
    assert len(heard) == 1


def test_a_plane_in_parts_tells(
    blobs,
    blob_reference: dp.Reference,
    filterbank: Backbone,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("napari_dinoprompt.core.estimate._WHOLE_BYTES", 0)
    image = blobs.image[:64, :64].astype(np.uint16) * 257
    with pytest.warns(RuntimeWarning, match=SAID):
        dp.segment(image, blob_reference, filterbank)


def test_the_command_names_the_image(
    tmp_path: Path,
    blobs,
    blob_reference: dp.Reference,
    capsys: pytest.CaptureFixture[str],
) -> None:
    odd, plain = tmp_path / "odd.tif", tmp_path / "plain.tif"
    tifffile.imwrite(odd, blobs.image.astype(np.uint16) * 257)
    tifffile.imwrite(plain, blobs.image)
    reference = blob_reference.save(tmp_path / "blobs")
    call = ["segment", odd, plain, "--reference", reference]
    with pytest.raises(SystemExit) as ended:
        cli.main([*map(str, call), "--output", str(tmp_path / "out")])
    assert not ended.value.code
    lines = [one for one in capsys.readouterr().err.splitlines() if SAID in one]
    assert len(lines) == 1
    assert lines[0].startswith(f"dinoprompt: {odd}: The image's grey values")
