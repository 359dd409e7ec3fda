"""The options of the Python API: those of the command line, as keywords.

In: keywords, and an account or None for that of the environment. Out: validated `Account` and `Options` of `settings`.
"""

from __future__ import annotations

import difflib
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypedDict

from bulkload import settings
from bulkload.errors import UsageError
from bulkload.monitors.header import field_named
from bulkload.readers.python_values import UnusableValue, value_text

StrPath = str | PathLike[str]

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Account:
    """How to log in to AlertSite. Its text shows no secret.

    Without `base_url`, the address is `ALERTSITE_BASE_URL`, the one in bulkload.toml, or AlertSite's own. Give the user
    name with an access token as well: the store tells accounts apart by it.
    """

    username: str = ""
    password: str = field(default="", repr=False)
    password_file: StrPath | None = None
    token: str = field(default="", repr=False)
    base_url: str | None = None


class CommonOptions(TypedDict, total=False):
    """Options of every function that uses the account."""

    config: StrPath  # a settings file instead of bulkload.toml
    rate: float | str  # requests per second, or such as "300/min" or "unlimited"
    request_timeout: float  # seconds
    sandbox: bool


class InputOptions(TypedDict, total=False):
    """Options about the input."""

    config: StrPath
    set: Mapping[str, Any]  # field → value of its empty cells
    map: Mapping[str, str]  # column → field
    ignore_unknown: bool
    sheet: str  # this and the following are for files only
    skip_hidden: bool
    encoding: str
    from_: str
    skip_private: bool
    results: StrPath | Sequence[StrPath]  # also write the results to these files


class SendingOptions(CommonOptions, total=False):
    """Options about sending."""

    concurrency: int
    on_existing: Literal["skip", "update", "fail"]
    trust_list: bool
    create_lookalikes: bool
    wait: bool
    verify: bool
    first: int
    max_errors: int | str
    strict: bool
    settle_grace: float  # seconds
    settle_after: float
    settle_timeout: float


class RunOptions(InputOptions, SendingOptions, total=False):
    """Options of `run` and `plan`."""


class ResumeOptions(SendingOptions, total=False):
    """Options of `resume`."""

    results: StrPath | Sequence[StrPath]


class UndoOptions(CommonOptions, total=False):
    """Options of `undo`."""

    concurrency: int
    trust_list: bool
    results: StrPath | Sequence[StrPath]


class CompareOptions(InputOptions, CommonOptions, total=False):
    """Options of `compare`."""

    trust_list: bool  # of an account


FILE_OPTIONS = ("sheet", "skip_hidden", "encoding", "from_", "skip_private")
_ELSEWHERE = {"output": "use store for the folder of the run store", "json": "a Result has it all"}


def load_options(function: str, options: Mapping[str, Any], allowed: type[Any]) -> settings.Options:
    """The options for a call that needs no account. Raises `UsageError` for one that the function does not have."""
    return _load(function, options, allowed)[1]


def load_settings(
    function: str, options: Mapping[str, Any], allowed: type[Any], *, account: Account | None, store: StrPath
) -> tuple[settings.Account, settings.Options]:
    """The settings for a call that uses the account and the store.

    Raises `UsageError` for an option that the function does not have, and without an account to log in to.
    """
    if account is not None and not isinstance(account, Account):
        raise UsageError(f"account is of the type {type(account).__name__}; give a bulkload.Account, or None.")
    loaded = _load(function, {"output": as_path("store", store), **options}, allowed, account, own={"output"})
    check_login(*loaded)
    return loaded


def _load(
    function: str,
    options: Mapping[str, Any],
    allowed: type[Any],
    account: Account | None = None,
    own: Collection[str] = (),
) -> tuple[settings.Account, settings.Options]:
    """Load the settings; `own` are names in `options` that the function has set itself."""
    _check_names(function, [name for name in options if name not in own], allowed)
    arguments = {name: value for name, value in options.items() if value is not None and name != "config"}
    if "from_" in arguments:
        arguments["from"] = arguments.pop("from_")
    if "set" in arguments:
        arguments["set"] = _defaults(arguments["set"])
    if "results" in arguments:
        arguments["results"] = _paths("results", arguments["results"])
    given = None
    if account is not None:
        given = {name: value for name, value in vars(account).items() if value not in ("", None)}
    config = options.get("config")
    loaded = settings.load(
        arguments, None if config is None else as_path("config", config), account=given, spelling=lambda name: name
    )
    for warning in (settings.password_file_warning(loaded[0]), *settings.variable_warnings()):
        if warning is not None:
            log.warning("%s", warning)
    return loaded


def check_login(account: settings.Account, options: settings.Options) -> None:
    """Raise `UsageError` if there is no account to log in to."""
    if not options.sandbox and not settings.has_credentials(account):
        raise UsageError(
            "There is no account to log in to. Give account=bulkload.Account(username=…, password=…), or set"
            " ALERTSITE_USERNAME and ALERTSITE_PASSWORD in the environment, or use sandbox=True, which needs none."
        )


def check_applies(options: Mapping[str, Any], *, is_file: bool) -> None:
    """Raise `UsageError` if an option about files is given for rows that are not in a file."""
    for name in FILE_OPTIONS:
        if not is_file and options.get(name) not in (None, False):
            raise UsageError(f"{name} is an option for files; the rows are given as Python values.")


def _check_names(function: str, options: Iterable[str], allowed: type[Any]) -> None:
    names: frozenset[str] = allowed.__optional_keys__
    for name in options:
        if name in names:
            continue
        if name in _ELSEWHERE:
            raise UsageError(f"{name} is not an option of {function}; {_ELSEWHERE[name]}.")
        close = difflib.get_close_matches(name, names, 1)
        hint = f"; did you mean {close[0]}?" if close else f"; it has {', '.join(sorted(names))}."
        raise UsageError(f"{name} is not an option of {function}{hint}")


def as_path(name: str, value: object) -> Path:
    """A path that the caller gives as a text or a path. Raises `UsageError` for anything else."""
    if not isinstance(value, str | PathLike):
        raise UsageError(f"{name} is of the type {type(value).__name__}; a path is allowed.")
    return Path(value)


def _paths(name: str, value: object) -> list[Path]:
    return [as_path(name, each) for each in (value if isinstance(value, list | tuple) else [value])]


def _defaults(values: object) -> object:
    """The values of `set` as the texts of cells, so that a number, True or a list of locations can be given."""
    if not isinstance(values, Mapping):
        return values
    texts = {}
    for name, value in values.items():
        try:
            texts[name] = str(value_text(value, field_named(str(name)) or ""))
        except UnusableValue as error:
            raise UsageError(f"set: {name}: {error.message}") from None
    return texts
