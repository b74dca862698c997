"""One job of the speed benchmark in a process of its own; `speed.py` starts it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

from speed_parts.jobs import JOBS

if __name__ == "__main__":
    job = json.loads(sys.argv[1])
    print(json.dumps(JOBS[job["name"]](**job["arguments"])))
