"""`import bulkload` costs next to nothing, and a call neither prints, nor logs, nor touches signals."""

from __future__ import annotations

import ast
import logging
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pandas as pd
import pytest

import bulkload as bl
from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from tests.python.conftest import hosts
from tests.support.paths import ROOT

WARNINGS = ("-W", "error", "-W", "ignore:Binding:DeprecationWarning")  # the latter as in pyproject.toml
CALLER = """
import signal, sys, threading
import bulkload as bl
before = {number: signal.getsignal(number) for number in signal.valid_signals()}
rows = [{"type": "imap", "name": "a", "hostname": "mx1.example.com", "billing_plancode": "X", "port": "110"}]
result = bl.run(rows + [{}] + rows, sandbox=True, rate="unlimited", verify=True)
bl.undo(result.run_id, sandbox=True, dry_run=False)
bl.check("missing.csv") if sys.argv[1:] else None
assert {number: signal.getsignal(number) for number in signal.valid_signals()} == before
assert threading.enumerate() == [threading.main_thread()], threading.enumerate()
assert "pandas" not in sys.modules
"""


def run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *WARNINGS, *arguments],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_importing_it_imports_nothing_else(folder: Path) -> None:
    loaded = "import sys; before = {*sys.modules}; import bulkload; print({*sys.modules} - before)"
    done = run("-c", loaded, folder=folder)
    modules = ast.literal_eval(done.stdout)
    assert {name for name in modules if name.startswith("bulkload")} == {"bulkload"}
    # logging is all that it needs, and what that needs
    needed = run("-c", loaded.replace("import bulkload", "import logging, typing"), folder=folder)
    assert modules - {"bulkload"} <= ast.literal_eval(needed.stdout) | {"__future__"}


@pytest.mark.parametrize("command", [["--version"], ["check", "hosts.csv"], ["run", "hosts.csv", "--sandbox"]])
def test_the_command_line_never_imports_pandas(command: list[str], folder: Path) -> None:
    hosts("a").to_csv(folder / "hosts.csv", index=False)
    program = "import atexit, sys; atexit.register(lambda: print('pandas' in sys.modules)); "
    start = f"sys.argv[1:] = {command!r}; from bulkload.__main__ import entry; entry()"
    done = run("-c", program + start, folder=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "False"


def test_a_call_prints_nothing_and_handles_no_signal(folder: Path) -> None:
    done = run("-c", CALLER, folder=folder)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_messages_go_to_the_log_of_the_caller(
    server: Sandbox, account: bl.Account, frame: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    log = logging.getLogger("bulkload")
    before = (log.level, log.handlers[:], log.propagate, log.disabled)
    server.set_faults(Faults(rules=(Rule(fault="throttle", at=(1,), on=("create",)),)))
    with caplog.at_level(logging.DEBUG, "bulkload"):
        bl.run(frame, account=account)
    assert caplog.records
    assert (log.handlers, log.propagate, log.disabled) == (before[1], before[2], before[3])


def test_the_names_are_all_there() -> None:
    assert set(bl.__all__) <= set(dir(bl))
    for name in bl.__all__:
        assert getattr(bl, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'runn'"):
        bl.runn  # type: ignore[attr-defined]  # noqa: B018


def test_every_public_function_has_a_docstring() -> None:
    for name in (*bl.__all__, *(f"aio.{name}" for name in bl.aio.__all__)):
        value: object = bl
        for part in name.split("."):
            value = getattr(value, part)
        assert getattr(value, "__doc__", ""), name


def test_a_call_leaves_signals_of_the_caller_alone(account: bl.Account, frame: pd.DataFrame) -> None:
    assert threading.current_thread() is threading.main_thread()
    seen: list[int] = []

    def handler(number: int, _: object) -> None:
        seen.append(number)

    before = signal.signal(signal.SIGTERM, handler)
    try:
        bl.run(frame, account=account, progress=lambda counts: signal.raise_signal(signal.SIGTERM))
        assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
    assert set(seen) == {signal.SIGTERM}
