"""A server of bare sockets, for answers that no HTTP server would give."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

PIECE = b" " * 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One request as it came, and when its last byte did."""

    head: str
    body: bytes
    at: float  # on the monotonic clock

    @property
    def line(self) -> str:
        """Method and path."""
        return self.head.partition(" HTTP/")[0]


@dataclass(slots=True, kw_only=True)
class RawServer:
    """Where it listens, and what it heard."""

    port: int
    heard: list[Heard] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def count(self, beginning: str) -> int:
        """How many requests there were whose method and path begin like this."""
        return sum(one.line.startswith(beginning) for one in self.heard)


def as_json(content: object, status: int = 200) -> list[bytes]:
    """A plain answer."""
    text = json.dumps(content).encode()
    return [
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(text)}\r\n\r\n".encode(),
        text,
    ]


def endless(
    head: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", piece: bytes = PIECE
) -> Iterator[bytes]:
    """An answer that never ends."""
    yield head
    while True:
        yield piece


@contextmanager
def raw_server(answer: Callable[[Heard], Iterable[bytes]]) -> Iterator[RawServer]:
    """Serve while the block lasts; the pieces of an answer are sent as long as somebody takes them."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = RawServer(port=listening.getsockname()[1])
        closing = threading.Event()

        def talk(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(30)
                while (heard := _hear(connection)) is not None:
                    server.heard.append(heard)
                    for piece in answer(heard):
                        connection.sendall(piece)
                        if closing.is_set():
                            return

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=talk, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            closing.set()
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _hear(connection: socket.socket) -> Heard | None:
    """One whole request; None when there are no more."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := connection.recv(65536)):
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    text = head.decode("latin-1")
    length = next((int(line[15:]) for line in text.split("\r\n") if line.lower().startswith("content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return Heard(head=text, body=body, at=time.monotonic())
