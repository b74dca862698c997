"""Which figure sees a hallucination? Objects planted in real images, or removed.

python tools/benchmarks/hallucinations.py --output hallucinations

The "fake" is the real image itself, slightly blurred, brightened and noisy as the
best virtual stain is, with k objects planted or removed. Compared with fakes in which
all objects are right, each column of a comparison either tells them apart or not: 1 is
always, 0.5 by chance. "Changed harmlessly" are fakes that are brighter, blurred,
noisier or 2 pixels aside, whether their objects are right or wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich.progress import Progress

sys.path.append(str(Path(__file__).parent))

from hallucination_parts.report import draw, write_tables
from hallucination_parts.trials import HARMLESS, Stage, Trial
from programs import backbone_of, data_of, exit_code, quality_parser
from stain_parts.fields import find_stain_fields

if TYPE_CHECKING:
    from collections.abc import Sequence

COUNTS = (1, 3, 10, 30)


@exit_code
def main(words: Sequence[str] | None = None) -> None:
    """Run the trials and write tables and plot."""
    parser = quality_parser(__doc__, "hallucinations")
    parser.add_argument("--repeats", type=int, default=4, help="of each trial")
    asked = parser.parse_args(words)
    backbone = backbone_of(asked)
    fields = find_stain_fields(data_of(asked), asked.placed)
    trials: list[Trial] = []
    with Progress(transient=True) as bar:
        for number, field in enumerate(fields):
            stage = Stage(field, backbone)
            total = asked.repeats * (3 + 4 * len(COUNTS) + len(HARMLESS))
            task = bar.add_task(field.name, total=total)
            for repeat in range(asked.repeats):
                rng = np.random.default_rng((number, repeat))
                made = [stage.try_nothing(rng) for _ in range(3)]
                for count in COUNTS:
                    for rough in (False, True):
                        made.append(stage.try_edit("planted", count, rng, rough=rough))
                        made.append(stage.try_edit("removed", count, rng, rough=rough))
                made += [stage.try_harmless(name, rng) for name in HARMLESS]
                trials += made
                bar.advance(task, len(made))
    asked.output.mkdir(parents=True, exist_ok=True)
    write_tables(asked.output / "hallucinations.md", trials, COUNTS)
    draw(asked.output / "hallucinations.png", trials, COUNTS)
    print((asked.output / "hallucinations.md").read_text())


if __name__ == "__main__":
    sys.exit(main())
