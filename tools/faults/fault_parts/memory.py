"""A GPU that is too small, simulated: real networks, and torch's own errors."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import tifffile

from fault_parts.inputs import draw
from fault_parts.rows import Row, lost, quote

if TYPE_CHECKING:
    from pathlib import Path

    from fault_parts.ground import Case, Ground

GROUP = "out of memory"
_NETWORK = "vit_tiny_patch16_224"


def _call(ground: Ground, output: Path) -> list[str]:
    inputs, wide = ground.inputs, ground.folder / "wide.tif"
    if not wide.exists():
        # Of several tiles: only then there are batches.
        tifffile.imwrite(wide, draw(0, (400, 560)))
    call = ["segment", wide, "--reference", inputs.network, "--again"]
    call += ["--checkpoint", inputs.weights, "--output", output]
    return [str(one) for one in call]


def halve(ground: Ground) -> list[Row]:
    """Batches are halved until they fit."""
    alone = ground.room("alone")
    env: dict[str, object] = {"DINOPROMPT_CACHE_GB": 0}
    troubles = ground.ask.command(*_call(ground, alone), env=env).troubles()
    before = tifffile.imread(alone / "wide_similarity.tif")
    apart, refused, tries = 0.0, set(), 0
    for fits, error in ((1, "torch"), (2, "words"), (4, "cublas"), (1, "python")):
        tries += 1
        output = ground.room(f"{fits} {error}")
        words = [str(fits), error, *_call(ground, output)]
        said = ground.ask.do("compute_on_small_card", words, env=env)
        troubles += said.troubles(lines=0)
        lines = said.out.splitlines()
        refused |= {int(one.split()[1]) for one in lines if "refused" in one}
        if said.code == 0:
            now = tifffile.imread(output / "wide_similarity.tif")
            apart = max(apart, float(np.abs(now - before).max()))
            same = np.array_equal(
                tifffile.imread(output / "wide_mask.tif"),
                tifffile.imread(alone / "wide_mask.tif"),
            )
            troubles += [] if same else ["another mask"]
    troubles += [] if refused else ["nothing was refused"]
    happened = (
        f"batches of {sorted(refused)} tiles were refused and halved; the same masks, "
        f"similarities within {apart:.0e} of those of a card with room"
    )
    return [Row(GROUP, "at most 4, 2 or 1 tiles fit", tries, happened, lost(troubles))]


def leave(ground: Ground) -> list[Row]:
    """A card on which not even one tile fits is left for the CPU."""
    inputs = ground.inputs
    said = ground.ask.do("leave_the_card", inputs.weights, _NETWORK, inputs.real)
    troubles = said.troubles(lines=0)
    happened = "there was no answer"
    if said.out.strip():
        found = json.loads(said.out.splitlines()[-1])
        troubles += [] if found["same"] else ["other numbers than on the CPU alone"]
        troubles += [] if len(found["notices"]) == 1 else ["not one notice"]
        happened = (
            f"batches of {found['asked']} tiles were tried; "
            f"{quote(found['notices'][0])} The same numbers as on the CPU alone"
        )
    return [
        Row(GROUP, "not even one tile fits on the card", 1, happened, lost(troubles))
    ]


def give_up(ground: Ground) -> list[Row]:
    """Not even one tile fits on the CPU."""
    output = ground.folder / "out"
    words = ["0", "torch", *_call(ground, output)]
    env: dict[str, object] = {"DINOPROMPT_CACHE_GB": 0}
    said = ground.ask.do("compute_on_small_card", words, env=env)
    troubles = said.troubles(code=2, lines=1)
    left = list(output.glob("*.tif")) if output.exists() else []
    troubles += ["results are there"] if left else []
    return [
        Row(
            GROUP,
            "not even one tile fits anywhere",
            1,
            quote(said.last_line),
            lost(troubles),
        )
    ]


CASES: dict[str, Case] = {
    "memory-halved": halve,
    "memory-card": leave,
    "memory-none": give_up,
}
