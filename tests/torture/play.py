"""Plays a scenario: rounds of processes that end at their moments, then processes until nothing is left to do.

In: a scenario. Out: nothing; every promise is checked after every process, and a broken one is an `AssertionError`
that ends with the scenario as JSON.
"""

from __future__ import annotations

import json
import signal
import urllib.request
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from bulkload.errors import ExitCode

from .points import Fuse
from .program import Ended, Place, place
from .scenario import INTERVAL, OTHER_INTERVAL, PLAN, Round, Scenario, body_of, name_of

SIGNALS = {
    "kill": (signal.SIGKILL,),
    "term": (signal.SIGTERM,),
    "int": (signal.SIGINT,),
    "int-int": (signal.SIGINT,) * 2,
}
GRACEFUL = (ExitCode.INTERRUPTED, ExitCode.TERMINATED)
TRUSTED_ROUNDS = 8  # processes without faults within which everything must be done
WITH_FAULTS = 3  # processes that may try to finish while things still go wrong
RUN_AGAIN = ("unknown", "not_attempted", "failed")
NOTHING_TO_RESUME = ("There are no runs", "There is no run to go on with", "run the file again")
FILE, WARM, STEM = "hosts.csv", "warm.csv", "results"
RESULTS = f"{STEM}.jsonl"


def play(scenario: Scenario, folder: Path) -> None:
    """Play a scenario and check the promises."""
    try:
        options = {"page_size": scenario.page_size or None}
        with place(folder, scenario.environment, options=options) as where:
            _Play(scenario, where).play()
    except AssertionError as error:
        raise AssertionError(f"{error}\n\nThe scenario:\n{scenario.to_json()}") from error


