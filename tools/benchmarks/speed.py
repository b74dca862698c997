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

from programs import exit_code
from rich.console import Console
from speed_parts.program import run_benchmark
from speed_parts.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence


@exit_code
def main(words: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    typed = list(sys.argv[1:] if words is None else words)
    settings = read_settings(words, str(__doc__))
    run_benchmark(settings, Console(stderr=True), " ".join(["speed.py", *typed]))


if __name__ == "__main__":
    sys.exit(main())
