"""The options of the Python API: those of the command line, as keywords.

In: keywords, and an account or None for that of the environment. Out: validated `Account` and `Options` of `settings`.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any, Literal, TypedDict

from bulkload import settings
from bulkload.errors import BulkloadError, UsageError
from bulkload.monitors.header import field_named
from bulkload.readers.python_values import UnusableValue, is_numpy, value_text

StrPath = str | PurePath

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
    header_row: int
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

    keep: float | Literal["forever"]  # days; a plan deletes nothing


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


FILE_OPTIONS = ("sheet", "header_row", "skip_hidden", "encoding", "from_", "skip_private")
_OPTION = re.compile(
    r"--(output|"
    + "|".join(
        sorted((name.strip("_").replace("_", "-") for name in RunOptions.__optional_keys__), key=len, reverse=True)
    )
    + r")(?![\w-])"
)
_ELSEWHERE = {"output": "use store for the folder of the run store", "json": "a Result has it all"}


def load_options(function: str, options: Mapping[str, Any], allowed: type[Any]) -> settings.Options:
    """The options for a call that needs no account. Raises `UsageError` for one that the function does not have."""
    _check_names(function, options, allowed)
    return _load(options)[1]


def load_settings(
    function: str, options: Mapping[str, Any], allowed: type[Any], *, account: Account | None, store: StrPath
) -> tuple[settings.Account, settings.Options]:
    """The settings for a call that uses the account and the store.

    Raises `UsageError` for an option that the function does not have, and without an account to log in to.
    """
    if account is not None and not isinstance(account, Account):
        raise UsageError(f"account is of the type {type(account).__name__}; give a bulkload.Account, or None.")
    _check_names(function, options, allowed)
    loaded = _load({"output": as_path("store", store), **options}, account)
    check_login(*loaded, is_given=account is not None)
    return loaded


def _load(options: Mapping[str, Any], account: Account | None = None) -> tuple[settings.Account, settings.Options]:
    arguments = {name: _plain(value) for name, value in options.items() if value is not None and name != "config"}
    if "from_" in arguments:
        arguments["from"] = arguments.pop("from_")
    if "set" in arguments:
        arguments["set"] = _defaults(arguments["set"])
    if "results" in arguments:
        arguments["results"] = _paths("results", arguments["results"])
    given = None if account is None else _texts_of(account)
    config = options.get("config")
    loaded = settings.load(
        arguments, None if config is None else as_path("config", config), account=given, spelling=lambda name: name
    )
    for warning in (settings.password_file_warning(loaded[0]), *settings.variable_warnings()):
        if warning is not None:
            log.warning("%s", warning)
    return loaded


def _texts_of(account: Account) -> dict[str, Any]:
    """What the account gives. Raises `UsageError` for what is no text, without showing it: it may be a secret."""
    given = {}
    for name, value in vars(account).items():
        if value is None:
            continue
        if not isinstance(value, PurePath if name == "password_file" else str) and not isinstance(value, str):
            raise UsageError(f"The account's {name} is of the type {type(value).__name__}; a text is allowed.")
        if value != "":
            given[name] = value
    return given


def check_login(account: settings.Account, options: settings.Options, *, is_given: bool) -> None:
    """Raise `UsageError` if there is no account to log in to."""
    if not options.sandbox and not settings.has_credentials(account):
        if is_given:
            raise UsageError("The account needs a user name, and a password, a password_file or a token.")
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


def in_python_terms(error: BaseException) -> None:
    """Name the options in an error's message as keywords, not as on the command line."""
    if isinstance(error, BulkloadError) and error.args and isinstance(error.args[0], str):
        error.args = (_OPTION.sub(lambda match: _spelling(match[1]), error.args[0]), *error.args[1:])


def _spelling(option: str) -> str:
    name = option.replace("-", "_")
    return {"from": "from_", "output": "store"}.get(name, name)


def as_path(name: str, value: object) -> Path:
    """A path that the caller gives as a text or a path. Raises `UsageError` for anything else."""
    if not isinstance(value, str | PurePath):  # a writer of pandas is like a path, too
        raise UsageError(f"{name} is of the type {type(value).__name__}; a path is allowed.")
    if not str(value) or "\0" in str(value):
        raise UsageError(f"{name} is {str(value)!r}; a path is allowed.")
    return Path(value)


def _paths(name: str, value: object) -> list[Path]:
    return [as_path(name, each) for each in (value if isinstance(value, list | tuple) else [value])]


def _plain(value: Any) -> Any:
    """A NumPy number as one of Python."""
    return value.item() if is_numpy(value) and value.ndim == 0 else value


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
