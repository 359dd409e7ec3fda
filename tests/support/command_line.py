"""The command line inside the test's process, in a folder of its own, against a server on a real socket."""

from __future__ import annotations

import csv
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from bulkload.cli.main import main
from bulkload.sandbox.server import Sandbox
from tests.support.sandbox_caller import USER

PLAN = "UBM - A/A"
HURRY = {  # settle times that a test can wait for, seconds
    "BULKLOAD_RATE": "unlimited",
    "BULKLOAD_SETTLE_GRACE": "0.2",
    "BULKLOAD_SETTLE_AFTER": "1",
    "BULKLOAD_SETTLE_TIMEOUT": "0.5",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """What `--json` printed."""
        return json.loads(self.stdout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A folder with sheets in it, and the program at hand."""

    folder: Path
    environment: pytest.MonkeyPatch
    captured: pytest.CaptureFixture[str]

    def log_in_at(self, base_url: str, username: str = "sandbox@example.com", password: str = "sandbox") -> None:
        """Use this account from now on."""
        self.environment.setenv("ALERTSITE_BASE_URL", base_url)
        self.environment.setenv("ALERTSITE_USERNAME", username)
        self.environment.setenv("ALERTSITE_PASSWORD", password)

    def __call__(self, *arguments: object) -> Ended:
        """Run one command."""
        self.captured.readouterr()
        exit_code = main([str(argument) for argument in arguments])
        stdout, stderr = self.captured.readouterr()
        return Ended(exit_code=exit_code, stdout=stdout, stderr=stderr)

    def sheet(self, name: str, rows: Sequence[Mapping[str, object]]) -> Path:
        """Write rows as a CSV file; what a row does not name is an empty cell."""
        path = self.folder / name
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        return path

    def results(self, name: str) -> list[dict[str, str]]:
        """Read a results file or an export in CSV; our columns have their plain names in any case."""
        with (self.folder / name).open(encoding="utf-8-sig", newline="") as stream:
            rows = list(csv.DictReader(stream))
        return [row | {key.removeprefix("bulkload_"): value for key, value in row.items()} for row in rows]

    def run(self, sheet: Path, *arguments: object) -> tuple[Ended, list[dict[str, str]]]:
        """Run a sheet and read its results."""
        ended = self("run", sheet, "--results", "results.csv", *arguments)
        return ended, self.results("results.csv") if (self.folder / "results.csv").is_file() else []


def imap(name: str, **fields: object) -> dict[str, object]:
    """A good row."""
    return {"type": "imap", "name": name, "hostname": "mx1.example.com", "billing_plancode": PLAN, **fields}


def by_hand(sandbox: Sandbox, method: str, monitor: Mapping[str, Any], **fields: object) -> None:
    """Make, change or delete a monitor as somebody else would; to make one, its type is enough."""

    def ask(method: str, path: str, body: object = None, token: str = "") -> bytes:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(sandbox.base_url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            content: bytes = response.read()
        return content

    token = json.loads(ask("POST", "/access-tokens", USER))["access_token"]
    kind = f"/{monitor['type']}" if method != "DELETE" else ""
    which = f"/{monitor['id']}" if method != "POST" else ""
    ask(method, f"/monitors{kind}{which}", fields, token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request that a scripted server has seen."""

    method: str
    path: str  # below the base path, without the query
    body: Any = None
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One answer of a scripted server."""

    content: object = None  # a text goes out as it is, anything else as JSON
    status: int = 200
    kind: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class Scripted:
    """A server that answers as a function says, for answers that no sane API gives."""

    base_url: str
    asked: list[Asked] = field(default_factory=list)

    def count(self, method: str) -> int:
        """How many requests there were of a method, without the login."""
        return sum(one.method == method and one.path != "/access-tokens" for one in self.asked)


@contextmanager
def scripted(answer: Callable[[Asked], Said], login: Said = Said(content={"access_token": "t"})) -> Iterator[Scripted]:
    """Run a scripted server while the block lasts; unless told otherwise it grants every login."""
    seen = Scripted(base_url="")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path, _, query = self.path.partition("?")
            path = path.removeprefix("/api/v3")
            body = json.loads(raw) if raw else None
            asked = Asked(method=self.command, path=path, body=body, query=dict(parse_qsl(query)))
            seen.asked.append(asked)
            said = login if path == "/access-tokens" else answer(asked)
            content = said.content if isinstance(said.content, str) else json.dumps(said.content)
            self.send_response(said.status)
            for name, value in {"Content-Type": said.kind, **said.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        do_GET = do_POST = do_PATCH = do_DELETE = _any

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        seen.base_url = f"http://127.0.0.1:{server.server_port}/api/v3"
        try:
            yield seen
        finally:
            server.shutdown()
            thread.join()


def listed(*monitors: Mapping[str, object]) -> Said:
    """The account's list."""
    return Said(content={"metadata": {"resultset": {"count": len(monitors), "limit": None}}, "results": list(monitors)})


def sit_down(folder: Path, environment: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]) -> Desk:
    """Make a desk in an empty folder; every setting of the world around is gone from the environment."""
    environment.chdir(folder)
    for name in ("ALERTSITE_TOKEN", "ALERTSITE_PASSWORD_FILE"):
        environment.delenv(name, raising=False)
    for name, value in HURRY.items():
        environment.setenv(name, value)
    return Desk(folder=folder, environment=environment, captured=captured)
