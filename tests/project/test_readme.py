"""The commands in README.md work, and its tables are complete."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bulkload.cli.main import cli
from bulkload.errors import ExitCode
from bulkload.migration.tools.registry import READERS
from bulkload.model import Status
from bulkload.monitors.fields import FIELDS
from bulkload.sandbox.server import running
from tests.project.test_architecture import BELOW, MAY_IMPORT, SHARED
from tests.support.paths import ROOT

README = (ROOT / "README.md").read_text("utf-8")
MIGRATION = (ROOT / "samples" / "migration.md").read_text("utf-8")
ARCHITECTURE = (ROOT / "bulkload" / "README.md").read_text("utf-8")
SHELL = [
    re.sub(r"\s+#.*", "", line)
    for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
    if line and not line.startswith("#")
]
SET_UP = [line for line in SHELL if line.startswith(("python3 -m venv", ".venv/bin/pip"))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the samples, as in a fresh checkout."""
    shutil.copytree(ROOT / "samples", tmp_path / "samples")
    return tmp_path


@pytest.fixture
def account(folder: Path) -> Iterator[dict[str, str]]:
    """An account, with the environment variables that the README names."""
    with running() as sandbox:
        secret = folder / ".alertsite-password"
        secret.write_text(sandbox.options.password + "\n")
        secret.chmod(0o600)
        yield {
            "ALERTSITE_BASE_URL": sandbox.base_url,
            "ALERTSITE_USERNAME": sandbox.options.user,
            "ALERTSITE_PASSWORD_FILE": str(secret),
        }


def test_the_setup_is_two_commands_of_one_line() -> None:
    assert len(SET_UP) == 2
    assert SET_UP[0].endswith(".venv/bin/bulkload run samples/mail-hosts.csv --sandbox")
    assert SET_UP[1].endswith(".venv/bin/python -m pytest -q")


def test_the_first_command_creates_all_rows_and_finds_them_when_repeated(folder: Path) -> None:
    command = SET_UP[0].rpartition("&&")[2].replace(".venv/bin/", "")
    first, second = (_bulkload(command + " --rate 100", folder) for _ in range(2))
    assert re.search(r"^created +42$", first.stdout, re.MULTILINE)
    assert re.search(r"^exists +42$", second.stdout, re.MULTILINE)
    assert "created" not in second.stdout
    assert (folder / "output/mail-hosts-results.xlsx").is_file()


def test_the_commands_for_an_account_work_in_order(folder: Path, account: dict[str, str]) -> None:
    lines = [line for line in SHELL if line.startswith("bulkload ") and "hosts.xlsx" in line]
    assert len(lines) >= 5
    for line in lines:
        done = _bulkload(line, folder, account)
        # --first leaves the other rows for the next run
        assert done.returncode == (ExitCode.ROWS_LEFT if "--first" in line else ExitCode.DONE), (line, done)


@pytest.mark.parametrize("line", re.findall(r"\| `(bulkload convert [^`]+)` \|$", MIGRATION, re.MULTILINE))
def test_the_example_of_every_tool_works(line: str, folder: Path) -> None:
    done = _bulkload(line, folder)
    assert done.returncode == ExitCode.DONE, done
    checked = _bulkload("bulkload check hosts.xlsx --set billing_plancode=X", folder)
    assert checked.returncode == ExitCode.DONE, checked


def test_the_python_example_works(folder: Path, account: dict[str, str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    shutil.copy(folder / "samples" / "mail-hosts.csv", folder / "hosts.csv")
    text = (folder / "hosts.csv").read_text("utf-8").replace(",993,", ",99999,", 1)
    (folder / "hosts.csv").write_text(text, "utf-8")
    correction = 'failed["port"] = "993"\nbl.run(failed)'
    program = block.replace('rate="2/s"', 'rate="unlimited"').replace("bl.run(failed)", correction)
    assert program.count("unlimited") == program.count(correction) == 1
    check = 'assert result.counts == {"created": 41, "invalid": 1}, result\nassert bl.runs()["created"].sum() == 42'
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", "ignore:Binding:DeprecationWarning", "-c", f"{program}\n{check}"],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **account},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (folder / "results.xlsx").is_file()


def test_the_table_of_commands_is_complete() -> None:
    named = set(re.findall(r"^\| `bulkload (\w+)", README, re.MULTILINE))
    assert named == set(cli.commands)


def test_the_table_of_columns_is_complete() -> None:
    table = README[README.index("| Column | Rule |") : README.index("Files:")]
    named = {name for row in table.splitlines() if "|" in row for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named == set(FIELDS) | {"monitor_id"}


def test_the_table_of_statuses_is_complete() -> None:
    rows = re.findall(r"^\| `(\w+)` \| [^|]+ \| ?([^|]*?) ?\|$", README, re.MULTILINE)
    planned = (Status.WILL_CREATE, Status.WILL_UPDATE)
    assert dict(rows) == {status.value: status.next_step for status in Status if status not in planned}


def test_the_table_of_exit_codes_is_complete() -> None:
    table = README[README.index("| Exit code |") : README.index("`--json` prints")]
    assert {int(code) for cell in re.findall(r"^\| ([\d, ]+) \|", table, re.MULTILINE) for code in cell.split(",")} == {
        int(code) for code in ExitCode
    }


@pytest.mark.parametrize("page", ["README.md", "bulkload/README.md", "samples/migration.md", ".github/CONTRIBUTING.md"])
def test_every_linked_file_exists(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text)
    assert [target for target in targets if not ((ROOT / page).parent / target).exists()] == []


def test_every_tool_has_an_example_and_is_named() -> None:
    named = README[README.index("## Migrate from another tool") : README.index("## Every night")]
    rows = re.findall(r"^\| ([A-Z][^|]+?) \| [^|]+ \| `bulkload convert", MIGRATION, re.MULTILINE)
    assert len(rows) == len(READERS)
    tools = {tool.removesuffix(" 1") for row in rows for tool in row.split(", ")} - {"Icinga 2", "Big Brother"}
    assert [tool for tool in tools if tool not in named] == []


def test_the_architecture_names_files_that_exist() -> None:
    named = re.findall(r"`([a-z_/]+(?:\.py|/))`", ARCHITECTURE)
    assert len(named) > 40
    assert [path for path in named if not any((root / path).exists() for root in (ROOT, ROOT / "bulkload"))] == []


def test_the_architecture_documents_the_import_contract() -> None:
    table = ARCHITECTURE[ARCHITECTURE.index("## What may import what") : ARCHITECTURE.index("## Where to add things")]
    rows = dict(re.findall(r"^\| ((?:`\w+` ?)+) \| ([^|]+) \|$", table, re.MULTILINE))
    documented = {part: names for parts, names in rows.items() for part in re.findall(r"\w+", parts)}
    groups = {"everything below": BELOW, "nothing": set()}
    for part, names in documented.items():
        allowed = groups.get(names) or {name.strip("` ").partition(".")[0] for name in names.split(",")} - {"nothing"}
        assert allowed == MAY_IMPORT[part], part
    assert documented.keys() == MAY_IMPORT.keys() - SHARED - {"__init__", "__main__", "aio"}


def _bulkload(line: str, folder: Path, account: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command line of the README with the caller's account, at a high rate."""
    program, *arguments = shlex.split(line)
    assert program == "bulkload"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ALERTSITE", "BULKLOAD"))}
    return subprocess.run(
        [sys.executable, "-m", "bulkload", *arguments],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(ROOT), "BULKLOAD_RATE": "100"} | (account or {}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
