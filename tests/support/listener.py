"""An HTTP server that records requests, for tests of pings and webhooks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request."""

    path: str
    body: str

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(slots=True)
class Listener:
    """The requests so far, and how to answer them."""

    address: str
    requests: list[ReceivedRequest] = field(default_factory=list)
    status: int = 200
    is_silent: threading.Event = field(default_factory=threading.Event)  # set: requests get no response

    def take_requests(self) -> list[ReceivedRequest]:
        """The requests since the last call."""
        requests, self.requests[:] = list(self.requests), []
        return requests


@contextmanager
def listening() -> Iterator[Listener]:
    """Run the server during the block."""
    listener = Listener("")
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            listener.requests.append(ReceivedRequest(self.path, body.decode()))
            if listener.is_silent.is_set():
                stopped.wait()
                return
            self.send_response(listener.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        listener.address = f"http://127.0.0.1:{server.server_port}"
        try:
            yield listener
        finally:
            stopped.set()
            server.shutdown()
            thread.join()
