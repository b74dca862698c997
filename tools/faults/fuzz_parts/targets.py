"""All that is tried: what is drawn, and what is done with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import calls, documents, image_files, large_calls, layers

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import SearchStrategy


@dataclass(frozen=True)
class Target:
    """Something that takes inputs.

    Attributes
    ----------
    cases : strategy
    attempt : callable
        Takes a case; returns if it was used and the result holds.
    quick : int
        How many are tried in the suite.
    """

    cases: SearchStrategy[Any]
    attempt: Callable[[Any], None]
    quick: int


TARGETS = {
    "window": Target(calls.WINDOWS, calls.try_window, 25),
    "interval": Target(calls.INTERVALS, calls.try_interval, 20),
    "features": Target(calls.FEATURES, calls.try_features, 8),
    "prompts": Target(calls.prompts(), calls.try_prompts, 6),
    "segment": Target(calls.SEGMENTS, calls.try_segment, 10),
    "parts": Target(large_calls.PARTS, large_calls.try_parts, 4),
    "lazy": Target(large_calls.lazy_cases(), large_calls.try_lazy, 4),
    "stack": Target(large_calls.STACKS, large_calls.try_stack, 8),
    "volume": Target(large_calls.VOLUMES, large_calls.try_volume, 25),
    "compare": Target(large_calls.COMPARISONS, large_calls.try_comparison, 6),
    "study": Target(large_calls.study_cases(), large_calls.try_study, 8),
    "names": Target(calls.NAMES, calls.try_names, 25),
    "reference file": Target(documents.REFERENCES, documents.try_reference, 25),
    "library": Target(documents.LIBRARIES, documents.try_library, 5),
    "points": Target(documents.POINTS, documents.try_points, 30),
    "checkpoint": Target(documents.CHECKPOINTS, documents.try_checkpoint, 15),
    "tiff": Target(image_files.TIFFS, image_files.try_tiff, 25),
    "picture": Target(image_files.PICTURES, image_files.try_picture, 20),
    "zarr": Target(image_files.ZARRS, image_files.try_zarr, 12),
    "store": Target(image_files.STORES, image_files.try_store, 4),
    "tile": Target(documents.TILES, documents.try_tile, 25),
    "record": Target(documents.RECORDS, documents.try_record, 15),
    # Import napari, and so nothing for the tests of core.
    "writer": Target(layers.WRITTEN, layers.try_writer, 0),
    "reader": Target(layers.READ, layers.try_reader, 0),
    "scheduler": Target(documents.SCHEDULERS, documents.try_scheduler, 30),
}
