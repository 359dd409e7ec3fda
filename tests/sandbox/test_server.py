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
from tests.support.sandbox_caller import MX1, USER, calling

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
    async with calling(state=state) as caller:
        for name in ("a", "b", "c"):
            await caller.create(name)
        await caller.call("DELETE", "/monitors/100003")
        before = caller.sandbox.monitors()
        token = caller.token
    async with calling(state=state, login=False) as caller:
        caller.token = token
        assert (await caller.create())[0] == 401
        await caller.login()
        assert caller.sandbox.monitors() == before
        assert (await caller.create("d"))[1] == {"id": "100004"}
        assert await caller.names() == ["a", "b", "d"]


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
    async with calling(state=state) as caller:
        with sqlite3.connect(state) as other:
            for number in range(20):
                answers = await asyncio.gather(*(caller.create(f"mx{number}-{i}") for i in range(5)))
                ids = {row[0] for row in other.execute("SELECT id FROM monitors")}
                assert {int(answer["id"]) for _, answer in answers} <= ids
        other.close()


@pytest.mark.parametrize(("late_on_stop", "made"), [("commit", 1), ("drop", 0)])
async def test_late_commits_at_a_stop_are_carried_out_or_dropped(tmp_path: Path, late_on_stop: Any, made: int) -> None:
    state = tmp_path / "state.sqlite3"
    late = Faults(rules=(Rule(fault="late", seconds=3600),))
    async with calling(SandboxOptions(late_on_stop=late_on_stop), late, state=state) as caller:
        assert (await caller.create())[0] == 504
    async with calling(state=state) as caller:
        assert len(await caller.names()) == made


async def test_a_late_commit_does_not_overfill_a_plan() -> None:
    late = Faults(rules=(Rule(fault="late", names=("late",), seconds=3600),))
    async with calling(SandboxOptions(capacity={"UBM - A/A": 1}), late) as caller:
        assert (await caller.create("late"))[0] == 504
        assert (await caller.create("other"))[0] == 200
        caller.sandbox.commit_late()
        assert await caller.names() == ["other"]
        assert not caller.sandbox.requests()[-2].committed


async def test_the_log_says_what_was_done_and_holds_no_secret(tmp_path: Path) -> None:
    log = tmp_path / "requests.jsonl"
    async with calling(SandboxOptions(log_file=log, password="open sesame"), login=False) as caller:
        status, answer = await caller.call("POST", "/access-tokens", {**USER, "password": "open sesame"})
        assert status == 200
        caller.token = answer["access_token"]
        await caller.create(port=993)
        await caller.create(port=0)
        await caller.call("GET", "/monitors?select=id")
        entries = await caller.control("GET", "requests")
        lines = log.read_text(encoding="utf-8")
        assert [json.loads(line) for line in lines.splitlines()] == entries
        assert "sesame" not in lines
        assert "sesame" not in repr(caller.sandbox.options)
        assert caller.token not in lines
        made = entries[1]
        assert (made["method"], made["path"], made["status"]) == ("POST", "/api/v3/monitors/email-imap", 200)
        assert (made["name"], made["host"], made["id"]) == (MX1["name"], MX1["hostname"], 100001)
        assert [entry["committed"] for entry in entries] == [False, True, False, False]
        assert caller.sandbox.counts() == {"login": 1, "create": 2, "created": 1, "list": 1}
        await caller.control("DELETE", "requests")
        assert caller.sandbox.requests() == []
        assert caller.sandbox.counts() == {}


async def test_the_log_in_memory_keeps_the_newest_only() -> None:
    async with calling(SandboxOptions(log_size=3)) as caller:
        for number in range(5):
            await caller.create(f"mx{number}")
        assert [entry.name for entry in caller.sandbox.requests()] == ["mx2", "mx3", "mx4"]
        assert caller.sandbox.counts()["created"] == 5


async def test_faults_change_while_running_through_the_control_endpoint() -> None:
    faults = Faults(seed=3, rules=(Rule(fault="error-after", at=(1,)),), visible_after=60)
    async with calling() as caller:
        await caller.create("before")
        assert await caller.control("PUT", "faults", data=faults.to_json()) is None
        assert caller.sandbox.faults == faults
        assert Faults.from_json(json.dumps(await caller.control("GET", "faults"))) == faults
        assert [(await caller.create(name))[0] for name in ("struck", "not struck")] == [500, 200]
        assert await caller.names() == ["before"]
        everything = await caller.control("GET", "monitors")
        assert [monitor["name"] for monitor in everything] == ["before", "struck", "not struck"]
        assert "rulez" in (await caller.control("PUT", "faults", data='{"rulez": []}'))["error"]
        assert caller.sandbox.faults == faults
        assert "no such" in (await caller.control("GET", "nothing"))["error"]


async def test_control_is_neither_limited_nor_logged() -> None:
    async with calling(faults=Faults(rate_limit=1, rate_window=60)) as caller:
        for _ in range(3):
            assert await caller.control("GET", "monitors") == []
        assert len(caller.sandbox.requests()) == 1


async def test_outside_the_base_path_there_is_no_api() -> None:
    async with calling() as caller:
        url = caller.sandbox.base_url.replace("/api/v3", "/api/v2") + "/monitors"
        async with caller.session.get(url) as response:
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
        assert ask("POST", sandbox.base_url + "/monitors/email-imap", MX1, token) == {"id": "100001"}
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
        ask("POST", base_url + "/monitors/email-imap", MX1, token)
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
        made = [int(ask("POST", base_url + "/monitors/email-imap", MX1, token)["id"]) for _ in range(20)]
        process.kill()
    with running(state=state) as sandbox:
        assert [monitor["id"] for monitor in sandbox.monitors()] == made
