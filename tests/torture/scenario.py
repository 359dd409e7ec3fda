"""Describes a scenario: an input file, an account, its faults, and the moments at which processes are killed.

In: JSON or keyword arguments. Out: plain data, the input file and the expected results. Monitors are numbered from 0;
each row of the file describes one of them in some spelling, or is invalid. How the account displays its monitors is
part of the faults, and remains when all other faults are removed. The times meet the assumptions of the design:
a late create takes effect within `grace`, and a list lags by less than `after`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bulkload.sandbox import Faults
from bulkload.sandbox.server import NO_FAULTS

HEADER = ("type", "name", "hostname", "port", "billing_plancode", "interval", "smtp_hostname", "pop3_hostname", "email")
TYPES = ("imap", "pop", "smtp", "round-trip")
PORTS = {"imap": 143, "pop": 110, "smtp": 25}
PLAN = "UBM - A/A"
INTERVAL = 15  # minutes, in every valid row
OTHER_INTERVAL = 60  # minutes, of a monitor that existed before and differs
UNUSUAL_NAMES = (  # an account may display them differently; the two round trips differ only after the 50th character
    "m0",
    "m1  & <b>",
    "m2 Ünï 🟢",
    f"round trip {'x' * 45} m3",
    "m4 UPPER lower",
    "ﬁve m5 & é",
    "m6 東京",
    f"round trip {'x' * 45} m7",
)
UNUSUAL_PORT = 2993  # of monitor 4, which has the hostname of monitor 0

Spelling = Literal["plain", "upper-case", "trailing-dot", "explicit-port", "padded"]
SPELLINGS: tuple[Spelling, ...] = ("plain", "upper-case", "trailing-dot", "explicit-port", "padded")
End = Literal["kill", "term", "int", "int-int"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScenarioRow:
    """A row of the input file."""

    monitor: int
    spelling: Spelling = "plain"
    is_invalid: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingMonitor:
    """A monitor that another user created before."""

    monitor: int
    differs: bool = False  # its interval is `OTHER_INTERVAL`


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A process, and when and how it is ended."""

    resume: bool = False  # `resume`, instead of `run`
    requests: int = 0  # end it after this number of requests …
    milliseconds: int = 0  # … and this time
    step: int = 0  # instead, kill it right before this durable step, see `crash_points`
    end: End = "kill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that determines a scenario."""

    rows: tuple[ScenarioRow, ...]
    existing: tuple[ExistingMonitor, ...] = ()
    faults: Faults = NO_FAULTS
    rounds: tuple[Round, ...] = ()
    finish_by_resume: bool = False
    rate: str = "unlimited"
    concurrency: int = 4
    on_existing: Literal["skip", "update"] = "skip"
    first: int = 0  # the value of `--first`; 0: all rows
    page_size: int = 0  # 0: no pages
    grace: float = 0.5  # seconds
    after: float = 1.2  # seconds
    timeout: float = 3.0  # seconds
    warm_up: bool = True  # an earlier run has created a monitor, so an empty list is known to be incomplete
    formats: tuple[str, ...] = ("jsonl",)
    unusual_names: bool = False  # use `UNUSUAL_NAMES`, and two monitors with one hostname
    second_folder: bool = False  # finally, run the file with a new output folder
    second_kill: int = -1  # kill the first process of that folder after this number of requests; -1: do not

    def to_json(self) -> str:
        """The scenario as JSON for `from_json`, without the fields that have their default value."""
        defaults = asdict(Scenario(rows=()))
        fields = {name: value for name, value in asdict(self).items() if value != defaults[name]}
        fields["faults"] = _without_defaults(asdict(self.faults), asdict(Faults()))
        return json.dumps(fields, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Scenario:
        """Decode a scenario."""
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_json(text)

    @property
    def environment(self) -> dict[str, str]:
        """The settings of all processes."""
        return {
            "BULKLOAD_SETTLE_GRACE": str(self.grace),
            "BULKLOAD_SETTLE_AFTER": str(self.after),
            "BULKLOAD_SETTLE_TIMEOUT": str(self.timeout),
            "BULKLOAD_RATE": self.rate,
            "BULKLOAD_CONCURRENCY": str(self.concurrency),
            "BULKLOAD_ON_EXISTING": self.on_existing,
            "BULKLOAD_REQUEST_TIMEOUT": "1",
        }

    @property
    def requested(self) -> list[int]:
        """The monitors of the valid rows, each once, in the order of the file."""
        return list(dict.fromkeys(row.monitor for row in self.rows if not row.is_invalid))

    def csv(self) -> str:
        """The content of the input file."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(HEADER)
        writer.writerows(_cells(row, unusual_names=self.unusual_names) for row in self.rows)
        return text.getvalue()

    def expected(self) -> Iterator[Literal["invalid", "duplicate", "valid"]]:
        """The expected outcome of the check of each row."""
        seen = set()
        for row in self.rows:
            yield "invalid" if row.is_invalid else "duplicate" if row.monitor in seen else "valid"
            if not row.is_invalid:
                seen.add(row.monitor)


def name_of(monitor: int, *, unusual_names: bool = False) -> str:
    """The name of a monitor; no two are the same."""
    return UNUSUAL_NAMES[monitor] if unusual_names and monitor < len(UNUSUAL_NAMES) else f"m{monitor}"


def address_of(monitor: int, *, unusual_names: bool = False) -> tuple[str, int | None]:
    """The hostname and the port of a monitor that is not a round trip; None: the default port of its type."""
    return ("mx0.example.com", UNUSUAL_PORT) if unusual_names and monitor == 4 else (f"mx{monitor}.example.com", None)


def body_of(monitor: int, interval: int = INTERVAL, *, unusual_names: bool = False) -> tuple[str, dict[str, object]]:
    """The type and the body of a monitor in the API."""
    kind = TYPES[monitor % len(TYPES)]
    body: dict[str, object] = {
        "name": name_of(monitor, unusual_names=unusual_names),
        "billing_plancode": PLAN,
        "interval": interval,
    }
    if kind == "round-trip":
        body |= {"smtp_hostname": "smtp.example.com", "pop3_hostname": "pop3.example.com", "email": "a@example.com"}
    else:
        host, port = address_of(monitor, unusual_names=unusual_names)
        body |= {"hostname": host} | ({"port": port} if port else {})
    return f"email-{kind}", body


def _cells(row: ScenarioRow, *, unusual_names: bool) -> list[object]:
    kind = TYPES[row.monitor % len(TYPES)]
    host, own_port = address_of(row.monitor, unusual_names=unusual_names)
    name, port = name_of(row.monitor, unusual_names=unusual_names), str(own_port or "")
    round_trip = ["", "", ""] if kind != "round-trip" else ["smtp.example.com", "pop3.example.com", "a@example.com"]
    match row.spelling:
        case "upper-case":
            host, kind = host.upper(), kind.upper()
        case "trailing-dot":
            host += "."
        case "explicit-port":
            port = port or str(PORTS.get(kind, ""))
        case "padded":
            name = f" {name} "
    if kind.lower() == "round-trip":
        host = ""
    return [kind, name, host, port, PLAN, "never" if row.is_invalid else INTERVAL, *round_trip]


def _without_defaults(faults: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    rules = [{name: value for name, value in rule.items() if value} for rule in faults["rules"]]
    return {name: value for name, value in faults.items() if value != defaults[name] and name != "rules"} | {
        "rules": rules
    }
