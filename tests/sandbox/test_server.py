"""The stand-in starts, stops, restarts and keeps its log as it says, in a loop, a thread and a process."""

from __future__ import annotations

import ast
import asyncio
import json
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

import bulkload.sandbox
from bulkload.sandbox import Faults, Rule, SandboxError, SandboxOptions
from bulkload.sandbox.server import Sandbox, running
from tests.support.sandbox_client import IMAP, USER, run_sandbox

SERVE = """
import sys
from pathlib import Path
from bulkload.sandbox.server import serve
serve(state=Path(sys.argv[1]), on_ready=lambda base_url: print(base_url, flush=True))
"""


def ask(method: str, url: str, body: object = None, token: str = "") -> Any:
    """One request with the standard library, for tests outside an event loop."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=60) as response:
        text = response.read()
    return json.loads(text) if text else None


def test_the_stand_in_is_an_island() -> None:
    """Nothing in it imports anything of bulkload outside it."""
    files = list(Path(bulkload.sandbox.__file__).parent.glob("*.py"))
    assert len(files) > 5
    for file in files:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = (
                [alias.name for alias in node.names]
                if isinstance(node, ast.Import)
                else [node.module or "."]
                if isinstance(node, ast.ImportFrom)
                else []
            )
            for name in names:
                assert not name.startswith((".", "bulkload")) or name.startswith("bulkload.sandbox"), (file.name, name)


def test_importing_the_options_does_not_import_the_server() -> None:
    code = "import sys, bulkload.sandbox; print([m for m in ('aiohttp', 'pydantic') if m in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"


async def test_monitors_and_ids_survive_a_restart_and_no_id_comes_twice(tmp_path: Path) -> None:
    state = tmp_path / "deep" / "state.sqlite3"
    async with run_sandbox(state=state) as client:
        for name in ("a", "b", "c"):
            await client.create(name)
        await client.request("DELETE", "/monitors/100003")
        before = client.sandbox.monitors()
        token = client.token
    async with run_sandbox(state=state, login=False) as client:
        client.token = token
        assert (await client.create())[0] == 401
        await client.login()
        assert client.sandbox.monitors() == before
        assert (await client.create("d"))[1] == {"id": "100004"}
        assert await client.list_names() == ["a", "b", "d"]


async def test_one_stand_in_can_be_started_again_on_its_port() -> None:
    sandbox = Sandbox()
    first = await sandbox.start()
    await sandbox.stop()
    again = Sandbox(port=int(first.split(":")[2].split("/")[0]))
    assert await again.start() == first
    await again.stop()
    assert await again.start() == first
    await again.stop()


async def test_what_was_answered_is_in_the_file_at_once(tmp_path: Path) -> None:
    """Another reader of the file sees every monitor whose id was given out: the answer waits for the commit."""
    state = tmp_path / "state.sqlite3"
    async with run_sandbox(state=state) as client:
        with sqlite3.connect(state) as other:
            for number in range(20):
                answers = await asyncio.gather(*(client.create(f"mx{number}-{i}") for i in range(5)))
                ids = {row[0] for row in other.execute("SELECT id FROM monitors")}
                assert {int(answer["id"]) for _, answer in answers} <= ids
        other.close()


@pytest.mark.parametrize(("late_on_stop", "made"), [("commit", 1), ("drop", 0)])
async def test_late_commits_at_a_stop_are_carried_out_or_dropped(tmp_path: Path, late_on_stop: Any, made: int) -> None:
    state = tmp_path / "state.sqlite3"
    late = Faults(rules=(Rule(fault="late", seconds=3600),))
    async with run_sandbox(SandboxOptions(late_on_stop=late_on_stop), late, state=state) as client:
        assert (await client.create())[0] == 504
    async with run_sandbox(state=state) as client:
        assert len(await client.list_names()) == made


async def test_a_late_commit_does_not_overfill_a_plan() -> None:
    late = Faults(rules=(Rule(fault="late", names=("late",), seconds=3600),))
    async with run_sandbox(SandboxOptions(capacity={"UBM - A/A": 1}), late) as client:
        assert (await client.create("late"))[0] == 504
        assert (await client.create("other"))[0] == 200
        client.sandbox.commit_late()
        assert await client.list_names() == ["other"]
        assert not client.sandbox.requests()[-2].committed


async def test_the_log_says_what_was_done_and_holds_no_secret(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    async with run_sandbox(SandboxOptions(log_file=log, password="open sesame"), login=False) as client:
        status, answer = await client.request("POST", "/access-tokens", {**USER, "password": "open sesame"})
        assert status == 200
        client.token = answer["access_token"]
        await client.create(port=993)
        await client.create(port=0)
        await client.request("GET", "/monitors?select=id")
        entries = await client.control("GET", "requests")
        lines = log.read_text(encoding="utf-8")
        assert [json.loads(line) for line in lines.splitlines()] == entries
        assert "sesame" not in lines
        assert "sesame" not in repr(client.sandbox.options)
        assert client.token not in lines
        made = entries[1]
        assert (made["method"], made["path"], made["status"]) == ("POST", "/api/v3/monitors/email-imap", 200)
        assert (made["name"], made["host"], made["id"]) == (IMAP["name"], IMAP["hostname"], 100001)
        assert [entry["committed"] for entry in entries] == [False, True, False, False]
        assert client.sandbox.counts() == {"login": 1, "create": 2, "created": 1, "list": 1}
        await client.control("DELETE", "requests")
        assert client.sandbox.requests() == []
        assert client.sandbox.counts() == {}


async def test_the_log_in_memory_keeps_the_newest_only() -> None:
    async with run_sandbox(SandboxOptions(log_size=3)) as client:
        for number in range(5):
            await client.create(f"mx{number}")
        assert [entry.name for entry in client.sandbox.requests()] == ["mx2", "mx3", "mx4"]
        assert client.sandbox.counts()["created"] == 5


async def test_faults_change_while_running_through_the_control_endpoint() -> None:
    faults = Faults(seed=3, rules=(Rule(fault="error-after", at=(1,)),), visible_after=60)
    async with run_sandbox() as client:
        await client.create("before")
        assert await client.control("PUT", "faults", data=faults.to_json()) is None
        assert client.sandbox.faults == faults
        assert Faults.from_json(json.dumps(await client.control("GET", "faults"))) == faults
        assert [(await client.create(name))[0] for name in ("struck", "not struck")] == [500, 200]
        assert await client.list_names() == ["before"]
        everything = await client.control("GET", "monitors")
        assert [monitor["name"] for monitor in everything] == ["before", "struck", "not struck"]
        assert "rulez" in (await client.control("PUT", "faults", data='{"rulez": []}'))["error"]
        assert client.sandbox.faults == faults
        assert "no such" in (await client.control("GET", "nothing"))["error"]


async def test_control_is_neither_limited_nor_logged() -> None:
    async with run_sandbox(faults=Faults(rate_limit=1, rate_window=60)) as client:
        for _ in range(3):
            assert await client.control("GET", "monitors") == []
        assert len(client.sandbox.requests()) == 1


async def test_outside_the_base_path_there_is_no_api() -> None:
    async with run_sandbox() as client:
        url = client.sandbox.base_url.replace("/api/v3", "/api/v2") + "/monitors"
        async with client.session.get(url) as response:
            assert (response.status, response.content_type) == (404, "text/plain")


async def test_a_taken_port_is_a_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SandboxError, match=rf"^Port {port} of 127.0.0.1 cannot be used: .*\.$"):
            await Sandbox(port=port).start()


async def test_a_log_file_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match=r"^The log file .* cannot be written: .*\.$"):
        await Sandbox(SandboxOptions(log_file=tmp_path)).start()


async def test_faults_can_be_set_before_the_start() -> None:
    sandbox = Sandbox()
    sandbox.set_faults(Faults(seed=7))
    async with sandbox:
        assert sandbox.faults.seed == 7


@pytest.mark.parametrize("content", ["text", "tables", "folder"])
async def test_a_file_that_is_no_state_is_a_sentence_and_stays_as_it_is(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file"
    if content == "folder":
        path.mkdir()
    elif content == "text":
        path.write_text("name,hostname\n" * 100)
    else:
        with sqlite3.connect(path) as db:
            db.execute("CREATE TABLE monitors (id)")
        db.close()
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(SandboxError, match=r"^[^\n]*file[^\n]*\.$"):
        await Sandbox(state=path).start()
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_it_runs_in_a_thread_and_can_be_looked_into_from_outside(tmp_path: Path) -> None:
    with running(state=tmp_path / "state.sqlite3") as sandbox:
        token = ask("POST", sandbox.base_url + "/access-tokens", USER)["access_token"]
        assert ask("POST", sandbox.base_url + "/monitors/email-imap", IMAP, token) == {"id": "100001"}
        assert [monitor["id"] for monitor in sandbox.monitors()] == [100001]
        sandbox.set_faults(Faults(rules=(Rule(fault="error-before", on=("get",), status=503),)))
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask("GET", sandbox.base_url + "/monitors/100001", token=token)
        caught.value.close()
        assert caught.value.code == 503
        assert sandbox.requests()[-1].fault == "error-before"
        sandbox.expire_tokens()
        with pytest.raises(urllib.error.HTTPError) as caught:
            ask("GET", sandbox.base_url + "/monitors", token=token)
        caught.value.close()
        assert caught.value.code == 401
    with pytest.raises(urllib.error.URLError):
        ask("GET", sandbox.base_url + "/monitors")


def test_a_thread_that_cannot_start_says_so_to_its_caller(tmp_path: Path) -> None:
    with pytest.raises(SandboxError), running(state=tmp_path):
        pytest.fail("it started")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_served_until_a_signal_it_ends_clean_and_says_nothing(tmp_path: Path, number: signal.Signals) -> None:
    state = tmp_path / "state.sqlite3"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SERVE, str(state)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        token = ask("POST", base_url + "/access-tokens", USER)["access_token"]
        ask("POST", base_url + "/monitors/email-imap", IMAP, token)
        process.send_signal(number)
        assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["state.sqlite3"]


def test_a_killed_server_has_kept_every_monitor_it_answered_for(tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite3"
    with subprocess.Popen([sys.executable, "-c", SERVE, str(state)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        token = ask("POST", base_url + "/access-tokens", USER)["access_token"]
        made = [int(ask("POST", base_url + "/monitors/email-imap", IMAP, token)["id"]) for _ in range(20)]
        process.kill()
    with running(state=state) as sandbox:
        assert [monitor["id"] for monitor in sandbox.monitors()] == made
