"""Run the real command, and parts of the API, in children of one process.

torch is imported once; each child is a fork. A request is a line of JSON on stdin: the
name of a task and its arguments, environment, whether root's powers are dropped, and
after how many seconds it is killed with SIGKILL. The answer is a line of JSON: how it
ended and what it said.
"""

from __future__ import annotations

import ctypes
import glob
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import tasks


def run(request: dict[str, Any]) -> dict[str, Any]:
    """Run a task in a child and wait for its end.

    One whose name begins with "prepare" runs here: children find what it has made.
    """
    if request["task"].startswith("prepare"):
        getattr(tasks, request["task"])(*request["arguments"])
        return {"code": 0, "hung": False, "out": "", "err": "", "seconds": 0.0}
    with tempfile.TemporaryDirectory() as place:
        out, err = Path(place, "out"), Path(place, "err")
        began = time.monotonic()
        child = os.fork()
        if child == 0:
            _be_child(request, out, err)
        if request["kill_when"] is not None:
            while not glob.glob(request["kill_when"]) and _lives(child):
                time.sleep(0.0005)
            began = time.monotonic()
        code, hung = _wait(child, began, request)
        return {
            "code": code,
            "hung": hung,
            "out": out.read_text(errors="replace") if out.exists() else "",
            "err": err.read_text(errors="replace") if err.exists() else "",
            "seconds": time.monotonic() - began,
        }


def _lives(child: int) -> bool:
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def _wait(child: int, began: float, request: dict[str, Any]) -> tuple[int, bool]:
    """Return the exit code, negative for a signal, and whether time ran out."""
    kill_after = request["kill_after"]
    limit = request["timeout"] if kill_after is None else kill_after
    pause = 0.005 if limit > 1 else 0.0005
    while True:
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), False
        if time.monotonic() - began > limit:
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            return os.waitstatus_to_exitcode(status), kill_after is None
        time.sleep(pause)


def _be_child(request: dict[str, Any], out: Path, err: Path) -> None:
    code = 1
    try:
        for number, path in ((1, out), (2, err)):
            opened = os.open(path, os.O_WRONLY | os.O_CREAT, 0o666)
            os.dup2(opened, number)
        os.environ.update(request["env"])
        if request["cwd"]:
            os.chdir(request["cwd"])
        if request["humble"]:
            _drop_capabilities()
        getattr(tasks, request["task"])(*request["arguments"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001 - whatever it is, it is what is looked for
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _drop_capabilities() -> None:
    """Make permissions count for root, too; an own user could not read all modules."""
    libc = ctypes.CDLL(None, use_errno=True)
    version_3 = (ctypes.c_uint32 * 2)(0x20080522, 0)
    if libc.capset(version_3, (ctypes.c_uint32 * 6)()):
        raise OSError(ctypes.get_errno(), "capset")


def main() -> None:
    """Answer requests until there are no more."""
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
