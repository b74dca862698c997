"""What napari calls by name, tried with layers and paths of every kind."""

from __future__ import annotations

import os
import tempfile
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from hypothesis import strategies as st

from . import subjects, whole_files
from .checks import expect
from .damage import damaged, edits

Case = dict[str, Any]
_SUFFIX = ".reference.safetensors"
_ODD = st.sampled_from([None, 1, "prompts", (), [], {}, ((), (), None), float("nan")])
_POINTS = st.sampled_from([(0, 2), (3, 2), (3, 3), (2, 0), (0,)])


def warm_up() -> None:
    """Import napari, which warns while it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import_module("napari_dinoprompt.session.reference_layers")


@st.composite
def _marks(draw: st.DrawFn) -> Any:
    """Draw what lies in a layer's metadata under our name."""
    if draw(st.booleans()):
        return draw(_ODD)
    mark = {"role": draw(st.sampled_from(["prompts", "prompts", "mask", 3]))}
    if draw(st.booleans()):
        mark["reference"] = draw(_ODD | st.just("ours"))
    return mark


WRITTEN = st.fixed_dictionaries(
    {
        "shape": _POINTS,
        "mark": _marks(),
        "column": st.sampled_from(["class", "other"]),
        "path": st.sampled_from(["a", f"a{_SUFFIX}", "a.csv", "no/such/a", "ä ü"]),
    }
)


def try_writer(case: Case) -> None:
    """The writer of references."""
    from napari_dinoprompt.session.reference_layers import write_reference

    data = np.zeros(case["shape"])
    mark = case["mark"]
    if isinstance(mark, dict) and mark.get("reference") == "ours":
        names = ("object",) * len(data)
        mark = {**mark, "reference": (data, names, subjects.reference("uint8"))}
    meta = {
        "features": {case["column"]: ["object"] * len(data)},
        "metadata": {"napari-dinoprompt": mark},
    }
    with tempfile.TemporaryDirectory() as folder:
        for path in write_reference(f"{folder}/{case['path']}", data, meta):
            expect(Path(path).is_file(), "what is named is there")
            expect(path.endswith(_SUFFIX), "it has the suffix")


READ = st.fixed_dictionaries(
    {
        "edits": st.just(()) | edits,
        "names": st.lists(
            st.sampled_from([f"a{_SUFFIX}", f"missing{_SUFFIX}", "b.tif", "", "a"]),
            max_size=2,
        ),
        "alone": st.booleans(),
    }
)


def try_reader(case: Case) -> None:
    """The reader of references, which puts them into the library."""
    from napari_dinoprompt.session.reference_layers import get_reference_reader

    with tempfile.TemporaryDirectory() as folder:
        content = damaged(whole_files.reference_file(), case["edits"])
        (Path(folder) / f"a{_SUFFIX}").write_bytes(content)
        paths: Any = [os.path.join(folder, name) for name in case["names"]]
        if case["alone"] and paths:
            paths = paths[0]
        read = get_reference_reader(paths)
        if read is None or not paths:
            return
        with patch.dict(os.environ, DINOPROMPT_LIBRARY=f"{folder}/library"):
            for layer in read(paths):
                expect(isinstance(layer, tuple), "layers are tuples")
