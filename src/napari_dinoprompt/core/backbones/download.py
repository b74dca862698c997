"""Fetching weights from a hub when the user asks for it.

A file gets its final name only when its size, its checksum and its tensors are right.

One file from a hub into a partial file: goes on where it stopped, stops at once. The
connection is huggingface_hub's own (its proxies, certificates and offline switch), the
asynchronous one: only there can a wait on a silent server be broken off. The library's
download keeps no partial file, and cannot be stopped.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import re
import shutil
import sys
import threading
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from napari_dinoprompt.core.errors import CheckpointError, FetchError, first_line
from napari_dinoprompt.core.progress import Progress

from .weights import (
    PublishedWeights,
    describe_size,
    hub_address,
    hub_cache_folder,
    published_weights,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping


T = TypeVar("T")

# Seconds without a byte after which fetching ends with a message.
PATIENCE = 30.0

_TICK = 0.1
_BLOCK = 1 << 24
# Other programs write to the disk meanwhile.
_SPARE = 50_000_000

WEIGHTS_FILE = "model.safetensors"

# What the system calls an error says nothing to people.
_NUMBER = re.compile(r"^\[Errno -?\d+\] ")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")

_PAUSE = 1.0
_STOP_TIMEOUT = 1.0
# A busy server is asked again, as the library does.
_BUSY = (408, 429, 500, 502, 503, 504)


def fetch_weights(
    name: str,
    *,
    endpoint: str | None = None,
    patience: float = PATIENCE,
    check: Callable[[str, Path], None] | None = None,
) -> Generator[Progress, None, Path]:
    """Fetch the weights of a published model into the Hugging Face cache.

    What an earlier attempt received is used. Closing the generator stops the transfer
    at once, also one that waits for a silent server.

    Parameters
    ----------
    name : str
        As `published_weights`.
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
    weights = published_weights(name)
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
        raise FetchError(
            f"The weights of {name} cannot be kept in {hub_cache_folder()}: "
            f"{error.strerror or error}. HF_HOME names another place."
        ) from error


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
        raise FetchError(
            f"{file.weights.name} needs {describe_size(needed)} of disk and some "
            f"spare, but {hub_cache_folder()} has {describe_size(free)} left. Make "
            "room, or let HF_HOME name another place."
        )
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
        raise FetchError(
            f"What came for {file.weights.name} is not what the hub announced (its "
            "SHA-256 differs); it has been removed. Fetching again starts anew."
        )
    try:
        yield from _watch(partial(check, file.weights.name, part), lambda: whole)
    except CheckpointError as error:
        part.unlink()
        raise FetchError(
            f"The file that {file.endpoint} has for {file.weights.name} does not hold "
            "this model; it has been removed."
        ) from error


def _check_model(name: str, path: Path) -> None:
    # timm and torch take seconds to import, and most of the time nothing is fetched.
    from .vit import check_published

    check_published(name, path)


