"""Run the command line inside the test process, in an empty folder, against servers on real sockets."""

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
from tests.support.sandbox_client import USER

PLAN = "UBM - A/A"
FAST_SETTINGS = {  # no rate limit, and settle times short enough for a test, in seconds
    "BULKLOAD_RATE": "unlimited",
    "BULKLOAD_SETTLE_GRACE": "0.2",
    "BULKLOAD_SETTLE_AFTER": "1",
    "BULKLOAD_SETTLE_TIMEOUT": "0.5",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """The exit code and the output of a command."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """The decoded output of `--json`."""
        return json.loads(self.stdout)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """Runs commands in a folder, and reads and writes the files in it."""

    folder: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]

    def use_account(self, base_url: str, username: str = "sandbox@example.com", password: str = "sandbox") -> None:
        """Run all following commands with this account."""
        self.monkeypatch.setenv("ALERTSITE_BASE_URL", base_url)
        self.monkeypatch.setenv("ALERTSITE_USERNAME", username)
        self.monkeypatch.setenv("ALERTSITE_PASSWORD", password)

    def __call__(self, *arguments: object) -> CommandResult:
        """Run a command."""
        self.capsys.readouterr()
        exit_code = main([str(argument) for argument in arguments])
        stdout, stderr = self.capsys.readouterr()
        return CommandResult(exit_code=exit_code, stdout=stdout, stderr=stderr)

    def write_csv(self, name: str, rows: Sequence[Mapping[str, object]]) -> Path:
        """Write rows to a CSV file; a column that a row lacks is an empty cell."""
        path = self.folder / name
        columns = list(dict.fromkeys(column for row in rows for column in row))
        with path.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, columns, restval="")
            writer.writeheader()
            writer.writerows(rows)
        return path

    def read_results(self, name: str) -> list[dict[str, str]]:
        """Read a results file or an export in CSV; `bulkload_status` is also available as `status`, and so on."""
        with (self.folder / name).open(encoding="utf-8-sig", newline="") as stream:
            delimiter = max(",;\t|", key=stream.readline().count)  # the results have that of the input
            stream.seek(0)
            rows = list(csv.DictReader(stream, delimiter=delimiter))
        return [row | {key.removeprefix("bulkload_"): value for key, value in row.items()} for row in rows]

    def run(self, file: Path, *arguments: object) -> tuple[CommandResult, list[dict[str, str]]]:
        """Run `bulkload run` on an input file, and return its result and the rows of its results file."""
        result = self("run", file, "--results", "results.csv", *arguments)
        return result, self.read_results("results.csv") if (self.folder / "results.csv").is_file() else []


def make_command_line(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> CommandLine:
    """Change to an empty folder, and replace the settings in the environment by those of the tests."""
    monkeypatch.chdir(folder)
    for name in ("ALERTSITE_TOKEN", "ALERTSITE_PASSWORD_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in FAST_SETTINGS.items():
        monkeypatch.setenv(name, value)
    return CommandLine(folder=folder, monkeypatch=monkeypatch, capsys=capsys)


def imap(name: str, **fields: object) -> dict[str, object]:
    """A valid row of an input file: an IMAP monitor, with these fields added or replaced."""
    return {"type": "imap", "name": name, "hostname": "mx1.example.com", "billing_plancode": PLAN, **fields}


def api_request(sandbox: Sandbox, method: str, monitor: Mapping[str, Any], **fields: object) -> None:
    """Create, update or delete a monitor through the API, as another user would.

    `monitor` needs a `type` for POST, an `id` for DELETE, and both for PATCH.
    """

    def send(method: str, path: str, body: object = None, token: str = "") -> bytes:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
        data = json.dumps(body).encode() if body else None
        request = urllib.request.Request(sandbox.base_url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as response:
            content: bytes = response.read()
        return content

    token = json.loads(send("POST", "/access-tokens", USER))["access_token"]
    type_part = f"/{monitor['type']}" if method != "DELETE" else ""
    id_part = f"/{monitor['id']}" if method != "POST" else ""
    send(method, f"/monitors{type_part}{id_part}", fields, token)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """A request that the fake API has received."""

    method: str
    path: str  # below the base path, without the query
    body: Any = None  # decoded JSON
    query: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeResponse:
    """A response for the fake API to send."""

    content: object = None  # a string is sent unchanged, anything else as JSON
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class FakeApi:
    """The address of a running fake API, and the requests that it has received, logins included."""

    base_url: str
    requests: list[ApiRequest] = field(default_factory=list)

    def count(self, method: str) -> int:
        """The number of requests with this method, without logins."""
        return sum(request.method == method and request.path != "/access-tokens" for request in self.requests)


@contextmanager
def fake_api(
    answer: Callable[[ApiRequest], FakeResponse], login: FakeResponse = FakeResponse(content={"access_token": "t"})
) -> Iterator[FakeApi]:
    """Run a server that answers each login with `login` and all other requests by calling `answer`.

    For responses that the sandbox cannot send. By default, every login succeeds.
    """
    server = FakeApi(base_url="")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _respond(self) -> None:
            raw_body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path, _, query = self.path.partition("?")
            path = path.removeprefix("/api/v3")
            body = json.loads(raw_body) if raw_body else None
            request = ApiRequest(method=self.command, path=path, body=body, query=dict(parse_qsl(query)))
            server.requests.append(request)
            response = login if path == "/access-tokens" else answer(request)
            content = response.content if isinstance(response.content, str) else json.dumps(response.content)
            self.send_response(response.status)
            for name, value in {"Content-Type": response.content_type, **response.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content.encode())))
            self.end_headers()
            self.wfile.write(content.encode())

        do_GET = do_POST = do_PATCH = do_DELETE = _respond

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http_server:
        http_server.daemon_threads = True
        thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        server.base_url = f"http://127.0.0.1:{http_server.server_port}/api/v3"
        try:
            yield server
        finally:
            http_server.shutdown()
            thread.join()


def list_response(*monitors: Mapping[str, object]) -> FakeResponse:
    """A complete list of monitors, on one page."""
    metadata = {"resultset": {"count": len(monitors), "limit": None}}
    return FakeResponse(content={"metadata": metadata, "results": list(monitors)})
