"""How good the masks are: the quality protocol for any backbone and method.

python tools/benchmarks/quality.py --backbone dinov2-small --output quality

computes the tables for DINOv2, whose weights have to be on this machine (see
'dinoprompt models'). A run that was stopped goes on where it was; runs with other
backbones into the same folder stand in the same tables. Written are quality.md,
quality.csv (every case), quality_summary.csv, timing.csv, and pictures of the best,
median and worst plane of each set.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from programs import exit_code
from quality_parts.program import run_benchmark
from quality_parts.settings import read_settings
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Sequence


@exit_code
def main(words: Sequence[str] | None = None) -> None:
    """Run the benchmark."""
    run_benchmark(read_settings(words, str(__doc__)), Console(stderr=True))


if __name__ == "__main__":
    sys.exit(main())
