"""A server on plain sockets, for responses that an HTTP server would not send."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

CHUNK = b" " * 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRequest:
    """A request as received, and the time of its last byte."""

    head: str
    body: bytes
    received_at: float  # seconds on the monotonic clock

    @property
    def request_line(self) -> str:
        """The method and the target, without the HTTP version."""
        return self.head.partition(" HTTP/")[0]


@dataclass(slots=True, kw_only=True)
class RawServer:
    """The port of a running server, and the requests that it has received."""

    port: int
    requests: list[RawRequest] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """The URL of the server."""
        return f"http://127.0.0.1:{self.port}"

    def count(self, prefix: str) -> int:
        """The number of requests whose request line starts with this prefix, for example `POST /monitors`."""
        return sum(request.request_line.startswith(prefix) for request in self.requests)


def as_json(content: object, status: int = 200) -> list[bytes]:
    """A complete JSON response."""
    body = json.dumps(content).encode()
    return [
        f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode(),
        body,
    ]


def endless(
    head: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", chunk: bytes = CHUNK
) -> Iterator[bytes]:
    """A response that never ends."""
    yield head
    while True:
        yield chunk


@contextmanager
def raw_server(answer: Callable[[RawRequest], Iterable[bytes]]) -> Iterator[RawServer]:
    """Run the server during the block; it sends the chunks of a response until the client closes the connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening_socket:
        server = RawServer(port=listening_socket.getsockname()[1])
        closing = threading.Event()

        def serve(connection: socket.socket) -> None:
            with connection, contextlib.suppress(OSError):
                connection.settimeout(30)
                while (request := _read_request(connection)) is not None:
                    server.requests.append(request)
                    for chunk in answer(request):
                        connection.sendall(chunk)
                        if closing.is_set():
                            return

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening_socket.accept()
                    threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            closing.set()
            listening_socket.shutdown(socket.SHUT_RDWR)
            thread.join()


def _read_request(connection: socket.socket) -> RawRequest | None:
    """The next complete request, or None if the client has closed the connection."""
    data = b""
    while b"\r\n\r\n" not in data:
        if not (received := connection.recv(65536)):
            return None
        data += received
    head_bytes, _, body = data.partition(b"\r\n\r\n")
    head = head_bytes.decode("latin-1")
    length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return RawRequest(head=head, body=body, received_at=time.monotonic())
