"""Segment a stack in children that are killed, then to its end.

Called with the stack as .npy, a reference and a folder for the results. After each
kill a line of JSON tells which planes were noted as finished.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from napari_dinoprompt.core.backbones.load import load_backbone
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.segmentation.stack import segment_stack


def run(stack: Path, reference: Path, store: Path) -> None:
    segment_stack(
        np.load(stack, mmap_mode="r"),
        Reference.load(reference),
        load_backbone("filterbank", device="cpu"),
        store=store,
    )


def notes(store: Path) -> dict[str, int]:
    """When the chunk that notes each plane was written; no chunk, no plane."""
    found = (store / "objects").glob("c/**/*")
    return {
        str(path.relative_to(store)): path.stat().st_mtime_ns
        for path in found
        if path.is_file() and "partial" not in path.name
    }


def main(stack: Path, reference: Path, store: Path) -> None:
    torch.set_num_threads(1)
    for wanted in (2, 5, 7):
        child = os.fork()
        if child == 0:
            run(stack, reference, store)
            os._exit(0)
        while len(notes(store)) < wanted:
            time.sleep(0.0005)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        print(json.dumps(notes(store)), flush=True)
    run(stack, reference, store)
    print(json.dumps(notes(store)), flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
