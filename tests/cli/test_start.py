"""A command starts quickly because it imports only what it needs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bulkload.cli.main import COMMANDS
from tests.support.command_line import PLAN
from tests.support.paths import ROOT

PROGRAM = """
import json, sys
from bulkload.cli.main import main
exit_code = main(sys.argv[1:])
print(json.dumps([exit_code, [*sys.modules]]))
"""
OUTPUT_LIBRARIES = {"jinja2", "openpyxl", "tqdm", "xlsxwriter"}
INPUT_LIBRARIES = {"pandas", "pyarrow", "python_calamine", "yaml", "defusedxml", "bulkload.migration"}
OTHERS = {"email_validator", "watchfiles", "prometheus_client", "multiprocessing", "logging.config", "bulkload.web"}
NEVER = OUTPUT_LIBRARIES | INPUT_LIBRARIES | OTHERS


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "waiting").mkdir()
    (tmp_path / "hosts.csv").write_text(f"type,name,host,plan\nimap,a,mx1.example.com,{PLAN}\n", "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "not_needed"),
    [
        (["--version"], {"pydantic", "pydantic_core", "asyncio", "sqlite3", "bulkload.settings", "bulkload.sandbox"}),
        (["check", "hosts.csv"], {"aiohttp", "asyncio", "idna", "tomllib", "bulkload.sandbox", "bulkload.inbox"}),
        (["inbox", "waiting"], {"aiohttp", "bulkload.sandbox", "bulkload.readers", "bulkload.monitors.config"}),
        (["run", "hosts.csv", "--sandbox", "--results", "results.csv"], {"bulkload.inbox", "bulkload.operations.undo"}),
    ],
)
def test_a_command_imports_only_what_it_needs(arguments: list[str], not_needed: set[str], folder: Path) -> None:
    exit_code, modules = _run(arguments, folder)
    assert exit_code == 0
    assert [name for name in modules if _is_one_of(name, NEVER | not_needed)] == []
    assert {name for name in COMMANDS if f"bulkload.cli.{name}" in modules} == {*arguments[:1]} & {*COMMANDS}


def test_the_other_commands_exist_all_the_same(folder: Path) -> None:
    """The help lists all of them, and a misspelt one gets a suggestion."""
    program = [sys.executable, "-m", "bulkload"]
    shown = subprocess.run([*program, "--help"], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert all(f"\n  {name} " in shown.stdout for name in COMMANDS)
    wrong = subprocess.run([*program, "chekc"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert wrong.returncode == 2
    assert "check" in wrong.stderr


def _run(arguments: Sequence[str], folder: Path) -> tuple[int, list[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=folder,
        env={
            "PYTHONPATH": str(ROOT),
            "ALERTSITE_BASE_URL": "http://127.0.0.1:9/api/v3",  # no server listens there
            "ALERTSITE_USERNAME": "user@example.com",
            "ALERTSITE_PASSWORD": "password",
        },
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    exit_code, modules = json.loads(done.stdout.splitlines()[-1])
    return exit_code, modules


def _is_one_of(name: str, modules: set[str]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)
