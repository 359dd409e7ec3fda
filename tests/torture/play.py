"""Plays a scenario: rounds of processes that end at their moments, then processes until nothing is left to do.

In: a scenario. Out: nothing; every promise is checked after every process, and a broken one is an `AssertionError`
that ends with the scenario as JSON.
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
from tests.support.sandbox_caller import USER
from tests.support.waiting import wait_until
from tests.torture.points import Fuse
from tests.torture.program import Ended, Place, place
from tests.torture.scenario import INTERVAL, OTHER_INTERVAL, PLAN, Line, Round, Scenario, body_of, name_of

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
NOTHING_TO_RESUME = ("There are no runs", "There is no run to resume", "run the file again")
FILE, WARM, STEM = "hosts.csv", "warm.csv", "results"
RESULTS = f"{STEM}.jsonl"
SECOND = "second"  # the output folder that knows nothing of the account
BYSTANDERS = (1_000, 1_004, 1_008)  # monitors of others, so that it can be seen that all names are in one letter case
ONE_CASE = ("upper-names", "lower-names")
LIKE_A_HAND = (*ONE_CASE, "cut", "no-ports", "empty-ports", "null-ports")  # what a person may have changed as well
HOSTS = ("hostname", "smtp_hostname", "pop3_hostname")


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
        others = (self._warm,) if scenario.warm else ()
        self._may_be_unknown = _not_told_apart(scenario, others)
        self._unknown: set[int] = set()  # rows, after the last process
        self._bystanders = BYSTANDERS if {*ONE_CASE} & {*scenario.faults.shows} else ()

    def play(self) -> None:
        """The whole play."""
        scenario, where = self._scenario, self._where
        (self._folder / FILE).write_text(scenario.csv(), "utf-8")
        warm = replace(scenario, lines=(replace(scenario.lines[0], monitor=self._warm, spelling="plain", bad=False),))
        (self._folder / WARM).write_text(warm.csv(), "utf-8")
        where.sandbox.set_faults(Faults(shows=scenario.faults.shows))
        for monitor in self._bystanders:
            self._create(monitor, INTERVAL)
        if scenario.warm:
            made = where.run("run", WARM)
            assert made.exit_code == ExitCode.DONE, made
        for there in scenario.there:
            self._create(there.monitor, OTHER_INTERVAL if there.differs else INTERVAL)
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
        if scenario.second_folder:
            self._play_second()

    def _play_second(self) -> None:
        """A folder that knows nothing of the account creates only what is not there, whenever it is killed."""
        wait_until(self._all_visible)  # such a folder cannot know that the list lags
        if self._scenario.second_kill >= 0:
            self._round(Round(requests=self._scenario.second_kill), "--output", SECOND)
        ended = self._process("--output", SECOND, first=False)
        for _ in range(TRUSTED_ROUNDS):
            if self._finished(ended):
                break
            ended = self._process("--output", SECOND, first=False)
        self._check_end(ended, "--output", SECOND)

    # ── processes ─────────────────────────────────────────────────────────────────────────────────────────

    def _arguments(self, *more: str, resume: bool, first: bool) -> list[str]:
        what = ["resume"] if resume else ["run", FILE]
        rows = ["--first", str(self._scenario.first)] if first and self._scenario.first else []
        formats = [word for suffix in self._scenario.formats for word in ("--results", f"{STEM}.{suffix}")]
        return [*what, "--json", *formats, *rows, *more]

    def _round(self, turn: Round, *more: str) -> None:
        begin = len(self._where.seen)
        fuse = Fuse(at=turn.step) if turn.step else None
        process = self._where.start(*self._arguments(*more, resume=turn.resume, first=True), entered=fuse)
        if fuse is not None:
            self._check(process.end(), resume=turn.resume)
            return
        process.until(lambda: len(self._where.seen) >= begin + turn.requests)
        process.until(lambda: False, turn.milliseconds / 1000)
        for number in SIGNALS[turn.end]:
            process.signal(number)
        self._check(process.end(), resume=turn.resume)

    def _process(self, *more: str, resume: bool = False, first: bool = True) -> Ended:
        ended = self._where.run(*self._arguments(*more, resume=resume, first=first))
        return self._check(ended, resume=resume)

    def _finished(self, ended: Ended) -> bool:
        """True if no row is left that another process can finish."""
        if ended.exit_code == ExitCode.USAGE:
            return True  # nothing to resume
        if ended.exit_code not in (ExitCode.DONE, ExitCode.ROWS_LEFT):
            return False
        rows = self._rows()
        before, self._unknown = self._unknown, {row["source_row"] for row in rows if row["status"] == "unknown"}
        if any(row["status"] in RUN_AGAIN and row["status"] != "unknown" for row in rows):
            return False
        # Where it cannot be told whose a monitor is, another process knows no better.
        lasting = self._may_be_unknown and len(rows) == len(self._scenario.lines) and self._unknown == before
        return not self._unknown or bool(lasting)

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
        self._check_report(ended, resume=resume)
        return ended

    def _check_account(self) -> None:
        """No monitor twice, none that nobody asked for, and no request for one that was there."""
        names = Counter(str(monitor["name"]) for monitor in self._where.sandbox.monitors())
        twice = [name for name, number in names.items() if number > 1]
        assert not twice, f"made twice: {twice}"
        asked = {self._name_of(monitor) for monitor in [*self._scenario.wanted, self._warm]}
        there = {self._name_of(there.monitor) for there in self._scenario.there} | set(map(name_of, self._bystanders))
        assert names.keys() <= asked | there, f"nobody asked for {names.keys() - asked - there}"
        assert there <= names.keys(), f"lost: {there - names.keys()}"
        sent = {entry["name"] for entry in self._where.seen[self._begin :] if entry["operation"] == "create"}
        assert not sent & there, f"sent, but there: {sent & there}"

    def _check_report(self, ended: Ended, *, resume: bool) -> None:
        """Every row once, in order; each ID is its row's; counts add up; what is said is true of the account."""
        scenario, rows = self._scenario, self._rows()
        outcome = ended.json()
        assert rows == [] or rows[0]["run_id"] == outcome["run_id"], "the report is not this run's"
        if rows and len(rows) != len(scenario.lines):
            assert [row["row"]["name"] for row in rows] == [self._name_of(self._warm)]  # the warm-up was resumed
            return
        assert [row["source_row"] for row in rows] == list(range(2, len(scenario.lines) + 2))
        assert outcome["rows"] == len(rows)
        assert outcome["counts"] == dict(Counter(row["status"] for row in rows))
        assert outcome["exit_code"] == ended.exit_code
        account = {str(monitor["id"]): monitor for monitor in self._where.sandbox.monitors()}
        names = {monitor["name"] for monitor in account.values()}
        for row, line, kind in zip(rows, scenario.lines, scenario.expected(), strict=True):
            words, name, status = f"{row}", self._name_of(line.monitor), row["status"]
            assert row["row"]["name"].strip() == name, words
            assert (status in ("invalid", "duplicate")) == (kind != "good"), words
            assert kind == "good" or status == kind, words
            if status in ("created", "updated", "exists"):
                assert row["monitor_id"], words
            if row["monitor_id"]:
                monitor = account[row["monitor_id"]]
                is_own = (monitor["type"], monitor["name"]) == (self._body_of(line.monitor)[0], name)
                assert is_own or self._is_untold(row, line), words
            if (
                status in ("rejected", "failed") and not resume
            ):  # what an older run was refused, a newer one may have got
                assert name not in names, words

    def _check_end(self, ended: Ended, *more: str) -> None:
        """After the last process the account holds exactly what the good lines say, but for what cannot be told."""
        unknown = {line.monitor for row, line in self._good_rows() if row["status"] == "unknown"}
        assert unknown <= self._may_be_unknown, f"unknown for no reason: {unknown - self._may_be_unknown}"
        untold = {line.monitor for row, line in self._good_rows() if self._is_untold(row, line)}
        good = all(kind == "good" for kind in self._scenario.expected()) and not unknown
        assert ended.exit_code == (ExitCode.DONE if good else ExitCode.ROWS_LEFT), ended
        account = {str(monitor["name"]): monitor for monitor in self._where.sandbox.monitors()}
        for monitor in self._scenario.wanted:
            kind, body = self._body_of(monitor)
            if monitor in untold:
                continue
            found = account[self._name_of(monitor)]
            differs = any(there.differs and there.monitor == monitor for there in self._scenario.there)
            if differs and self._scenario.on_existing == "skip":
                body["interval"] = OTHER_INTERVAL
            assert found["type"] == kind
            assert {field: found[field] for field in body} == body
        again = self._process(*more, first=False)
        expected = {"exists", "invalid", "duplicate"} | ({"unknown"} if unknown else set())
        if self._scenario.on_existing == "update" and any(
            way.startswith(LIKE_A_HAND) for way in self._scenario.faults.shows
        ):
            expected.add("updated")  # one monitor alone may have been changed by somebody, so it is changed back
        assert set(again.json()["counts"]) <= expected, again
        assert {line.monitor for row, line in self._good_rows() if row["status"] == "unknown"} == unknown, again

    def _is_untold(self, row: dict[str, Any], line: Line) -> bool:
        """True if a row says that nobody can tell, and that is so; of one that has a monitor, which one it is."""
        said = row["status"] == "unknown" or row["error"].startswith(f"Matched to monitor {row['monitor_id']}")
        return said and line.monitor in self._may_be_unknown

    def _good_rows(self) -> Iterable[tuple[dict[str, Any], Line]]:
        lines = zip(self._rows(), self._scenario.lines, self._scenario.expected(), strict=True)
        return ((row, line) for row, line, kind in lines if kind == "good")

    def _name_of(self, monitor: int) -> str:
        return name_of(monitor, odd=self._scenario.odd)

    def _body_of(self, monitor: int, interval: int = INTERVAL) -> tuple[str, dict[str, object]]:
        return body_of(monitor, interval, odd=self._scenario.odd)

    def _create(self, monitor: int, interval: int) -> None:
        """Make a monitor by hand."""
        kind, body = self._body_of(monitor, interval)
        token = _ask(self._where, "/access-tokens", USER)["access_token"]
        _ask(self._where, f"/monitors/{kind}", body, token)

    def _all_visible(self) -> bool:
        self._where.read_log()  # or the stand-in stops when nobody takes its log
        token = _ask(self._where, "/access-tokens", USER)["access_token"]
        last = len(self._where.sandbox.monitors()) - 1
        return last < 0 or bool(_ask(self._where, f"/monitors?offset={last}", token=token)["results"])


