"""A real HTTP server that notes what it is told: pings and webhooks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True, slots=True)
class Heard:
    """One request."""

    path: str
    body: str

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(slots=True)
class Listener:
    """What was heard so far, and how it is answered."""

    address: str
    heard: list[Heard] = field(default_factory=list)
    status: int = 200
    silent: threading.Event = field(default_factory=threading.Event)  # set: requests are never answered

    def taken(self) -> list[Heard]:
        """What was heard since the last time."""
        found, self.heard[:] = list(self.heard), []
        return found


@contextmanager
def listening() -> Iterator[Listener]:
    """Listen while the block lasts."""
    listener = Listener("")
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            listener.heard.append(Heard(self.path, body.decode()))
            if listener.silent.is_set():
                over.wait()
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
            over.set()
            server.shutdown()
            thread.join()
