"""A stand-in for the hub on this machine: it serves, stalls, cuts, refuses and lies."""

from __future__ import annotations

import hashlib
import select
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What it has, what it says of it, and what it was asked.

    As the real hub does, it answers with a redirect to another host, where the file
    is; the redirect says commit, size and checksum.
    """

    content: bytes
    endpoint: str = ""
    store: str = ""
    head: list[Callable[[_Handler], None]] = field(default_factory=list)
    """How it answers to the next questions about the file; then as it should."""
    get: list[Callable[[_Handler], None]] = field(default_factory=list)
    """How the store answers to the next downloads; then as it should."""
    sha256: str = ""
    size: int = 0
    asked: list[str] = field(default_factory=list)
    ranges: list[str | None] = field(default_factory=list)
    tokens: dict[str, str | None] = field(default_factory=dict)
    stalled: threading.Event = field(default_factory=threading.Event)
    dropped: threading.Event = field(default_factory=threading.Event)
    """The client has closed the connection on which the store was silent."""
    closing: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.announce(self.content)

    def announce(self, content: bytes) -> None:
        """Say the size and checksum of a content, be it the one that is sent."""
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.size = len(content)

    def offer(self, content: bytes) -> None:
        """Have another file, and say so."""
        self.content = content
        self.announce(content)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def do_HEAD(self) -> None:
        self.hub.asked.append(self.path)
        self.hub.tokens["hub"] = self.headers.get("Authorization")
        (self.hub.head.pop(0) if self.hub.head else _redirect)(self)

    def do_GET(self) -> None:
        if not self.path.startswith("/store/"):
            _redirect(self)
            return
        self.hub.tokens["store"] = self.headers.get("Authorization")
        self.hub.ranges.append(self.headers.get("Range"))
        (self.hub.get.pop(0) if self.hub.get else serve)(self)

    def reply(self, status: int, headers: dict[str, object]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def start(self) -> int:
        """Return the first byte that is asked for."""
        asked = self.headers.get("Range", "bytes=0-")
        return int(asked.removeprefix("bytes=").partition("-")[0])

    def log_message(self, *_: object) -> None:
        pass


def _redirect(handler: _Handler) -> None:
    hub = handler.hub
    handler.reply(
        302,
        {
            "Location": f"{hub.store}/store/{hub.sha256}",
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": hub.size,
            "X-Linked-Etag": f'"{hub.sha256}"',
            "ETag": '"0123456789abcdef"',
            "Content-Length": 0,
        },
    )


def serve(handler: _Handler) -> None:
    content, start = handler.hub.content, handler.start()
    headers: dict[str, object] = {"Content-Length": len(content) - start}
    if start:
        last = len(content) - 1
        headers["Content-Range"] = f"bytes {start}-{last}/{len(content)}"
    handler.reply(206 if start else 200, headers)
    handler.wfile.write(content[start:])


def refuse(status: int) -> Callable[[_Handler], None]:
    def answer(handler: _Handler) -> None:
        handler.reply(status, {"Content-Length": 0})

    return answer


def send_page(handler: _Handler) -> None:
    page = b"<html>Please log in to this network</html>"
    headers = {"Content-Type": "text/html", "Content-Length": len(page)}
    handler.reply(200, headers)
    if handler.command == "GET":
        handler.wfile.write(page)


def ignore_range(handler: _Handler) -> None:
    del handler.headers["Range"]
    serve(handler)


def send_without_end(handler: _Handler) -> None:
    """More than was announced, and no length."""
    handler.reply(200, {"Connection": "close"})
    handler.wfile.write(handler.hub.content * 3)
    handler.close_connection = True


def cut(count: int) -> Callable[[_Handler], None]:
    """Close the connection after some bytes."""

    def answer(handler: _Handler) -> None:
        _begin(handler, count)
        handler.close_connection = True

    return answer


def stall(count: int) -> Callable[[_Handler], None]:
    """Fall silent after some bytes, until the other side has gone."""

    def answer(handler: _Handler) -> None:
        _begin(handler, count)
        handler.hub.stalled.set()
        while not handler.hub.closing.is_set():
            ready, _, _ = select.select([handler.connection], [], [], 0.05)
            if ready and not handler.connection.recv(1):
                handler.hub.dropped.set()
                break
        handler.close_connection = True

    return answer


def _begin(handler: _Handler, count: int) -> None:
    content, start = handler.hub.content, handler.start()
    headers: dict[str, object] = {"Content-Length": len(content) - start}
    if start:
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    handler.reply(206 if start else 200, headers)
    handler.wfile.write(content[start : start + count])
    handler.wfile.flush()


@contextmanager
def run_hub(content: bytes) -> Iterator[Hub]:
    """Run a hub that has one file under every name."""
    hub = Hub(content)
    handler = type("Handler", (_Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        port = server.server_address[1]
        # Two names of this machine: to a client these are two hosts.
        hub.endpoint = f"http://127.0.0.1:{port}"
        hub.store = f"http://localhost:{port}"
        try:
            yield hub
        finally:
            hub.closing.set()
            server.shutdown()
            thread.join()
