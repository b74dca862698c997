"""The jobs that run in processes of their own."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_dinoprompt.core.backbones.load import FILTERBANK, load_backbone
from napari_dinoprompt.core.features.extraction import extract_features
from napari_dinoprompt.core.images.lazy_plane import LazyPlane
from napari_dinoprompt.core.masks.cleaning import Cleaning
from napari_dinoprompt.core.progress import run_to_end
from napari_dinoprompt.core.segmentation.interactive import (
    LiveResult,
    prepare_planes,
    score_prompts,
)
from napari_dinoprompt.core.segmentation.plane_features import ImageFeatures
from speed_parts.clicks import PROMPTS, as_prompts, find
from speed_parts.networks import NetworkChoice
from speed_parts.peer import Peer
from speed_parts.pictures import picture, places_on_objects
from speed_parts.processes import anonymous_bytes

if TYPE_CHECKING:
    from collections.abc import Callable


_VIEW = 512
_CLEANING = Cleaning(min_size=20, fill_holes=True)


def extract(*, tool: str, side: int, upscale: float, network: dict[str, Any]) -> Any:
    """Extract the features of one image, and score five prompts once.

    Returns
    -------
    dict
        Bytes in use before and after the extraction and after the click.
    """
    checkpoint = network.pop("checkpoint")
    choice = NetworkChoice(checkpoint=checkpoint and Path(checkpoint), **network)
    backbone = choice.load()
    image = picture(side)
    points = places_on_objects(image, PROMPTS)
    found = {"ready": anonymous_bytes()}
    if tool == "peer":
        peer = Peer(backbone, upscale)
        peer.embed(image)
        found["extracted"] = anonymous_bytes()
        peer.click(points)
    else:
        planes = ImageFeatures()
        from napari_dinoprompt.core.segmentation.plane_features import PlaneFeatures

        features = extract_features(image, backbone, upscale=upscale)
        planes.add((), PlaneFeatures(features))
        found["extracted"] = anonymous_bytes()
        find(planes, as_prompts(points))
    found["scored"] = anonymous_bytes()
    return found


def large(*, backbone: str, side: int, path: str, threads: int | None) -> Any:
    """Do all of a large plane, as the dock does: open, click, fill, clean.

    Returns
    -------
    dict
        Seconds of each step, and what is on the screen when.
    """
    import zarr

    if threads:
        torch.set_num_threads(threads)
    if backbone == FILTERBANK:
        ours = load_backbone(FILTERBANK, device="cpu")
    else:
        ours = NetworkChoice(device="cpu").load()
    pixels = zarr.open_array(store=path, mode="r")
    clock = _Clock()
    planes = ImageFeatures()
    for said in prepare_planes(
        planes,
        lambda _: LazyPlane(pixels),
        (),
        (side, side),
        lambda: ours,
        1.0,
        [()],
    ):
        if isinstance(said, tuple):
            planes.add(*said)
    clock.mark("open")
    start = max(0, (side - _VIEW) // 2)
    view = np.asarray(pixels[start : start + _VIEW, start : start + _VIEW])
    points = places_on_objects(view, PROMPTS) + start
    shown = None
    for step in score_prompts(
        planes, as_prompts(points), (), {}, points, source="image"
    ):
        if isinstance(step, LiveResult):
            shown = step
        if shown is not None and (not shown.large or getattr(step, "done", 0) == 1):
            clock.mark("first")
    assert shown is not None
    clock.mark("fill")
    objects = _clean(shown)
    clock.mark("clean")
    return {**clock.marks, "part_by_part": planes[()].large, "objects": objects}


def _clean(result: LiveResult) -> int:
    (_, (finest, *_)), _ = run_to_end(result.iter_clean(_CLEANING))
    step = 2048
    return max(
        int(np.asarray(finest[y : y + step]).max())
        for y in range(0, finest.shape[0], step)
    )


class _Clock:
    """Seconds between marks."""

    def __init__(self) -> None:
        self.marks: dict[str, float] = {}
        self._last = perf_counter()

    def mark(self, name: str) -> None:
        now = perf_counter()
        self.marks[name] = now - self._last
        self._last = now


JOBS: dict[str, Callable[..., Any]] = {"extract": extract, "large": large}