def _enter(file: HubFile, blob: Path) -> Path:
    """Let the library enter a whole file into its cache; it only sets the link."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        found = hf_hub_download(
            file.weights.hub_id, WEIGHTS_FILE, endpoint=file.endpoint
        )
    except (HfHubHTTPError, LocalEntryNotFoundError) as error:
        raise FetchError(
            f"{file.weights.name} is here, but {file.endpoint} does not answer any "
            "more for its place in the cache. Fetch it again: that takes no time now."
        ) from error
    pointer = Path(found)
    if not pointer.is_symlink() and pointer.is_file():
        # Where there are no links the library has copied it; one copy is enough.
        blob.unlink(missing_ok=True)
    return pointer


@dataclass(frozen=True)
class HubFile:
    """The weights of a model on a hub.

    Attributes
    ----------
    weights : PublishedWeights
    endpoint : str
        Address of the hub.
    url : str
        Of the file, in the version that the other attributes speak of.
    size : int
        In bytes.
    sha256 : str
        64 hexadecimal digits; also its name in the Hugging Face cache.
    """

    weights: PublishedWeights
    endpoint: str
    url: str
    size: int
    sha256: str


def hub_endpoint() -> str:
    """Return the address of the hub: the library's, or the user's ``HF_ENDPOINT``."""
    from huggingface_hub import constants

    return str(constants.ENDPOINT)


def ask_hub(weights: PublishedWeights, endpoint: str | None = None) -> HubFile:
    """Ask a hub for the weights of a model; nothing is downloaded."""
    from huggingface_hub import constants, get_hf_file_metadata, get_session, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError

    endpoint = (endpoint or hub_endpoint()).rstrip("/")
    url = hub_address(weights.hub_id, endpoint)
    by_hand = "or get the file elsewhere."
    if constants.HF_HUB_OFFLINE:
        raise FetchError(
            "Not fetched, for HF_HUB_OFFLINE says that this machine is offline: unset "
            f"it, {by_hand}"
        )
    client = get_session()
    try:
        said = get_hf_file_metadata(url, timeout=constants.HF_HUB_ETAG_TIMEOUT)
    except HfHubHTTPError as error:
        raise FetchError(
            f"{weights.name} is not to be had at {endpoint}, which answers "
            f"{error.response.status_code}: try again later, {by_hand}"
        ) from error
    except (http_errors(client), OSError, ValueError) as error:
        reason = _NUMBER.sub("", first_line(error))
        msg = f"{endpoint} cannot be reached ({reason}): check the network, {by_hand}"
        raise FetchError(msg) from error
    sha256 = said.etag or ""
    commit = said.commit_hash or ""
    known = _COMMIT.fullmatch(commit) and _SHA256.fullmatch(sha256)
    if said.size is None or not known:
        raise FetchError(
            f"What answers at {endpoint} says neither version nor checksum of "
            f"{weights.hub_id}, as a hub does; a proxy or the login page of the "
            f"network may be in between: check that, {by_hand}"
        )
    fixed = hf_hub_url(weights.hub_id, WEIGHTS_FILE, revision=commit, endpoint=endpoint)
    return HubFile(weights, endpoint, fixed, said.size, sha256)


class _Lost(Exception):
    """The connection ended early; it is worth another try."""


class Transfer:
    """A file on its way into a partial file.

    Parameters
    ----------
    url : str
    headers : mapping of str to str
        Who asks, such as a token.
    part : Path
        The partial file. What it holds already is the beginning of the file.
    size : int
        Bytes of the whole file, as announced.
    patience : float
        Seconds without a byte after which it is given up. Until then, connections
        that are refused, break off or fall silent are opened again.

    Attributes
    ----------
    done : int
        Bytes received, earlier ones included.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        part: Path,
        size: int,
        *,
        patience: float,
    ) -> None:
        self._url = url
        self._headers = {**headers, "Accept-Encoding": "identity"}
        self._part = part
        self._size = size
        self._patience = patience
        self._heard = 0.0
        self._stopped = threading.Event()
        self._ended = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self.done = part.stat().st_size if part.exists() else 0

    def run(self) -> None:
        """Receive the rest of the file; to be called in a thread of its own."""
        try:
            asyncio.run(self._run())
        except asyncio.CancelledError:
            pass
        except OSError as error:
            if error.errno == errno.ENOSPC:
                self._part.unlink(missing_ok=True)
                msg = (
                    f"The disk of {self._part.parent} is full; what was received has "
                    "been removed."
                )
            else:
                msg = f"{self._part} cannot be written: {error.strerror or error}."
            raise FetchError(msg) from error
        finally:
            self._ended.set()

    def stop(self) -> None:
        """Break it off; nothing is written any more when this returns."""
        self._stopped.set()
        if self._loop is not None and self._task is not None:
            try:
                self._loop.call_soon_threadsafe(self._task.cancel)
            except RuntimeError:
                return  # The loop has come to its end.
            self._ended.wait(_STOP_TIMEOUT)

    async def _run(self) -> None:
        self._task = asyncio.current_task()
        self._loop = asyncio.get_running_loop()
        if self._stopped.is_set():
            return
        from huggingface_hub import get_async_session

        self._heard = monotonic()
        # Before any check: a file that is too long is not the beginning of this one.
        if self.done > self._size:
            self._start_over()
        async with get_async_session() as client:
            lost = (_Lost, http_errors(client))
            while self.done < self._size:
                try:
                    await self._receive(client)
                except lost as error:
                    reason = _NUMBER.sub("", first_line(error))
                else:
                    reason = "the connection ended early"
                if self.done < self._size:
                    if monotonic() - self._heard >= self._patience:
                        raise FetchError(self._no_data(reason))
                    await asyncio.sleep(min(_PAUSE, self._patience / 2))

    async def _receive(self, client: Any) -> None:
        from huggingface_hub import constants

        headers = dict(self._headers)
        if self.done:
            headers["Range"] = f"bytes={self.done}-"
        timeout = min(float(constants.HF_HUB_DOWNLOAD_TIMEOUT), self._patience)
        stream = client.stream("GET", self._url, headers=headers, timeout=timeout)
        async with stream as response:
            self._judge(response)
            with self._part.open("ab") as file:
                async for chunk in response.aiter_raw():
                    file.write(chunk)
                    self.done += len(chunk)
                    self._heard = monotonic()
                    if self.done > self._size:
                        break
        if self.done > self._size:
            self._refuse_size("more")

    def _judge(self, response: Any) -> None:
        """Check an answer by its head, before anything of it is written."""
        if self._url.startswith("https:") and response.url.scheme != "https":
            raise FetchError(
                "The hub sends to an address without encryption; nothing is fetched "
                "from there."
            )
        status = int(response.status_code)
        if status in _BUSY:
            raise _Lost(f"it answers {status}")
        if status == 416:
            self._start_over()
            raise _Lost("it cannot go on where it stopped")
        if status not in (200, 206):
            raise FetchError(f"The hub refuses to send the file: it answers {status}.")
        if "text/html" in response.headers.get("Content-Type", ""):
            raise FetchError(
                "A web page came instead of the file; a proxy or the login page of "
                "the network may be in between."
            )
        start = f"bytes {self.done}-"
        whole = status == 200
        if not whole and not response.headers.get("Content-Range", start).startswith(
            start
        ):
            self._start_over()
            raise _Lost("it sends another part than the one asked for")
        if whole and self.done:
            self._start_over()
        length = response.headers.get("Content-Length", "")
        if length.isdigit() and int(length) != self._size - self.done:
            self._refuse_size(f"{int(length) + self.done:,}")

    def _start_over(self) -> None:
        self._part.unlink(missing_ok=True)
        self.done = 0

    def _no_data(self, reason: str) -> str:
        return (
            f"No data came for {self._patience:.0f} s ({reason}). "
            f"{describe_size(self.done)} of {describe_size(self._size)} are kept: "
            "fetching again goes on from there."
        )

    def _refuse_size(self, sent: str) -> NoReturn:
        self._start_over()
        raise FetchError(
            f"The hub announced {self._size:,} bytes and sends {sent}; nothing of it "
            "was kept."
        )


def http_errors(client: Any) -> type[Exception]:
    """Return the base of the errors of a client of huggingface_hub.

    Its HTTP library has changed its name before, so it is not imported by name.
    """
    root = next(
        base.__module__.partition(".")[0]
        for base in type(client).__mro__
        if base.__name__ in ("AsyncClient", "Client")
    )
    errors: type[Exception] = sys.modules[root].HTTPError
    return errors