class _Play:
    def __init__(self, scenario: Scenario, where: Place) -> None:
        self._scenario = scenario
        self._where = where
        self._warm = len(scenario.wanted) + max((line.monitor for line in scenario.lines), default=0) + 100
        self._folder = where.folder

    def play(self) -> None:
        """The whole play."""
        scenario, where = self._scenario, self._where
        (self._folder / FILE).write_text(scenario.csv(), "utf-8")
        warm = replace(scenario, lines=(replace(scenario.lines[0], monitor=self._warm, spelling="plain", bad=False),))
        (self._folder / WARM).write_text(warm.csv(), "utf-8")
        if scenario.warm:
            made = where.run("run", WARM)
            assert made.exit_code == ExitCode.DONE, made
        for there in scenario.there:
            _create(where, there.monitor, OTHER_INTERVAL if there.differs else INTERVAL)
        where.read_log()
        self._begin = len(where.seen)
        where.sandbox.set_faults(scenario.faults)
        for turn in scenario.rounds:
            self._round(turn)
        finished = False
        for _ in range(WITH_FAULTS):
            if finished := self._finished(self._process(resume=scenario.finish_by_resume)):
                break
        # The API gets well, but its list goes on to lag; the last word is a run of the whole file.
        where.sandbox.set_faults(replace(scenario.faults, rules=(), rate_limit=0))
        for _ in range(TRUSTED_ROUNDS):
            if finished:
                break
            finished = self._finished(self._process(resume=scenario.finish_by_resume, first=False))
        assert finished, f"not finished after {TRUSTED_ROUNDS} processes without faults"
        self._check_end(self._process(first=False))

    # ── processes ─────────────────────────────────────────────────────────────────────────────────────────

    def _arguments(self, *, resume: bool, first: bool) -> list[str]:
        what = ["resume"] if resume else ["run", FILE]
        rows = ["--first", str(self._scenario.first)] if first and self._scenario.first else []
        formats = [word for suffix in self._scenario.formats for word in ("--results", f"{STEM}.{suffix}")]
        return [*what, "--json", *formats, *rows]

    def _round(self, turn: Round) -> None:
        begin = len(self._where.seen)
        fuse = Fuse(at=turn.step) if turn.step else None
        process = self._where.start(*self._arguments(resume=turn.resume, first=True), entered=fuse)
        if fuse is not None:
            self._check(process.end(), resume=turn.resume)
            return
        process.until(lambda: len(self._where.seen) >= begin + turn.requests)
        process.until(lambda: False, turn.milliseconds / 1000)
        for number in SIGNALS[turn.end]:
            process.signal(number)
        self._check(process.end(), resume=turn.resume)

    def _process(self, *, resume: bool = False, first: bool = True) -> Ended:
        ended = self._where.run(*self._arguments(resume=resume, first=first))
        return self._check(ended, resume=resume)

    def _finished(self, ended: Ended) -> bool:
        if ended.exit_code == ExitCode.USAGE:
            return True  # nothing to resume
        if ended.exit_code not in (ExitCode.DONE, ExitCode.ROWS_LEFT):
            return False
        return not any(row["status"] in RUN_AGAIN for row in self._rows())

    def _rows(self) -> list[dict[str, Any]]:
        with (self._folder / RESULTS).open(encoding="utf-8") as stream:
            return [json.loads(line) for line in stream]

    # ── promises ──────────────────────────────────────────────────────────────────────────────────────────

    def _check(self, ended: Ended, *, resume: bool) -> Ended:
        """What must hold after every process, however it ended."""
        assert "Traceback" not in ended.stderr, ended.stderr
        self._check_account()
        if ended.killed:
            if (self._folder / RESULTS).exists():
                assert len(self._rows()) in (1, len(self._scenario.lines)), "half a report"
            return ended
        assert ended.exit_code in (*ExitCode,), ended
        if ended.exit_code == ExitCode.USAGE:
            assert resume, ended.stderr
            assert any(words in ended.stderr for words in NOTHING_TO_RESUME), ended.stderr
            return ended
        if ended.exit_code in GRACEFUL and not ended.stdout:
            return ended  # ended before there was a run
        self._check_report(ended)
        return ended

    def _check_account(self) -> None:
        """No monitor twice, none that nobody asked for, and no request for one that was there."""
        names = Counter(str(monitor["name"]) for monitor in self._where.sandbox.monitors())
        twice = [name for name, number in names.items() if number > 1]
        assert not twice, f"made twice: {twice}"
        asked = {name_of(monitor) for monitor in [*self._scenario.wanted, self._warm]}
        there = {name_of(there.monitor) for there in self._scenario.there}
        assert names.keys() <= asked | there, f"nobody asked for {names.keys() - asked - there}"
        assert there <= names.keys(), f"lost: {there - names.keys()}"
        sent = {entry["name"] for entry in self._where.seen[self._begin :] if entry["operation"] == "create"}
        assert not sent & there, f"sent, but there: {sent & there}"

    def _check_report(self, ended: Ended) -> None:
        """Every row once, in order; each ID is its row's; counts add up; what is said is true of the account."""
        scenario, rows = self._scenario, self._rows()
        outcome = ended.json()
        assert rows == [] or rows[0]["run_id"] == outcome["run_id"], "the report is not this run's"
        if rows and len(rows) != len(scenario.lines):
            assert [row["row"]["name"] for row in rows] == [name_of(self._warm)]  # the warm-up was resumed
            return
        assert [row["source_row"] for row in rows] == list(range(2, len(scenario.lines) + 2))
        assert outcome["rows"] == len(rows)
        assert outcome["counts"] == dict(Counter(row["status"] for row in rows))
        assert outcome["exit_code"] == ended.exit_code
        account = {str(monitor["id"]): monitor for monitor in self._where.sandbox.monitors()}
        names = {monitor["name"] for monitor in account.values()}
        for row, line, kind in zip(rows, scenario.lines, scenario.expected(), strict=True):
            words, name, status = f"{row}", name_of(line.monitor), row["status"]
            assert row["row"]["name"].strip() == name, words
            assert (status in ("invalid", "duplicate")) == (kind != "good"), words
            assert kind == "good" or status == kind, words
            if status in ("created", "updated", "exists"):
                assert row["monitor_id"], words
            if row["monitor_id"]:
                monitor = account[row["monitor_id"]]
                assert (monitor["type"], monitor["name"]) == (body_of(line.monitor)[0], name), words
            if status in ("rejected", "failed"):
                assert name not in names, words

    def _check_end(self, ended: Ended) -> None:
        """After the last process the account holds exactly what the good lines say."""
        good = all(kind == "good" for kind in self._scenario.expected())
        assert ended.exit_code == (ExitCode.DONE if good else ExitCode.ROWS_LEFT), ended
        account = {str(monitor["name"]): monitor for monitor in self._where.sandbox.monitors()}
        for monitor in self._scenario.wanted:
            kind, body = body_of(monitor)
            found = account[name_of(monitor)]
            differs = any(there.differs and there.monitor == monitor for there in self._scenario.there)
            if differs and self._scenario.on_existing == "skip":
                body["interval"] = OTHER_INTERVAL
            assert found["type"] == kind
            assert {field: found[field] for field in body} == body
        again = self._process(first=False)
        assert set(again.json()["counts"]) <= {"exists", "invalid", "duplicate"}, again


def _create(where: Place, monitor: int, interval: int) -> None:
    """Make a monitor by hand."""
    kind, body = body_of(monitor, interval)
    token = _post(where, "/access-tokens", {"username": "sandbox@example.com", "password": "sandbox"})["access_token"]
    _post(where, f"/monitors/{kind}", body, token)


def _post(where: Place, path: str, body: object, token: str = "") -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(where.sandbox.base_url + path, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


__all__ = ["PLAN", "play"]
