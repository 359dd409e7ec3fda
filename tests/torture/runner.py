"""Runs a scenario: first the processes that are killed or stopped, then processes until nothing is left to do.

In: a scenario. Out: nothing; all guarantees are checked after each process, and a broken one raises an
`AssertionError` that ends with the scenario as JSON.
"""

from __future__ import annotations

import json
import signal
import urllib.request
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from bulkload.errors import ExitCode
from bulkload.sandbox import Faults
from bulkload.sandbox.alterations import shown_by
from tests.support.sandbox_client import USER
from tests.support.waiting import wait_until
from tests.torture.crash_points import CrashPoint
from tests.torture.program import ProcessResult, Workspace, open_workspace
from tests.torture.scenario import INTERVAL, OTHER_INTERVAL, Round, Scenario, ScenarioRow, body_of, name_of

SIGNALS = {
    "kill": (signal.SIGKILL,),
    "term": (signal.SIGTERM,),
    "int": (signal.SIGINT,),
    "int-int": (signal.SIGINT,) * 2,
}
GRACEFUL = (ExitCode.INTERRUPTED, ExitCode.TERMINATED)
MAX_PROCESSES = 8  # that may be needed to finish once there are no faults
MAX_PROCESSES_WITH_FAULTS = 3  # that try to finish while there are faults
RUN_AGAIN = ("unknown", "not_attempted", "failed")
NOTHING_TO_RESUME = ("There are no runs", "There is no run to resume", "run the file again")
FILE, WARM_UP_FILE, STEM = "hosts.csv", "warm.csv", "results"
RESULTS = f"{STEM}.jsonl"
SECOND = "second"  # an output folder without earlier runs
BYSTANDERS = (1_000, 1_004, 1_008)  # monitors of other users; they show that all names have the same letter case
ONE_CASE = ("upper-names", "lower-names")
LOOKS_EDITED = (*ONE_CASE, "cut", "no-ports", "empty-ports", "null-ports")  # could also be an edit by a user
HOSTS = ("hostname", "smtp_hostname", "pop3_hostname")


def run_scenario(scenario: Scenario, folder: Path) -> None:
    """Run a scenario and check the guarantees."""
    try:
        options = {"page_size": scenario.page_size or None}
        with open_workspace(folder, scenario.environment, options=options) as workspace:
            _ScenarioRunner(scenario, workspace).run()
    except AssertionError as error:
        raise AssertionError(f"{error}\n\nThe scenario:\n{scenario.to_json()}") from error


