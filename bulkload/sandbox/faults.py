"""The faults of the sandbox, as data.

In: a JSON text, or faults in short form from the command line. Out: `Faults`, which can be written as JSON. `schedule`
decides which rule applies to a request, and `service` applies it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

from bulkload.sandbox import alterations

Operation = Literal["login", "list", "get", "create", "patch", "delete", "recipients", "groups"]
OPERATIONS: tuple[Operation, ...] = ("login", "list", "get", "create", "patch", "delete", "recipients", "groups")
WITH_TOKEN: tuple[Operation, ...] = OPERATIONS[1:]

Moment = Literal["before", "after"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultDefinition:
    """A fault that rules can name, and the defaults of these rules."""

    about: str  # one line for help texts
    moment: Moment  # before: the request is not carried out; after: it is, and its response is damaged
    on: tuple[Operation, ...] = ("create",)  # operations to which it applies by default
    fits: tuple[Operation, ...] = OPERATIONS  # operations to which it can apply
    seconds: float = 0.0  # default of the rule's `seconds`
    status: int = 0  # default of the rule's `status`; 0: the fault has none


KINDS: Mapping[str, FaultDefinition] = {
    "throttle": FaultDefinition(
        about="429 although the rate limit is not reached", moment="before", on=OPERATIONS, seconds=1.0, status=429
    ),
    "request-timeout": FaultDefinition(about="408, not carried out", moment="before", status=408),
    "timeout-after": FaultDefinition(about="408, but carried out", moment="after", status=408),
    "error-before": FaultDefinition(about="5xx, not carried out", moment="before", status=500),
    "error-after": FaultDefinition(about="5xx, but carried out", moment="after", status=500),
    "error-auth-before": FaultDefinition(
        about="5xx with the message of a refused login, not carried out", moment="before", status=500
    ),
    "error-auth-after": FaultDefinition(
        about="5xx with the message of a refused login, but carried out", moment="after", status=500
    ),
    "drop-before": FaultDefinition(about="connection closed without a response, not carried out", moment="before"),
    "drop-after": FaultDefinition(about="connection closed without a response, but carried out", moment="after"),
    "reset-before": FaultDefinition(about="connection reset, not carried out", moment="before"),
    "reset-after": FaultDefinition(about="connection reset, but carried out", moment="after"),
    "cut": FaultDefinition(about="connection closed in the middle of the response, carried out", moment="after"),
    "stall-before": FaultDefinition(about="never responds, not carried out", moment="before"),
    "stall-after": FaultDefinition(about="never responds, but carried out", moment="after"),
    "slow": FaultDefinition(about="carried out at once, response after `seconds`", moment="after", seconds=1.0),
    "page-before": FaultDefinition(about="a gateway's HTML page, not carried out", moment="before", status=502),
    "page-after": FaultDefinition(about="a gateway's HTML page, but carried out", moment="after", status=502),
    "redirect": FaultDefinition(about="302 to a login page, not carried out", moment="before", status=302),
    "late": FaultDefinition(
        about="504 now, created `seconds` later", moment="before", fits=("create",), seconds=1.0, status=504
    ),
    "lag": FaultDefinition(about="visible only after `seconds`", moment="after", fits=("create",), seconds=1.0),
    "no-id": FaultDefinition(
        about="200 without an ID, carried out", moment="after", fits=("create", "patch"), status=200
    ),
    "create-twice": FaultDefinition(
        about="created twice with one response, as if a gateway repeated the request", moment="after", fits=("create",)
    ),
    "garbled": FaultDefinition(about="200 with half a JSON text, carried out", moment="after", status=200),
    "gzip-bomb": FaultDefinition(about="200 with 2 GiB in a small gzip body, carried out", moment="after", status=200),
    "endless": FaultDefinition(about="200 with a body that never ends, not carried out", moment="before", status=200),
    "token-401": FaultDefinition(
        about="the token expires: 401", moment="before", on=WITH_TOKEN, fits=WITH_TOKEN, status=401
    ),
    "token-400": FaultDefinition(
        about="the token expires: 400 with the text that the docs show",
        moment="before",
        on=WITH_TOKEN,
        fits=WITH_TOKEN,
        status=400,
    ),
    "plan-full": FaultDefinition(about="the plan has no free monitor", moment="before", fits=("create",)),
    "echo-refusal": FaultDefinition(
        about="400 that repeats the name in the request", moment="before", fits=("create",), status=400
    ),
    "surrogate": FaultDefinition(
        about="400 with a lone surrogate in its message", moment="before", fits=("create",), status=400
    ),
    "wrong-role": FaultDefinition(
        about="403, the role may not write",
        moment="before",
        on=("create", "patch", "delete"),
        fits=WITH_TOKEN,
        status=403,
    ),
    "login-refused": FaultDefinition(about="user or password refused", moment="before", on=("login",), fits=("login",)),
    "list-empty": FaultDefinition(about="an empty list", moment="after", on=("list",), fits=("list",)),
    "list-shrunk": FaultDefinition(
        about="only the older half of the list", moment="after", on=("list",), fits=("list",)
    ),
    "list-shape": FaultDefinition(about="a list in an unknown shape", moment="after", on=("list",), fits=("list",)),
    "list-repeat": FaultDefinition(about="every monitor listed twice", moment="after", on=("list",), fits=("list",)),
    "list-strings": FaultDefinition(about="numbers as strings", moment="after", on=("list",), fits=("list",)),
    "page-gap": FaultDefinition(
        about="a page after the first begins one monitor too late, as after a delete",
        moment="after",
        on=("list",),
        fits=("list",),
    ),
    "endless-list": FaultDefinition(
        about="every page full of fictitious monitors", moment="after", on=("list",), fits=("list",)
    ),
}


_SHORT = re.compile(
    r"(?:(?P<on>[a-z]+):)?(?P<name>[a-z0-9-]+)"
    r"(?:=(?P<probability>[0-9]*\.?[0-9]+)|@(?P<at>[0-9]+(?:,[0-9]+)*)|/(?P<every>[0-9]+))?"
)
_NO_OTHER_FIELDS = {"extra": "forbid"}  # for pydantic: a misspelt field is an error


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A fault, and the conditions under which it applies: all must hold, and an omitted condition always holds."""

    __pydantic_config__ = _NO_OTHER_FIELDS

    fault: str
    on: tuple[Operation, ...] = ()  # omitted: the default of the fault
    probability: float = 1.0
    at: tuple[int, ...] = ()  # the n-th requests of one operation, counted from 1
    every: int = 0  # each n-th request of one operation
    names: tuple[str, ...] = ()  # creates of monitors with these names
    attempts: int = 0  # only the first n requests for the same subject
    times: int = 0  # at most n times; the only condition that depends on the order of concurrent requests
    seconds: float | None = None  # omitted: the default of the fault
    status: int | None = None  # omitted: the default of the fault

    def __post_init__(self) -> None:
        definition = KINDS.get(self.fault)
        if definition is None:
            raise ValueError(f"Unknown fault {self.fault!r}; allowed are {', '.join(KINDS)}.")
        if not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"The probability of {self.fault} is {self.probability}; 0 to 1 is allowed.")
        if unsuitable := [operation for operation in self.on if operation not in definition.fits]:
            raise ValueError(
                f"{self.fault} cannot apply to {', '.join(unsuitable)}; allowed are {', '.join(definition.fits)}."
            )
        if min(self.every, self.attempts, self.times, self.seconds or 0.0) < 0 or min(self.at, default=1) < 1:
            raise ValueError(f"A number of {self.fault} is too low: `at` starts at 1, all other numbers at 0.")
        if self.status is not None and not 200 <= self.status <= 599:
            raise ValueError(f"The status of {self.fault} is {self.status}; 200 to 599 is allowed.")

    @property
    def definition(self) -> FaultDefinition:
        """The definition of the fault."""
        return KINDS[self.fault]

    @property
    def operations(self) -> tuple[Operation, ...]:
        """The operations to which the rule applies."""
        return self.on or self.definition.on

    @property
    def wait(self) -> float:
        """The seconds of the fault."""
        return self.definition.seconds if self.seconds is None else self.seconds

    @property
    def answer(self) -> int:
        """The HTTP status of the fault; 0 if it has none."""
        return self.definition.status if self.status is None else self.status

    @classmethod
    def parse(cls, text: str) -> Rule:
        """Read `[OPERATION:]NAME`, followed by `=PROBABILITY`, `@N,N…` (exactly those), `/N` (each n-th) or nothing."""
        match = _SHORT.fullmatch(text.strip())
        if match is None:
            raise ValueError(
                f"{text!r} is not a fault; write NAME, NAME=PROBABILITY, NAME@7,9 or NAME/50,"
                " optionally with OPERATION: in front."
            )
        if match["on"] and match["on"] not in OPERATIONS:
            raise ValueError(f"Unknown operation {match['on']!r}; allowed are {', '.join(OPERATIONS)}.")
        return cls(
            fault=match["name"],
            on=tuple(operation for operation in OPERATIONS if operation == match["on"]),
            probability=float(match["probability"] or 1),
            at=tuple(int(number) for number in (match["at"] or "").split(",") if number),
            every=int(match["every"] or 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """All faults of a sandbox; none by default."""

    __pydantic_config__ = _NO_OTHER_FIELDS

    seed: int = 0
    rules: tuple[Rule, ...] = ()  # of several that apply, the first is used
    rate_limit: int = 0  # requests in any window, including logins; 0: no limit
    rate_window: float = 1.0  # seconds
    retry_after: Literal["seconds", "date", "none"] = "seconds"
    retry_after_seconds: int = 0  # in the `Retry-After` of a 429; 0: until the window has room
    visible_after: float = 0.0  # seconds until a new monitor is in the list, in order of creation
    hide_single: bool = False  # GET by ID does not return it before that, either
    shows: tuple[str, ...] = ()  # display rules, applied in this order; see `alterations`

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
        """Read faults from a JSON text. Raises a `ValueError` whose message is one sentence."""
        from pydantic import TypeAdapter, ValidationError

        try:
            return TypeAdapter(cls).validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "the text"
            message = first["msg"].removeprefix("Value error, ").rstrip(".")
            raise ValueError(f"Invalid faults at {where}: {message}.") from None
