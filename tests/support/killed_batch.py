"""Run a batch in children that are killed after ever longer times, then to its end.

Called with a folder of images, a reference and a folder for results. torch is imported
once; each child is a fork. After each kill a line of JSON tells what a careful person
would see in the folder.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path

import tifffile
import torch
from batch_images import finished_images

from napari_dinoprompt.core.backbones.load import load_backbone
from napari_dinoprompt.core.batch.run import segment_batch
from napari_dinoprompt.core.references.reference import Reference
from napari_dinoprompt.core.segmentation.segment import SegmentOptions


def run(images: list[Path], reference: Path, output: Path) -> None:
    backbone = load_backbone("filterbank", device="cpu")
    loaded = Reference.load(reference)
    for _ in segment_batch(images, output, loaded, backbone, SegmentOptions()):
        pass


def look(output: Path) -> dict[str, object]:
    records = finished_images(output)
    pixels = {p.name: tifffile.imread(p).size for p in sorted(output.glob("*.tif"))}
    half = [p.name for p in output.glob(".dinoprompt-*.tmp")]
    return {"records": records, "pixels": pixels, "half": half}


def count(output: Path) -> int:
    return len(os.listdir(output)) if output.is_dir() else 0


def kill_after(child: int, output: Path, more: int) -> bool:
    """Wait until some more files have come to be, whole or not, and kill the child.

    Returns whether it was still at work.
    """
    wanted = count(output) + more
    while count(output) < wanted:
        found, _ = os.waitpid(child, os.WNOHANG)
        if found == child:
            return False
        time.sleep(0.0005)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def main(folder: Path, reference: Path, output: Path) -> None:
    torch.set_num_threads(1)
    images = sorted(folder.iterdir())
    for more in (3, 5, 6, 7, 8):
        child = os.fork()
        if child == 0:
            run(images, reference, output)
            os._exit(0)
        killed = kill_after(child, output, more)
        print(json.dumps({"killed": killed, **look(output)}), flush=True)
    run(images, reference, output)
    print(json.dumps({"killed": False, **look(output)}), flush=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
