"""A scenario: a file, an account, what goes wrong, and when processes die. Plain data, the same as JSON.

Nothing here acts. Monitors are numbered from 0; a line of the file asks for one of them in some spelling, or is bad.
How the account shows its monitors otherwise is part of the faults, and stays after all others have ended. Times keep
what design and stand-in assume: a late create lands within `grace`, a list lags less than `after`.
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
INTERVAL = 15  # minutes, what every line asks for
OTHER_INTERVAL = 60  # minutes, what a monitor has that was there before and differs
ODD_NAMES = (  # what accounts may show otherwise; two round trips differ behind the 50th character only
    "m0",
    "m1  & <b>",
    "m2 Ünï 🟢",
    f"round trip {'x' * 45} m3",
    "m4 UPPER lower",
    "ﬁve m5 & é",
    "m6 東京",
    f"round trip {'x' * 45} m7",
)
ODD_PORT = 2993  # of monitor 4, on the host of monitor 0

Spelling = Literal["plain", "shouted", "dotted", "ported", "spaced"]
SPELLINGS: tuple[Spelling, ...] = ("plain", "shouted", "dotted", "ported", "spaced")
End = Literal["kill", "term", "int", "int-int"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the file."""

    monitor: int
    spelling: Spelling = "plain"
    bad: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """A monitor that somebody made by hand before."""

    monitor: int
    differs: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One process and how it is ended."""

    resume: bool = False  # instead of running the file
    requests: int = 0  # it is ended after so many requests of its own …
    milliseconds: int = 0  # … and so much time
    step: int = 0  # instead: right before its n-th durable step, see `points`
    end: End = "kill"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Everything that makes one play."""

    lines: tuple[Line, ...]
    there: tuple[There, ...] = ()
    faults: Faults = NO_FAULTS
    rounds: tuple[Round, ...] = ()
    finish_by_resume: bool = False
    rate: str = "unlimited"
    concurrency: int = 4
    on_existing: Literal["skip", "update"] = "skip"
    first: int = 0  # 0: all
    page_size: int = 0  # 0: no pages
    grace: float = 0.5  # seconds
    after: float = 1.2  # seconds
    timeout: float = 3.0  # seconds
    warm: bool = True  # the store knows the account already, so that an empty list can be told from an empty account
    formats: tuple[str, ...] = ("jsonl",)
    odd: bool = False  # names that accounts may show otherwise, and two monitors of one host
    second_folder: bool = False  # in the end a folder that knows nothing of the account runs the file
    second_kill: int = -1  # its first process is killed after so many requests; -1: none is

    def to_json(self) -> str:
        """The scenario as text that `from_json` reads; what is usual is left out."""
        usual = asdict(Scenario(lines=()))
        found = {name: value for name, value in asdict(self).items() if value != usual[name]}
        found["faults"] = _unusual(asdict(self.faults), asdict(Faults()))
        return json.dumps(found, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Scenario:
        """Read a scenario."""
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_json(text)

    @property
    def environment(self) -> dict[str, str]:
        """The settings of its processes."""
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
    def wanted(self) -> list[int]:
        """The monitors that good lines ask for, in order."""
        return list(dict.fromkeys(line.monitor for line in self.lines if not line.bad))

    def csv(self) -> str:
        """The file."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(HEADER)
        writer.writerows(_cells(line, odd=self.odd) for line in self.lines)
        return text.getvalue()

    def expected(self) -> Iterator[Literal["invalid", "duplicate", "good"]]:
        """What each line is, if nothing goes wrong."""
        seen = set()
        for line in self.lines:
            yield "invalid" if line.bad else "duplicate" if line.monitor in seen else "good"
            if not line.bad:
                seen.add(line.monitor)


def name_of(monitor: int, *, odd: bool = False) -> str:
    """A monitor's name, which tells it apart from all others."""
    return ODD_NAMES[monitor] if odd and monitor < len(ODD_NAMES) else f"m{monitor}"


def place_of(monitor: int, *, odd: bool = False) -> tuple[str, int | None]:
    """A monitor's host and port; None: the type's own. A round trip has others."""
    return ("mx0.example.com", ODD_PORT) if odd and monitor == 4 else (f"mx{monitor}.example.com", None)


def body_of(monitor: int, interval: int = INTERVAL, *, odd: bool = False) -> tuple[str, dict[str, object]]:
    """A monitor's API type and body."""
    kind = TYPES[monitor % len(TYPES)]
    body: dict[str, object] = {"name": name_of(monitor, odd=odd), "billing_plancode": PLAN, "interval": interval}
    if kind == "round-trip":
        body |= {"smtp_hostname": "smtp.example.com", "pop3_hostname": "pop3.example.com", "email": "a@example.com"}
    else:
        host, port = place_of(monitor, odd=odd)
        body |= {"hostname": host} | ({"port": port} if port else {})
    return f"email-{kind}", body


def _cells(line: Line, *, odd: bool) -> list[object]:
    kind = TYPES[line.monitor % len(TYPES)]
    host, number = place_of(line.monitor, odd=odd)
    name, port = name_of(line.monitor, odd=odd), str(number or "")
    ends = ["", "", ""] if kind != "round-trip" else ["smtp.example.com", "pop3.example.com", "a@example.com"]
    match line.spelling:
        case "shouted":
            host, kind = host.upper(), kind.upper()
        case "dotted":
            host += "."
        case "ported":
            port = port or str(PORTS.get(kind, ""))
        case "spaced":
            name = f" {name} "
    if kind.lower() == "round-trip":
        host = ""
    return [kind, name, host, port, PLAN, "never" if line.bad else INTERVAL, *ends]


def _unusual(found: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    rules = [{name: value for name, value in rule.items() if value} for rule in found["rules"]]
    return {name: value for name, value in found.items() if value != usual[name] and name != "rules"} | {"rules": rules}
