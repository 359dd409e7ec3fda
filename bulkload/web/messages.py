"""What the server and a worker process tell each other, as lines of JSON.

In: a `Task`, the first line of the worker's stdin, with the account's secrets; `STOP` on a line of its own; the end of
the stream: the server is gone. Out: events on the worker's stdout, which have no secrets: `waiting`, `started`,
`progress`, `planned`, `log`, and `ended` as the last.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from bulkload.errors import ExitCode
from bulkload.settings import Account, Options

Kind = Literal["plan", "run", "resume", "undo_preview", "undo"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STOP = b"stop\n"  # an orderly stop; the second one cancels requests in flight
MAX_TEXT = 500  # characters of a text from outside in an event
_OF_THE_INBOX = {
    "watch",
    "keep",
    "retry_for",
    "prune",
    "prune_limit",
    "metrics",
    "ping",
    "webhook",
    "webhook_format",
    "unchanged_for",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A job for a worker; `plan` and `run` have a draft, the others a run."""

    kind: Kind
    account: Account = field(repr=False)  # with its secrets
    options: Options  # its output folder is the one that is locked; those of the inbox are not passed on
    draft: str = ""
    version: int | None = None  # of the draft that the user saw; a changed draft is refused
    run: str = ""
    name: str = ""  # of the file or the run, for people
    first: int | None = None  # send only so many rows
    include_edited: bool = False  # undo: delete edited monitors too
    user: str = ""  # who asks for it, for the history

    def encode(self) -> bytes:
        """The task as one line."""
        account = {
            "base_url": self.account.base_url,
            "username": self.account.username,
            "password": self.account.password.get_secret_value(),
            "token": self.account.token.get_secret_value(),
        }
        options = self.options.model_dump(mode="json", by_alias=True, exclude=_OF_THE_INBOX)
        options["rate"] = f"{self.options.rate:.12f}" if self.options.rate else "unlimited"
        own = {
            name: getattr(self, name)
            for name in ("kind", "draft", "version", "run", "name", "first", "include_edited", "user")
        }
        return json.dumps({**own, "account": account, "options": options}).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Task:
        """The task of a line."""
        values = json.loads(line)
        return cls(
            **values | {"account": Account(**values["account"]), "options": Options(**values["options"])},
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """A row that could not be created, or is in doubt."""

    row: int  # as the spreadsheet program numbers it
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a job is. Moments are in seconds since 1970."""

    run: str = ""
    phase: str = ""  # for people, see `stages.observer.Phase`
    done: int = 0  # rows that this job has sent, or monitors that it has deleted
    total: int = 0  # of these; 0: not known yet
    counts: Mapping[str, int] = field(default_factory=dict)  # rows of the whole run by status
    rate: float = 0.0  # requests a second lately
    seconds_left: int | None = None  # None: not known
    paused_until: float | None = None
    pause_reason: str = ""  # for people, see `stages.observer.PauseReason`; also without a pause, at a lowered rate
    in_doubt: int = 0  # rows whose monitor may or may not have been created
    doubt_until: float | None = None  # when it is known at the latest, if a list is read then
    stopping: bool = False
    last_errors: tuple[RowError, ...] = ()

    @classmethod
    def of_event(cls, event: Mapping[str, Any]) -> Progress:
        """The progress of an event."""
        errors = tuple(RowError(**error) for error in event.get("last_errors", ()))
        return cls(**{**_known(cls, event), "last_errors": errors})


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedLine:
    """A monitor in the preview of an undo."""

    row: int
    monitor_id: str
    type: str
    name: str
    host: str
    result: str  # what would happen to it, a `RemovalResult`
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a job ended."""

    exit_code: int
    stopped: str | None = None  # a sentence: why it ended early
    run: str = ""  # empty: no run was begun
    counts: Mapping[str, int] = field(default_factory=dict)  # rows of the run by status; of a plan: predicted
    removals: Mapping[str, int] = field(default_factory=dict)  # undo and its preview: monitors by `RemovalResult`
    in_doubt: int = 0  # undo and its preview: rows that may still have created a monitor
    planned: tuple[PlannedLine, ...] = ()  # preview of an undo: the first of each result

    @property
    def is_interrupted(self) -> bool:
        """True if it was stopped on request, or with the server."""
        return self.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED)

    @classmethod
    def of_event(cls, event: Mapping[str, Any], planned: tuple[PlannedLine, ...] = ()) -> Ended:
        """The end of an event, with the lines that came before."""
        return cls(**{**_known(cls, event), "planned": planned})


def event_of(name: str, record: Progress | PlannedLine | Ended) -> dict[str, Any]:
    """The event that hands over a record."""
    return {"event": name, **dataclasses.asdict(record)}


def _known(record: type[Progress | Ended], event: Mapping[str, Any]) -> dict[str, Any]:
    names = {each.name for each in dataclasses.fields(record)}
    return {name: value for name, value in event.items() if name in names}
