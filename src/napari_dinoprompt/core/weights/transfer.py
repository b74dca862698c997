"""One file from a hub into a partial file: goes on where it stopped, stops at once.

The connection is huggingface_hub's own (its proxies, certificates and offline
switch), the asynchronous one: only there can a wait on a silent server be broken off.
The library's download keeps no partial file, and cannot be stopped.
"""

from __future__ import annotations

import asyncio
import errno
import sys
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn

from napari_dinoprompt.core.errors import FetchError
from napari_dinoprompt.core.explaining import first_line
from napari_dinoprompt.core.weights.search import describe_size

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["Transfer", "http_errors"]

_PAUSE = 1.0
_STOP_TIMEOUT = 1.0
# A busy server is asked again, as the library does.
_BUSY = (408, 429, 500, 502, 503, 504)


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
                    reason = first_line(error)
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
            msg = (
                "The hub sends to an address without encryption; nothing is fetched "
                "from there."
            )
            raise FetchError(msg)
        status = int(response.status_code)
        if status in _BUSY:
            msg = f"it answers {status}"
            raise _Lost(msg)
        if status == 416:
            self._start_over()
            msg = "it cannot go on where it stopped"
            raise _Lost(msg)
        if status not in (200, 206):
            msg = f"The hub refuses to send the file: it answers {status}."
            raise FetchError(msg)
        if "text/html" in response.headers.get("Content-Type", ""):
            msg = (
                "A web page came instead of the file; a proxy or the login page of "
                "the network may be in between."
            )
            raise FetchError(msg)
        start = f"bytes {self.done}-"
        whole = status == 200
        if not whole and not response.headers.get("Content-Range", start).startswith(
            start
        ):
            self._start_over()
            msg = "it sends another part than the one asked for"
            raise _Lost(msg)
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
        msg = (
            f"The hub announced {self._size:,} bytes and sends {sent}; nothing of it "
            "was kept."
        )
        raise FetchError(msg)


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