def _not_told_apart(scenario: Scenario, others: Iterable[int]) -> set[int]:
    """The monitors that are shown so that each may be another one of the account, as it is in the end.

    Or without a name or a host, so that too little is left to call one the row's own whose answer was lost.
    """
    show = shown_by(scenario.faults.shows) or dict
    monitors = {*scenario.wanted, *(there.monitor for there in scenario.there), *others}
    shown: dict[int, dict[str, object]] = {}
    for monitor in monitors:
        kind, body = body_of(monitor, odd=scenario.odd)
        port = {} if kind == "email-round-trip" else {"port": ""}
        shown[monitor] = show({**port, **body, "type": kind})
    hidden = {
        monitor
        for monitor, fields in shown.items()
        if fields["name"] is None or any(field in fields and fields[field] is None for field in HOSTS)
    }
    return hidden | {
        one
        for one in monitors
        for other in monitors - {one}
        if all(shown[one].get(field) == shown[other].get(field) for field in ("type", "name", *HOSTS))
        and (shown[one].get("port") == shown[other].get("port") or not all(shown[n].get("port") for n in (one, other)))
    }


def _ask(where: Place, path: str, body: object = None, token: str = "") -> Any:
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    data = json.dumps(body).encode() if body else None
    request = urllib.request.Request(where.sandbox.base_url + path, data, headers)
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


__all__ = ["PLAN", "play"]
