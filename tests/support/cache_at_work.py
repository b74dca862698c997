"""Programs at work on one cache of tiles, for tests of what they do to each other.

``share``: take and keep tiles of few keys for a while, in a cache that is far too small
for all of them; at the end a line of JSON tells how it went.
``kill``: children that keep tiles are killed with SIGKILL, until some have left
unfinished files; after each a line of JSON tells what is in the folder.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

from napari_dinoprompt.core.tiling.cache import HEADER_BYTES, TileCache, read_tile

TILES = 40
SHAPE = (20, 20, 64)
ROOM = 13
"""For so many tiles there is room in the shared cache."""


def key_of(number: int) -> str:
    return f"{number:02x}" * 32


def tile_of(number: int, shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    return np.random.default_rng(number).normal(size=shape).astype(np.float16)


def share(folder: Path, seed: int, rounds: int) -> None:
    cache = TileCache(folder, ROOM * (HEADER_BYTES + 2 * 20 * 20 * 64))
    tiles = [tile_of(number) for number in range(TILES)]
    rng = random.Random(seed)
    hits = wrong = 0
    for _ in range(rounds):
        number = rng.randrange(TILES)
        found = cache.get(key_of(number))
        if found is None:
            cache.put(key_of(number), tiles[number])
        else:
            hits += 1
            wrong += not np.array_equal(found, tiles[number])
    report = {"hits": hits, "wrong": wrong, "problem": cache.problem}
    print(json.dumps(report), flush=True)


def keep_tiles(folder: Path, tile: np.ndarray) -> None:
    cache = TileCache(folder, 10**9)
    number = 0
    while True:
        cache.put(key_of(number % 4), tile)
        number += 1


def look(folder: Path) -> dict[str, object]:
    broken, whole = [], 0
    for path in folder.rglob("*.tile"):
        try:
            read_tile(path, path.stem)
            whole += 1
        except ValueError as error:
            broken.append(str(error))
    half = [str(path) for path in folder.rglob(".dinoprompt-*.tmp")]
    return {"whole": whole, "broken": broken, "half": half}


def kill(folder: Path) -> None:
    rng = random.Random(0)
    tile = tile_of(0, (128, 256, 64))
    found: dict[str, object] = {"half": []}
    for attempt in range(60):
        child = os.fork()
        if child == 0:
            keep_tiles(folder, tile)
        time.sleep(0.03 + rng.uniform(0, 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = look(folder)
        print(json.dumps(found), flush=True)
        if attempt >= 10 and len(found["half"]) >= 3:
            return


if __name__ == "__main__":
    if sys.argv[1] == "share":
        share(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        kill(Path(sys.argv[2]))
