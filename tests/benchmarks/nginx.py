"""Runs a stub of the API that is faster than any client: nginx with fixed responses.

In: a folder for its files, the monitors that it lists, and the number of requests per second that it accepts. Out: its
base URL and its log.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.table import Skipped

START_TIMEOUT = 10.0  # seconds until nginx accepts its first connection

# An ID is the number of the connection, followed by the number of the request on it in six digits, so it is unique.
# The rate limit is the leaky bucket of nginx; refused requests get no `Retry-After`. Only root can choose a user; then
# the worker must be able to read the list, which is in a private folder.
CONFIG = """
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 1;
events {{ worker_connections 512; }}
http {{
    map $connection_requests $nth {{
        "~^(?<digits>.)$"     "00000$digits";
        "~^(?<digits>..)$"    "0000$digits";
        "~^(?<digits>...)$"   "000$digits";
        "~^(?<digits>....)$"  "00$digits";
        "~^(?<digits>.....)$" "0$digits";
        default               $connection_requests;
    }}
    log_format times "$msec $status $request_method";
    access_log {log};
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000;
    keepalive_timeout 600s;
    default_type application/json;
    limit_req_status 429;
    {zone}
    server {{
        listen 127.0.0.1:{port} backlog=1024;
        location = /api/v3/access-tokens {{ return 200 '{{"access_token":"stub","expires_in":3600}}'; }}
        location = /api/v3/monitors {{ alias {folder}/list.json; }}
        location /api/v3/monitors/ {{ {limit} try_files /nothing @created; }}
        location @created {{ return 200 '{{"id":"$connection$nth"}}'; }}
    }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stub:
    """A running stub."""

    base_url: str
    log: Path

    def creates(self) -> list[tuple[float, int]]:
        """The time (seconds, with milliseconds) and the status of each response to a create."""
        lines = (line.split() for line in self.log.read_text().splitlines())
        return [(float(at), int(status)) for at, status, method in lines if method == "POST"]


@contextmanager
def run_stub(
    folder: Path, *, monitors: Iterable[object] = (), limit: int | None = None, logged: bool = False
) -> Iterator[Stub]:
    """Run the stub, which lists `monitors`, whatever is created.

    `limit` is the number of creates per second that it accepts, `logged` enables its log.

    Raises `Skipped` if nginx is not installed.
    """
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if nginx is None:
        raise Skipped("nginx is not installed (Debian has it as nginx-light)")
    folder.mkdir(parents=True, exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "list.json").write_text(json.dumps({"results": list(monitors)}))
    log = folder / "access.log"
    config = folder / "nginx.conf"
    config.write_text(
        CONFIG.format(
            folder=folder,
            port=port,
            log=f"{log} times" if logged else "off",
            zone=f"limit_req_zone $binary_remote_addr zone=all:64k rate={limit}r/s;" if limit else "",
            limit="limit_req zone=all burst=5 nodelay;" if limit else "",
        )
    )
    server = subprocess.Popen(
        [nginx, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(config)], stderr=subprocess.DEVNULL
    )
    try:
        _await_port(server, port, folder / "error.log")
        yield Stub(base_url=f"http://127.0.0.1:{port}/api/v3", log=log)
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def _await_port(server: subprocess.Popen[bytes], port: int, errors: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.01)  # nginx does not report when it is ready
        else:
            return
    message = re.sub(r"\s+", " ", errors.read_text()) if errors.exists() else ""
    raise RuntimeError(f"nginx does not start: {message}")
