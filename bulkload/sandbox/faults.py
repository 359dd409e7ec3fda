"""What goes wrong, as plain data: a `Faults` is drawn up by people, command lines or tests, and is the same as JSON.

Nothing here acts. `schedule` decides which rule strikes a request, `server` lets it strike.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from bulkload.sandbox import alterations

Operation = Literal["login", "list", "get", "create", "patch", "delete"]
OPERATIONS: tuple[Operation, ...] = ("login", "list", "get", "create", "patch", "delete")
WITH_TOKEN: tuple[Operation, ...] = ("list", "get", "create", "patch", "delete")

Moment = Literal["before", "after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultKind:
    """One way to go wrong."""

    about: str  # one line for help texts
    moment: Moment  # before: the request is not carried out; after: it is, and its answer suffers
    on: tuple[Operation, ...] = ("create",)  # what it strikes unless the rule says otherwise
    fits: tuple[Operation, ...] = OPERATIONS  # what it can strike at all
    seconds: float = 0.0  # the rule's `seconds` unless it says otherwise
    status: int = 0  # the rule's `status` unless it says otherwise; 0: the fault has none


KINDS: Mapping[str, FaultKind] = {
    "throttle": FaultKind(about="429 out of turn", moment="before", on=OPERATIONS, seconds=1.0, status=429),
    "request-timeout": FaultKind(about="408, not carried out", moment="before", status=408),
    "timeout-after": FaultKind(about="408, but carried out", moment="after", status=408),
    "error-before": FaultKind(about="5xx, not carried out", moment="before", status=500),
    "error-after": FaultKind(about="5xx, but carried out", moment="after", status=500),
    "error-auth-before": FaultKind(
        about="5xx with the words of a refused login, not carried out", moment="before", status=500
    ),
    "error-auth-after": FaultKind(
        about="5xx with the words of a refused login, but carried out", moment="after", status=500
    ),
    "drop-before": FaultKind(about="connection closed without an answer, not carried out", moment="before"),
    "drop-after": FaultKind(about="connection closed without an answer, but carried out", moment="after"),
    "reset-before": FaultKind(about="connection reset, not carried out", moment="before"),
    "reset-after": FaultKind(about="connection reset, but carried out", moment="after"),
    "cut": FaultKind(about="connection closed in the middle of the answer, carried out", moment="after"),
    "stall-before": FaultKind(about="never answers, not carried out", moment="before"),
    "stall-after": FaultKind(about="never answers, but carried out", moment="after"),
    "slow": FaultKind(about="carried out at once, answered after `seconds`", moment="after", seconds=1.0),
    "page-before": FaultKind(about="a gateway's HTML page, not carried out", moment="before", status=502),
    "page-after": FaultKind(about="a gateway's HTML page, but carried out", moment="after", status=502),
    "redirect": FaultKind(about="302 to a login page, not carried out", moment="before", status=302),
    "late": FaultKind(
        about="504 now, created `seconds` later", moment="before", fits=("create",), seconds=1.0, status=504
    ),
    "lag": FaultKind(about="visible only after `seconds`", moment="after", fits=("create",), seconds=1.0),
    "no-id": FaultKind(about="200 without an id, carried out", moment="after", fits=("create", "patch"), status=200),
    "create-twice": FaultKind(
        about="created twice, answered once, as if repeated on the way", moment="after", fits=("create",)
    ),
    "garbled": FaultKind(about="200 with half a JSON text, carried out", moment="after", status=200),
    "gzip-bomb": FaultKind(about="200 with 2 GiB in a small gzip body, carried out", moment="after", status=200),
    "endless": FaultKind(about="200 with a body that never ends, not carried out", moment="before", status=200),
    "token-401": FaultKind(about="the token expires: 401", moment="before", on=WITH_TOKEN, fits=WITH_TOKEN, status=401),
    "token-400": FaultKind(
        about="the token expires: 400 with the text that the docs show",
        moment="before",
        on=WITH_TOKEN,
        fits=WITH_TOKEN,
        status=400,
    ),
    "plan-full": FaultKind(about="the plan has no free monitor", moment="before", fits=("create",)),
    "echo-refusal": FaultKind(about="400 that repeats the name sent", moment="before", fits=("create",), status=400),
    "surrogate": FaultKind(
        about="400 with half a character in its words", moment="before", fits=("create",), status=400
    ),
    "wrong-role": FaultKind(
        about="403, the role may not write",
        moment="before",
        on=("create", "patch", "delete"),
        fits=WITH_TOKEN,
        status=403,
    ),
    "login-refused": FaultKind(about="user or password refused", moment="before", on=("login",), fits=("login",)),
    "list-empty": FaultKind(about="an empty list", moment="after", on=("list",), fits=("list",)),
    "list-shrunk": FaultKind(about="only the older half of the list", moment="after", on=("list",), fits=("list",)),
    "list-shape": FaultKind(about="a list in an unknown shape", moment="after", on=("list",), fits=("list",)),
    "list-repeat": FaultKind(about="every id given twice", moment="after", on=("list",), fits=("list",)),
    "list-strings": FaultKind(about="numbers as strings", moment="after", on=("list",), fits=("list",)),
    "page-gap": FaultKind(
        about="a page after the first begins one monitor too late, as after a delete",
        moment="after",
        on=("list",),
        fits=("list",),
    ),
    "endless-list": FaultKind(
        about="every page full of made-up monitors", moment="after", on=("list",), fits=("list",)
    ),
}


_SHORT = re.compile(
    r"(?:(?P<on>[a-z]+):)?(?P<name>[a-z0-9-]+)"
    r"(?:=(?P<probability>[0-9]*\.?[0-9]+)|@(?P<at>[0-9]+(?:,[0-9]+)*)|/(?P<every>[0-9]+))?"
)
_NOTHING_ELSE = {"extra": "forbid"}  # read by pydantic: a misspelt field is an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One fault and when it strikes: when all of its conditions hold; a condition left out always holds."""

    __pydantic_config__ = _NOTHING_ELSE

    fault: str
    on: tuple[Operation, ...] = ()  # left out: what the kind says
    probability: float = 1.0
    at: tuple[int, ...] = ()  # the n-th requests of one operation, counted from 1
    every: int = 0  # each n-th request of one operation
    names: tuple[str, ...] = ()  # creates of monitors with these names
    attempts: int = 0  # only the first n tries of the same thing
    times: int = 0  # at most so often; the one condition that depends on the order of requests
    seconds: float | None = None  # left out: what the kind says
    status: int | None = None  # left out: what the kind says

    def __post_init__(self) -> None:
        kind = KINDS.get(self.fault)
        if kind is None:
            raise ValueError(f"There is no fault {self.fault!r}; there are {', '.join(KINDS)}.")
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"The probability of {self.fault} is {self.probability}; 0 to 1 is allowed.")
        if wrong := [operation for operation in self.on if operation not in kind.fits]:
            raise ValueError(f"{self.fault} cannot strike {', '.join(wrong)}; it can strike {', '.join(kind.fits)}.")
        if min(self.every, self.attempts, self.times, self.seconds or 0.0) < 0 or min(self.at, default=1) < 1:
            raise ValueError(f"A number of {self.fault} is below what is allowed: counts start at 1, times at 0.")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"The status of {self.fault} is {self.status}; 200 to 599 is allowed.")

    @property
    def kind(self) -> FaultKind:
        """The fault's entry in the table."""
        return KINDS[self.fault]

    @property
    def strikes(self) -> tuple[Operation, ...]:
        """The operations that the rule is about."""
        return self.on or self.kind.on

    @property
    def wait(self) -> float:
        """How many seconds the fault is about."""
        return self.kind.seconds if self.seconds is None else self.seconds

    @property
    def answer(self) -> int:
        """The HTTP status that the fault is about; 0 when it has none."""
        return self.kind.status if self.status is None else self.status

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read `[OPERATION:]NAME` with `=PROBABILITY`, `@N,N…` (exactly those) or `/N` (each n-th) behind it."""
        found = _SHORT.fullmatch(text.strip())
        if found is None:
            raise ValueError(
                f"{text!r} is not a fault; NAME=PROBABILITY, NAME@7,9 or NAME/50 is allowed,"
                " with OPERATION: in front if wanted."
            )
        if found["on"] and found["on"] not in OPERATIONS:
            raise ValueError(f"There is no operation {found['on']!r}; there are {', '.join(OPERATIONS)}.")
        return cls(
            fault=found["name"],
            on=tuple(operation for operation in OPERATIONS if operation == found["on"]),
            probability=float(found["probability"] or 1),
            at=tuple(int(number) for number in (found["at"] or "").split(",") if number),
            every=int(found["every"] or 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Everything that goes wrong; the default is nothing."""

    __pydantic_config__ = _NOTHING_ELSE

    seed: int = 0
    rules: tuple[Rule, ...] = ()  # the first that strikes wins
    rate_limit: int = 0  # requests in any window, logins too; 0: no limit
    rate_window: float = 1.0  # seconds
    retry_after: Literal["seconds", "date", "none"] = "seconds"
    retry_after_seconds: int = 0  # what a 429 asks for; 0: the time until there is room
    visible_after: float = 0.0  # seconds until a new monitor is in the list, in order of creation
    hide_single: bool = False  # GET by id does not show it before that either
    shows: tuple[str, ...] = ()  # how monitors are shown otherwise than they were sent, in this order; see `showing`

    def __post_init__(self) -> None:
        if min(self.rate_limit, self.retry_after_seconds, self.visible_after) < 0 or self.rate_window <= 0:
            raise ValueError("Limits and times of faults cannot be negative, and the window must be above 0.")
        for way in self.shows:
            alterations.parse(way)

    def to_json(self) -> str:
        """The same faults as a JSON text."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> Faults:
        """Read faults from a JSON text; ValueError says in one sentence what is wrong."""
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the text"
            message = first["msg"].removeprefix("Value error, ").rstrip(".")
            raise ValueError(f"The faults are not readable at {where}: {message}.") from None
