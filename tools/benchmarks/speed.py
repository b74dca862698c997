"""How fast everything is, and how much memory it takes; the peer in turn.

python tools/benchmarks/speed.py --peer --profile --output speed

measures extraction, a click, a reference applied to a second image, the cache and
memory. '--only large' does planes of up to 20,000 pixels along a side; '--only half'
compares half with full precision on real images. Without --backbone the network is
DINOv2-small's architecture with random weights, which is as fast. Written are speed.md,
speed.csv, speed.json and plots.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.append(str(Path(__file__).parent))

from rich.console import Console
from speed_parts.program import run_benchmark
from speed_parts.settings import read_settings

from napari_dinoprompt.core.errors import DinopromptError

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> int:
    """Run the benchmark.

    Parameters
    ----------
    words : sequence of str, optional
        The command line; that of the process by default.

    Returns
    -------
    int
        Exit code.
    """
    console = Console(stderr=True)
    typed = list(sys.argv[1:] if words is None else words)
    try:
        settings = read_settings(words, str(__doc__))
        run_benchmark(settings, console, " ".join(["speed.py", *typed]))
    except DinopromptError as error:
        console.print(str(error), markup=False, soft_wrap=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
