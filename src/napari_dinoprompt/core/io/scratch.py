"""Room on the disk for what a job cannot hold in memory."""

from __future__ import annotations

import os
import platform
import re
import shutil
import tempfile
import weakref
from pathlib import Path

import psutil
from zarr.storage import LocalStore

from napari_dinoprompt.core.errors import CannotWriteError

_PREFIX = "scratch-"


def scratch_folder(owner: object, parent: Path) -> Path:
    """Make a folder in another that is removed when its owner is no longer needed.

    What killed programs have left there is removed first.
    """
    folder = _make_folder(parent)
    weakref.finalize(owner, shutil.rmtree, folder, ignore_errors=True)
    return folder


def scratch_store(parent: Path) -> LocalStore:
    """Make a store for zarr arrays, removed with the last of them."""
    store = LocalStore(_make_folder(parent))
    # The arrays hold the store, whoever took them from what was computed.
    weakref.finalize(store, shutil.rmtree, store.root, ignore_errors=True)
    return store


def _make_folder(parent: Path) -> Path:
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(parent)
        return Path(tempfile.mkdtemp(prefix=f"{_prefix()}{os.getpid()}-", dir=parent))
    except OSError as error:
        raise CannotWriteError(
            f"Nothing can be written in {parent} ({error.strerror or error}). Name "
            "another folder in the environment variable DINOPROMPT_CACHE."
        ) from error


def _prefix() -> str:
    """Name this machine: several may share the folder, with processes of their own."""
    machine = re.sub(r"[^0-9A-Za-z]", "_", platform.node())
    return f"{_PREFIX}{machine}-"


def _remove_leftovers(parent: Path) -> None:
    prefix = _prefix()
    for folder in parent.glob(f"{prefix}*"):
        number = folder.name.removeprefix(prefix).partition("-")[0]
        if number.isdigit() and not psutil.pid_exists(int(number)):
            shutil.rmtree(folder, ignore_errors=True)


def free_bytes(folder: Path) -> int:
    """Return how much can still be written where a folder is."""
    return shutil.disk_usage(folder).free