class _ScenarioRunner:
    def __init__(self, scenario: Scenario, workspace: Workspace) -> None:
        self._scenario = scenario
        self._workspace = workspace
        self._warm_up_monitor = len(scenario.requested) + max((row.monitor for row in scenario.rows), default=0) + 100
        self._folder = workspace.folder
        warm_up = (self._warm_up_monitor,) if scenario.warm_up else ()
        self._may_be_unknown = _ambiguous_monitors(scenario, warm_up)
        self._unknown: set[int] = set()  # row numbers, after the last process
        self._bystanders = BYSTANDERS if {*ONE_CASE} & {*scenario.faults.shows} else ()

    def run(self) -> None:
        """Run the whole scenario."""
        scenario, workspace = self._scenario, self._workspace
        (self._folder / FILE).write_text(scenario.csv(), "utf-8")
        warm_up_row = replace(scenario.rows[0], monitor=self._warm_up_monitor, spelling="plain", is_invalid=False)
        (self._folder / WARM_UP_FILE).write_text(replace(scenario, rows=(warm_up_row,)).csv(), "utf-8")
        workspace.sandbox.set_faults(Faults(shows=scenario.faults.shows))
        for monitor in self._bystanders:
            self._create(monitor, INTERVAL)
        if scenario.warm_up:
            result = workspace.run("run", WARM_UP_FILE)
            assert result.exit_code == ExitCode.DONE, result
        for existing in scenario.existing:
            self._create(existing.monitor, OTHER_INTERVAL if existing.differs else INTERVAL)
        workspace.read_log()
        self._begin = len(workspace.requests)
        workspace.sandbox.set_faults(scenario.faults)
        for process_round in scenario.rounds:
            self._round(process_round)
        is_finished = False
        for _ in range(MAX_PROCESSES_WITH_FAULTS):
            if is_finished := self._is_finished(self._process(resume=scenario.finish_by_resume)):
                break
        # From now on, there are no faults, but the list still lags; the last process runs the whole file.
        workspace.sandbox.set_faults(replace(scenario.faults, rules=(), rate_limit=0))
        for _ in range(MAX_PROCESSES):
            if is_finished:
                break
            is_finished = self._is_finished(self._process(resume=scenario.finish_by_resume, first=False))
        assert is_finished, f"not finished after {MAX_PROCESSES} processes without faults"
        self._check_end(self._process(first=False))
        if scenario.second_folder:
            self._run_second_folder()

    def _run_second_folder(self) -> None:
        """Runs with a new output folder create only missing monitors, even if one is killed."""
        wait_until(self._all_visible)  # a new folder has no records by which it could detect that the list lags
        if self._scenario.second_kill >= 0:
            self._round(Round(requests=self._scenario.second_kill), "--output", SECOND)
        result = self._process("--output", SECOND, first=False)
        for _ in range(MAX_PROCESSES):
            if self._is_finished(result):
                break
            result = self._process("--output", SECOND, first=False)
        self._check_end(result, "--output", SECOND)

    # ── processes ─────────────────────────────────────────────────────────────────────────────────────────

    def _arguments(self, *more: str, resume: bool, first: bool) -> list[str]:
        command = ["resume"] if resume else ["run", FILE]
        rows = ["--first", str(self._scenario.first)] if first and self._scenario.first else []
        formats = [word for suffix in self._scenario.formats for word in ("--results", f"{STEM}.{suffix}")]
        return [*command, "--json", *formats, *rows, *more]

    def _round(self, process_round: Round, *more: str) -> None:
        begin = len(self._workspace.requests)
        crash_point = CrashPoint(step=process_round.step) if process_round.step else None
        process = self._workspace.start(
            *self._arguments(*more, resume=process_round.resume, first=True), on_start=crash_point
        )
        if crash_point is not None:
            self._check(process.wait(), resume=process_round.resume)
            return
        process.wait_until(lambda: len(self._workspace.requests) >= begin + process_round.requests)
        process.wait_until(lambda: False, process_round.milliseconds / 1000)
        for signal_number in SIGNALS[process_round.end]:
            process.send_signal(signal_number)
        self._check(process.wait(), resume=process_round.resume)

    def _process(self, *more: str, resume: bool = False, first: bool = True) -> ProcessResult:
        result = self._workspace.run(*self._arguments(*more, resume=resume, first=first))
        return self._check(result, resume=resume)

    def _is_finished(self, result: ProcessResult) -> bool:
        """True if another process cannot finish any more rows."""
        if result.exit_code == ExitCode.USAGE:
            return True  # nothing to resume
        if result.exit_code not in (ExitCode.DONE, ExitCode.ROWS_LEFT):
            return False
        rows = self._rows()
        before, self._unknown = self._unknown, {row["source_row"] for row in rows if row["status"] == "unknown"}
        if any(row["status"] in RUN_AGAIN and row["status"] != "unknown" for row in rows):
            return False
        if not self._unknown or len(rows) != len(self._scenario.rows) or self._unknown != before:
            return not self._unknown
        # Another process cannot assign ambiguous monitors either; others are settled as soon as enough time has passed.
        return {
            source.monitor for row, source in self._valid_rows() if row["status"] == "unknown"
        } <= self._may_be_unknown

    def _rows(self) -> list[dict[str, Any]]:
        with (self._folder / RESULTS).open(encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]

    # ── guarantees ─────────────────────────────────────────────────────────────────────────────────────────

    def _check(self, result: ProcessResult, *, resume: bool) -> ProcessResult:
        """Check what must hold after each process, however it ended."""
        assert "Traceback" not in result.stderr, result.stderr
        self._check_account()
        if result.was_killed:
            if (self._folder / RESULTS).exists():
                assert len(self._rows()) in (1, len(self._scenario.rows)), "incomplete results file"
            return result
        assert result.exit_code in (*ExitCode,), result
        if result.exit_code == ExitCode.USAGE:
            assert resume, result.stderr
            assert any(message in result.stderr for message in NOTHING_TO_RESUME), result.stderr
            return result
        if result.exit_code in GRACEFUL and not result.stdout:
            return result  # ended before there was a run
        self._check_report(result, resume=resume)
        return result

    def _check_account(self) -> None:
        """No monitor exists twice, none is unexpected, and none that existed before was requested again."""
        names = Counter(str(monitor["name"]) for monitor in self._workspace.sandbox.monitors())
        twice = [name for name, count in names.items() if count > 1]
        assert not twice, f"created twice: {twice}"
        requested = {self._name_of(monitor) for monitor in [*self._scenario.requested, self._warm_up_monitor]}
        existing = {self._name_of(existing.monitor) for existing in self._scenario.existing}
        existing |= set(map(name_of, self._bystanders))
        assert names.keys() <= requested | existing, f"unexpected: {names.keys() - requested - existing}"
        assert existing <= names.keys(), f"lost: {existing - names.keys()}"
        sent = {entry["name"] for entry in self._workspace.requests[self._begin :] if entry["operation"] == "create"}
        assert not sent & existing, f"requested although they existed: {sent & existing}"

    def _check_report(self, result: ProcessResult, *, resume: bool) -> None:
        """Each row appears once and in order, with the ID of its own monitor; counts and statuses match the account."""
        scenario, rows = self._scenario, self._rows()
        outcome = result.json()
        assert rows == [] or rows[0]["run_id"] == outcome["run_id"], "the results are those of another run"
        if rows and len(rows) != len(scenario.rows):
            assert [row["row"]["name"] for row in rows] == [
                self._name_of(self._warm_up_monitor)
            ]  # the warm-up was resumed
            return
        assert [row["source_row"] for row in rows] == list(range(2, len(scenario.rows) + 2))
        assert outcome["rows"] == len(rows)
        assert outcome["counts"] == dict(Counter(row["status"] for row in rows))
        assert outcome["exit_code"] == result.exit_code
        account = {str(monitor["id"]): monitor for monitor in self._workspace.sandbox.monitors()}
        names = {monitor["name"] for monitor in account.values()}
        for row, source, expected in zip(rows, scenario.rows, scenario.expected(), strict=True):
            name, status = self._name_of(source.monitor), row["status"]
            assert row["row"]["name"].strip() == name, row
            assert (status in ("invalid", "duplicate")) == (expected != "valid"), row
            assert expected == "valid" or status == expected, row
            if status in ("created", "updated", "exists"):
                assert row["monitor_id"], row
            if row["monitor_id"]:
                monitor = account[row["monitor_id"]]
                is_own = (monitor["type"], monitor["name"]) == (self._body_of(source.monitor)[0], name)
                assert is_own or self._is_ambiguous(row, source), row
            if status in ("rejected", "failed") and not resume:  # a later run may have created it
                assert row["monitor_id"] or name not in names, row  # with an ID, an update was refused

    def _check_end(self, result: ProcessResult, *more: str) -> None:
        """After the last process, the account matches the valid rows, except for ambiguous monitors."""
        unknown = {source.monitor for row, source in self._valid_rows() if row["status"] == "unknown"}
        assert unknown <= self._may_be_unknown, f"unknown for no reason: {unknown - self._may_be_unknown}"
        ambiguous = {source.monitor for row, source in self._valid_rows() if self._is_ambiguous(row, source)}
        is_done = all(expected == "valid" for expected in self._scenario.expected()) and not unknown
        assert result.exit_code == (ExitCode.DONE if is_done else ExitCode.ROWS_LEFT), result
        account = {str(monitor["name"]): monitor for monitor in self._workspace.sandbox.monitors()}
        for monitor in self._scenario.requested:
            monitor_type, body = self._body_of(monitor)
            if monitor in ambiguous:
                continue
            actual = account[self._name_of(monitor)]
            differs = any(existing.differs and existing.monitor == monitor for existing in self._scenario.existing)
            if differs and self._scenario.on_existing == "skip":
                body["interval"] = OTHER_INTERVAL
            assert actual["type"] == monitor_type
            assert {field: actual[field] for field in body} == body
        again = self._process(*more, first=False)
        statuses = {"exists", "invalid", "duplicate"} | ({"unknown"} if unknown else set())
        faults = self._scenario.faults
        looks_edited = any(way.startswith(LOOKS_EDITED) for way in faults.shows)
        is_unlisted = bool(faults.shows and faults.visible_after)  # it is read alone, which teaches no way of showing
        if self._scenario.on_existing == "update" and (looks_edited or is_unlisted):
            statuses.add("updated")  # a single monitor may have been edited by a user, so it is updated
        assert set(again.json()["counts"]) <= statuses, again
        assert {source.monitor for row, source in self._valid_rows() if row["status"] == "unknown"} == unknown, again

    def _is_ambiguous(self, row: dict[str, Any], source: ScenarioRow) -> bool:
        """True if the row reports that its monitor is ambiguous, and it is."""
        is_reported = row["status"] == "unknown" or row["error"].startswith(f"Matched to monitor {row['monitor_id']}")
        return is_reported and source.monitor in self._may_be_unknown

    def _valid_rows(self) -> Iterable[tuple[dict[str, Any], ScenarioRow]]:
        rows = zip(self._rows(), self._scenario.rows, self._scenario.expected(), strict=True)
        return ((row, source) for row, source, expected in rows if expected == "valid")

    def _name_of(self, monitor: int) -> str:
        return name_of(monitor, unusual_names=self._scenario.unusual_names)

    def _body_of(self, monitor: int, interval: int = INTERVAL) -> tuple[str, dict[str, object]]:
        return body_of(monitor, interval, unusual_names=self._scenario.unusual_names)

    def _create(self, monitor: int, interval: int) -> None:
        """Create a monitor through the API, as another user would."""
        monitor_type, body = self._body_of(monitor, interval)
        token = _request(self._workspace, "/access-tokens", USER)["access_token"]
        _request(self._workspace, f"/monitors/{monitor_type}", body, token)

    def _all_visible(self) -> bool:
        self._workspace.read_log()  # a full pipe would block the sandbox
        token = _request(self._workspace, "/access-tokens", USER)["access_token"]
        last = len(self._workspace.sandbox.monitors()) - 1
        return last < 0 or bool(_request(self._workspace, f"/monitors?offset={last}", token=token)["results"])


