"""Moving in from another tool, the whole way: its file makes monitors, and never makes them twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkload.errors import ExitCode
from bulkload.sandbox.server import Sandbox
from tests.command_line import PLAN, Desk

SAMPLES = sorted((Path(__file__).parent.parent / "samples" / "migration").iterdir())
WITH_PLAN = ("--set", f"billing_plancode={PLAN}")


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_a_configuration_run_and_then_converted_and_run_makes_its_monitors_once(
    sample: Path, desk: Desk, sandbox: Sandbox
) -> None:
    first = desk("run", sample, *WITH_PLAN, "--json")
    assert first.exit_code == ExitCode.DONE, first
    rows = first.json["rows"]
    assert rows > 0
    assert first.json["counts"] == {"created": rows}
    assert len(sandbox.monitors()) == rows

    assert desk("convert", sample, "hosts.xlsx").exit_code == ExitCode.DONE
    for again in (sample, "hosts.xlsx"):
        second = desk("run", again, *WITH_PLAN, "--json")
        assert second.exit_code == ExitCode.DONE, second
        assert second.json["counts"] == {"exists": rows}
    assert len(sandbox.monitors()) == rows


@pytest.mark.usefixtures("sandbox")
def test_an_unknown_tool_is_refused_with_the_known_ones(desk: Desk) -> None:
    ended = desk("run", SAMPLES[0], "--from", "whatsup")
    assert ended.exit_code == ExitCode.USAGE
    assert "whatsup" in ended.stderr
    assert "nagios" in ended.stderr
