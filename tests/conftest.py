"""Shared by all tiers. Imports neither torch, Qt nor napari: the core tier has none."""

import gc
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

# The environment is set here and not in a fixture: huggingface_hub, torch, matplotlib
# and napari read these when they are imported, which test modules may do while they are
# being collected. Subprocesses of tests inherit them.
_HOME = tempfile.TemporaryDirectory(
    prefix="dinoprompt-tests-", ignore_cleanup_errors=True
)
_ELSEWHERE = {
    "DINOPROMPT_CACHE": "features/shared",
    "HF_HOME": "huggingface",
    "MPLCONFIGDIR": "matplotlib",
    "NAPARI_CONFIG": "napari/settings.yaml",
    "TORCH_HOME": "torch",
    "XDG_CACHE_HOME": "cache",
    "XDG_CONFIG_HOME": "config",
    "XDG_DATA_HOME": "data",
    "XDG_STATE_HOME": "state",
}
for _name, _place in _ELSEWHERE.items():
    os.environ[_name] = str(Path(_HOME.name, _place))
# These would win over HF_HOME and lead back to the user's files, or change what tests
# count on.
for _name in (
    "DINOPROMPT_CACHE_GB",
    "DINOPROMPT_WEIGHTS",
    "HF_HUB_CACHE",
    "HF_TOKEN",
    "HF_TOKEN_PATH",
    "HUGGINGFACE_HUB_CACHE",
):
    os.environ.pop(_name, None)
os.environ["HF_HUB_OFFLINE"] = "1"
# Before its first request the library would ask the real hub for a list.
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["MPLBACKEND"] = "Agg"
# Read by torch when somebody imports it. A fixed number, so that sums are taken in the
# same order on every machine; one, because two processes of tests run side by side.
os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"


def pytest_collection_finish() -> None:
    """Spare garbage collection what is there for good: torch, napari, the tests.

    Looking through it again and again takes a tenth of the time of the windows' tests.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Fail the test that looks up or connects to another machine."""
    connect, getaddrinfo = socket.socket.connect, socket.getaddrinfo

    def is_local(host: object) -> bool:
        name = host.decode() if isinstance(host, bytes) else host
        return name in (None, "", "localhost", "127.0.0.1", "::1")

    def guarded_connect(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and not is_local(address[0]):
            # Not an Exception: code that forgives being offline must not forgive this.
            pytest.fail(f"a test connects to {address}")
        connect(self, address)

    def guarded_getaddrinfo(host: object, *args: object, **kwargs: object) -> object:
        if not is_local(host):
            pytest.fail(f"a test looks up {host!r}")
        return getaddrinfo(host, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded_connect)
        patch.setattr(socket, "getaddrinfo", guarded_getaddrinfo)
        yield


@pytest.fixture(autouse=True)
def _own_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin each test with an empty cache of features; its folder is made if needed.

    What fixtures of the session compute goes to one that they share.
    """
    folder = Path(_HOME.name, "features", uuid4().hex)
    monkeypatch.setenv("DINOPROMPT_CACHE", str(folder))


@pytest.fixture(autouse=True)
def _own_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer no test the prompts of another one."""
    folder = Path(_HOME.name, "recovery", uuid4().hex)
    monkeypatch.setenv("DINOPROMPT_RECOVERY", str(folder))


@pytest.fixture(scope="session", autouse=True)
def _no_monitor_thread() -> None:
    """Keep tqdm from starting a thread that outlives the test which drew a bar."""
    from tqdm import tqdm

    tqdm.monitor_interval = 0
