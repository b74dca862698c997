"""Fetching weights from a hub into the Hugging Face cache, when the user asks for it.

A file gets its final name only when its size, its checksum and its tensors are right.
"""

from __future__ import annotations

import hashlib
import shutil
from concurrent.futures import Future, wait
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, TypeVar

from napari_dinoprompt.core.errors import CheckpointError, FetchError
from napari_dinoprompt.core.progress import Progress
from napari_dinoprompt.core.weights.hub_file import WEIGHTS_FILE, HubFile, ask_hub
from napari_dinoprompt.core.weights.search import (
    describe_size,
    dinov2_weights,
    hub_cache_folder,
)
from napari_dinoprompt.core.weights.transfer import Transfer

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

__all__ = ["PATIENCE", "fetch_weights", "partial_file"]

T = TypeVar("T")

PATIENCE = 30.0
"""Seconds without a byte after which fetching ends with a message."""

_TICK = 0.1
_BLOCK = 1 << 24
# Other programs write to the disk meanwhile.
_SPARE = 50_000_000


def fetch_weights(
    name: str,
    *,
    endpoint: str | None = None,
    patience: float = PATIENCE,
    check: Callable[[str, Path], None] | None = None,
) -> Generator[Progress, None, Path]:
    """Fetch the weights of a DINOv2 model into the Hugging Face cache.

    What an earlier attempt received is used. Closing the generator stops the transfer
    at once, also one that waits for a silent server.

    Parameters
    ----------
    name : str
        As `dinov2_weights`.
    endpoint : str, optional
        Address of the hub; by default the one that huggingface_hub uses.
    patience : float
        Seconds without a byte after which it is given up.
    check : callable (name, path), optional
        Raises `CheckpointError` if the file does not hold the model; by default the
        names and shapes of its tensors are compared with timm's.

    Yields
    ------
    Progress
        In bytes, several times a second.

    Returns
    -------
    Path
        The file in the cache.
    """
    weights = dinov2_weights(name)
    about = Progress(0, weights.size)
    file = yield from _watch(partial(ask_hub, weights, endpoint), lambda: about)
    part = partial_file(file)
    blob = part.with_name(file.sha256)
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with _alone(file):
            if not blob.exists():
                yield from _receive(file, part, patience)
                yield from _verify(file, part, check or _check_model)
                part.replace(blob)
            whole = Progress(file.size, file.size)
            return (yield from _watch(partial(_enter, file, blob), lambda: whole))
    except OSError as error:
        msg = (
            f"The weights of {name} cannot be kept in {hub_cache_folder()}: "
            f"{error.strerror or error}. HF_HOME names another place."
        )
        raise FetchError(msg) from error


def partial_file(file: HubFile) -> Path:
    """Return where a file is kept until it is whole.

    It is named after its content, and not as the library names its own: nobody takes
    it for whole, or for the beginning of another version.
    """
    return _repository(file) / "blobs" / f"{file.sha256}.dinoprompt.incomplete"


def _repository(file: HubFile) -> Path:
    from huggingface_hub.file_download import repo_folder_name

    folder = repo_folder_name(repo_id=file.weights.hub_id, repo_type="model")
    return hub_cache_folder() / folder


def _watch(
    work: Callable[[], T], state: Callable[[], Progress]
) -> Generator[Progress, None, T]:
    """Do work in a thread that can be left alone, and say how far it is meanwhile."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 (raised where it is watched)
            future.set_exception(error)

    Thread(target=run, name="dinoprompt fetch", daemon=True).start()
    while not future.done():
        yield state()
        wait([future], timeout=_TICK)
    return future.result()


@contextmanager
def _alone(file: HubFile) -> Iterator[None]:
    """Keep a second program from writing to the same partial file."""
    from filelock import FileLock, Timeout

    # The library's folder for locks, but not its lock: it takes that one in `_enter`.
    folder = hub_cache_folder() / ".locks" / _repository(file).name
    folder.mkdir(parents=True, exist_ok=True)
    # The generator may be closed in another thread than the one that it ran in.
    lock = FileLock(folder / f"{file.sha256}.dinoprompt.lock", thread_local=False)
    try:
        # Who has just been stopped needs a moment to let go.
        lock.acquire(timeout=1)
    except Timeout:
        msg = f"Another window or program is fetching {file.weights.name} already."
        raise FetchError(msg) from None
    except NotImplementedError:
        # A file system without locks: the checksum finds out what two would spoil.
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _receive(
    file: HubFile, part: Path, patience: float
) -> Generator[Progress, None, None]:
    # Public, but not marked so for type checkers.
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

    transfer = Transfer(
        file.url, build_hf_headers(), part, file.size, patience=patience
    )
    needed = file.size - transfer.done
    free = shutil.disk_usage(part.parent).free
    if needed > 0 and free < needed + _SPARE:
        msg = (
            f"{file.weights.name} needs {describe_size(needed)} of disk and some "
            f"spare, but {hub_cache_folder()} has {describe_size(free)} left. Make "
            "room, or let HF_HOME name another place."
        )
        raise FetchError(msg)
    try:
        yield from _watch(transfer.run, lambda: Progress(transfer.done, file.size))
    finally:
        transfer.stop()


def _verify(
    file: HubFile, part: Path, check: Callable[[str, Path], None]
) -> Generator[Progress, None, None]:
    """Remove a file that is not what was announced, and say so."""
    whole = Progress(file.size, file.size)
    digest = hashlib.sha256()
    with part.open("rb") as content:
        while block := content.read(_BLOCK):
            digest.update(block)
            yield whole
    if digest.hexdigest() != file.sha256:
        part.unlink()
        msg = (
            f"What came for {file.weights.name} is not what the hub announced (its "
            "SHA-256 differs); it has been removed. Fetching again starts anew."
        )
        raise FetchError(msg)
    try:
        yield from _watch(partial(check, file.weights.name, part), lambda: whole)
    except CheckpointError as error:
        part.unlink()
        msg = (
            f"The file that {file.endpoint} has for {file.weights.name} does not hold "
            "this model; it has been removed."
        )
        raise FetchError(msg) from error


def _check_model(name: str, path: Path) -> None:
    # timm and torch take seconds to import, and most of the time nothing is fetched.
    from napari_dinoprompt.core.backbones.vit import check_dinov2

    check_dinov2(name, path)


def _enter(file: HubFile, blob: Path) -> Path:
    """Let the library enter a whole file into its cache; it only sets the link."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        found = hf_hub_download(
            file.weights.hub_id, WEIGHTS_FILE, endpoint=file.endpoint
        )
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        msg = (
            f"{file.weights.name} is here, but {file.endpoint} does not answer any "
            "more for its place in the cache. Fetch it again: that takes no time now."
        )
        raise FetchError(msg) from error
    pointer = Path(found)
    if not pointer.is_symlink() and pointer.is_file():
        # Where there are no links the library has copied it; one copy is enough.
        blob.unlink(missing_ok=True)
    return pointer