def _ambiguous_monitors(scenario: Scenario, others: Iterable[int]) -> set[int]:
    """The monitors that are displayed like another monitor of the account, or without a name or a hostname.

    If the response to their create was lost, they cannot be assigned to a row with certainty.
    """
    show = shown_by(scenario.faults.shows) or dict
    monitors = {*scenario.requested, *(existing.monitor for existing in scenario.existing), *others}
    shown: dict[int, dict[str, object]] = {}
    for monitor in monitors:
        monitor_type, body = body_of(monitor, unusual_names=scenario.unusual_names)
        port = {} if monitor_type == "email-round-trip" else {"port": ""}
        shown[monitor] = show({**port, **body, "type": monitor_type})
    hidden = {
        monitor
        for monitor, fields in shown.items()
        if fields["name"] is None or any(field in fields and fields[field] is None for field in HOSTS)
    }
    return hidden | {
        a
        for a in monitors
        for b in monitors - {a}
        if all(shown[a].get(field) == shown[b].get(field) for field in ("type", "name", *HOSTS))
        and (shown[a].get("port") == shown[b].get("port") or not all(shown[n].get("port") for n in (a, b)))
    }


def _request(workspace: Workspace, path: str, body: object = None, token: str = "") -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(workspace.sandbox.base_url + path, data, headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)
