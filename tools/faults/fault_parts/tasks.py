"""What runs in the forks: the real command, and parts of the API again and again.

Imported once by `forks`, with all that is slow to import.
"""

from __future__ import annotations

import json
import os
import threading
import time
import warnings
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from bad_pixels import BAD_PIXELS

import napari_dinoprompt as dp
from napari_dinoprompt import cli
from napari_dinoprompt._cli import demo
from napari_dinoprompt._cli.console import say
from napari_dinoprompt.core.backbones import vit
from napari_dinoprompt.core.batch import run as _batch
from napari_dinoprompt.core.comparison import compare as _comparison
from napari_dinoprompt.core.comparison import figure as _figure
from napari_dinoprompt.core.features import extraction, regions
from napari_dinoprompt.core.io.points import read_prompts
from napari_dinoprompt.core.io.read import read_image
from napari_dinoprompt.core.prompt_study import figures as _figures
from napari_dinoprompt.core.prompt_study.study import study
from napari_dinoprompt.core.references.library import Library
from napari_dinoprompt.core.segmentation import stack as _stacks
from napari_dinoprompt.core.tiling.cache import TileCache

# Imported for the time that it takes, once and not in each child.
_ = (_batch, _comparison, _figure, _figures, _stacks, vit)
torch.set_num_threads(1)
# What was prepared in the process that forks, by its kind.
_made: dict[str, list[Any]] = {}


def _begin() -> None:
    """Let the clock of `kill_loop` run: what comes now is what is to be killed."""
    Path(os.environ["FAULTS_BEGUN"]).touch()


def command(arguments: list[str]) -> None:
    """Run the command `dinoprompt`."""
    cli.main(arguments)


def compute_as_large(arguments: list[str]) -> None:
    """Run the command as if every plane were too large to hold."""
    extraction._WHOLE_BYTES = 1  # type: ignore[attr-defined]
    regions._SIDE = 64  # type: ignore[attr-defined]
    cli.main(arguments)


def compute_with_network(arguments: list[str]) -> None:
    """Run the command with a network that is small, but worth to be kept."""
    extraction._WORTH_KEEPING_SECONDS = 0  # type: ignore[attr-defined]
    cli.main(arguments)


def save_in_turns(path: str, one: str, other: str) -> None:
    """Save two references under one name, in turn, without end."""
    references = [dp.Reference.load(Path(one)), dp.Reference.load(Path(other))]
    _begin()
    for number in count():
        references[number % 2].save(Path(path))


def add_in_turns(folder: str, one: str) -> None:
    """Add a reference to a library again and again."""
    reference = dp.Reference.load(Path(one))
    library = Library(Path(folder))
    _begin()
    for _ in count():
        library.add(reference, "field")


def prepare_comparisons(real: str, fake: str, one: str, other: str) -> None:
    """Compare with two references, for `write_in_turns`."""
    backbone = dp.load_backbone("filterbank", device="cpu")
    _made["compare"] = [
        dp.compare(
            read_image(Path(real)),
            [read_image(Path(fake))],
            dp.Reference.load(Path(reference)),
            backbone=backbone,
            names=["fake"],
            draws=0,
        )
        for reference in (one, other)
    ]


def prepare_studies(image: str, one: str, other: str) -> None:
    """Study the prompts of two files, for `write_in_turns`."""
    backbone = dp.load_backbone("filterbank", device="cpu")
    _made["study"] = []
    for points in (one, other):
        prompts = read_prompts(Path(points))
        found = study(
            read_image(Path(image)),
            prompts.points,
            prompts.classes,
            backbone,
            parts=("threshold", "influence"),
        )
        _made["study"].append(found)


def write_in_turns(kind: str, folder: str) -> None:
    """Write what was prepared into one folder, in turn, without end."""
    _begin()
    for number in count():
        _made[kind][number % 2].save(Path(folder))


def write_once(kind: str, folder: str, number: int) -> None:
    """Write one of what was prepared."""
    _made[kind][number].save(Path(folder))


def keep_tiles(folder: str) -> None:
    """Keep large tiles in a cache, in turn, without end."""
    cache = TileCache(Path(folder), 10**9)
    tile = np.random.default_rng(0).normal(size=(128, 256, 64)).astype(np.float16)
    _begin()
    for number in count():
        cache.put(f"{number % 4:02x}" * 32, tile)


def add_once(arguments: list[str]) -> None:
    """Add a reference to the user's library, and say errors as the command does."""
    reference, name = arguments
    try:
        Library().add(dp.Reference.load(Path(reference)), name)
    except dp.DinopromptError as error:
        say(str(error))
        raise SystemExit(2) from error


def tell_one_field(arguments: list[str]) -> None:
    """Run `dinoprompt demo` for one field instead of two, without intervals."""
    demo.FIELDS, demo._DRAWS = ("early",), 0  # type: ignore[misc, assignment]
    cli.main(arguments)


def segment_while_files_go(arguments: list[str]) -> None:
    """Run a batch, whose last images are deleted once the first is finished."""
    output, *gone = arguments[:3]

    def delete() -> None:
        while not list(Path(output).glob("*_record.json")):
            time.sleep(0.001)
        for name in gone:
            Path(name).unlink()

    threading.Thread(target=delete, daemon=True).start()
    cli.main(arguments[3:])


def compute_while_disk_fills(arguments: list[str]) -> None:
    """Compute as if the plane were large; another program fills the disk meanwhile."""
    disk, pieces, *rest = arguments

    def fill() -> None:
        while len(list(Path(disk).rglob("c/**/*"))) < int(pieces):
            time.sleep(0.0005)
        with suppress(OSError), Path(disk, "filler.bin").open("wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()

    threading.Thread(target=fill, daemon=True).start()
    compute_as_large(rest)


def call_api(kind: str, call: str) -> None:
    """Call a public function with bad pixels; print what came of it as JSON."""
    pixels = BAD_PIXELS[kind]()
    backbone = dp.load_backbone("filterbank", device="cpu")
    reference = dp.Reference.load(Path(os.environ["FAULTS_REFERENCE"]))
    points = [(0, 0), (0, 1)]
    calls = {
        "extract_features": lambda: dp.extract_features(pixels, backbone),
        "segment": lambda: dp.segment(pixels, reference).mask,
        "compare": lambda: dp.compare(pixels, [pixels], reference, draws=0),
        "study": lambda: study(pixels, points, None, backbone, parts=("threshold",)),
        "segment_stack": lambda: dp.segment_stack(pixels, reference).mask,
        "lazy_features": lambda: dp.lazy_features(pixels, backbone),
    }
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            calls[call]()
        said, kind = "", "a result"
    except dp.DinopromptError as error:
        said, kind = str(error), "a clear error"
    except Exception as error:  # noqa: BLE001 - that is what is looked for
        said, kind = str(error), f"a traceback: {type(error).__name__}"
    print(json.dumps({"said": said, "kind": kind}))


def make_weights(path: str, name: str) -> None:
    """Write random weights of a network, the same each time."""
    from safetensors.torch import save_file

    from napari_dinoprompt.core.backbones.vit import import_timm

    torch.manual_seed(0)
    model = import_timm().create_model(name, pretrained=False)
    save_file(model.state_dict(), path)
