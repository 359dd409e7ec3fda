"""Settings: option > environment > `bulkload.toml` > default.

In: the options that were given on the command line. Out: `Account` and `Options`, checked; a wrong value is a
`UsageError` that says where it came from. A secret is never an option's value and never in `bulkload.toml`.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import stat
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError

from bulkload.alertsite.secrets import can_be_token
from bulkload.errors import UsageError
from bulkload.monitors.values import SWITCH_WORDS

BASE_URL = "https://api.alertsite.com/api/v3"
SETTINGS_FILE = "bulkload.toml"
LARGEST_SECRET_FILE = 4096  # bytes
CREDENTIALS = {"password": "alertsite-password", "token": "alertsite-token"}  # in systemd's CREDENTIALS_DIRECTORY
FOREVER = float("inf")  # days
NEAR = 0.75  # how alike two names are when one may be a slip of the pen: two letters of four swapped

OnExisting = Literal["skip", "update", "fail"]


def _rate(value: object) -> object:
    """`5`, `5/s`, `300/min`, `unlimited` → requests a second, 0 for no limit."""
    text = str(value).strip().lower()
    if text in ("unlimited", "none", "0"):
        return 0.0
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(?:/\s*(s|sec|second|min|m|minute|h|hour))?", text)
    if not found or float(found[1]) <= 0:
        raise ValueError("a rate is a number above 0, alone or with /s or /min (5, 5/s, 300/min), or unlimited")
    return float(found[1]) / {"m": 60, "h": 3600}.get((found[2] or "s")[0], 1)


def _errors(value: object) -> object:
    text = str(value).strip()
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?%|[0-9]+", text):
        raise ValueError("a number of rows (20) or a share of them (5%) is allowed")
    return text


def _pairs(form: str) -> BeforeValidator:
    """`left=right` texts → a mapping; `form` says what stands on both sides."""

    def read(value: object) -> object:
        if isinstance(value, Mapping):
            return _texts(value)
        texts = value.splitlines() if isinstance(value, str) else list(value) if isinstance(value, list | tuple) else []
        pairs = {}
        for text in (str(text) for text in texts if str(text).strip()):
            left, sign, right = text.partition("=")
            if not sign or not left.strip():
                raise ValueError(f"{text!r} is not of the form {form}")
            pairs[left.strip()] = right.strip()
        return pairs

    return BeforeValidator(read)


def _texts(table: Mapping[str, object]) -> dict[str, str]:
    return {str(key): _plain(value) for key, value in table.items()}


def _plain(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _paths(value: object) -> object:
    return [Path(text) for text in value.splitlines() if text.strip()] if isinstance(value, str) else value


def _switch(value: object) -> object:
    text = str(value).strip().lower()
    if text not in SWITCH_WORDS and text:
        raise ValueError("true or false is allowed")
    return SWITCH_WORDS.get(text, False)


def _lower(value: object) -> object:
    return str(value).strip().lower()


def _base_url(value: object) -> object:
    """An https address without secrets in it; plain http only to this machine."""
    text = str(value).strip().rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or not text.isprintable():
        raise ValueError(f"an address like {BASE_URL} is allowed")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("an address without user, password or parameters is allowed")
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise ValueError("https is required; plain http is allowed only to this machine")
    return text


def _web_address(value: object) -> object:
    text = str(value).strip()
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or not text.isprintable() or " " in text:
        raise ValueError("an address that begins with https:// or http:// is allowed")
    return text


def _days(value: object) -> object:
    text = str(value).strip().lower()
    if text == "forever":
        return FOREVER
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text):
        raise ValueError("a number of days or forever is allowed")
    return float(text)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _number(text: str, least: float, most: float, *, whole: bool) -> BeforeValidator:
    def check(value: object) -> object:
        try:
            number = int(str(value)) if whole else float(str(value))
        except ValueError:
            number = -1
        if not least <= number <= most:
            kind = "a whole number" if whole else "a number"
            raise ValueError(f"{kind} {text} is allowed")
        return number

    return BeforeValidator(check)


Switch = Annotated[bool, BeforeValidator(_switch)]
Count = Annotated[int, _number("above 0", 1, 10**9, whole=True)]
Seconds = Annotated[float, _number("of seconds, 0 or more,", 0, 10**9, whole=False)]
Days = Annotated[float, BeforeValidator(_days)]
Share = Annotated[str, BeforeValidator(_errors)]  # a number or a percentage
WebAddress = Annotated[SecretStr, BeforeValidator(_web_address)]  # its path may hold a token


class Account(BaseModel):
    """Whom to log in as, and where. Secrets come from the environment or from a file that it names."""

    model_config = ConfigDict(hide_input_in_errors=True)
    environment: ClassVar[str] = "ALERTSITE_"  # what its variables begin with

    base_url: Annotated[str, BeforeValidator(_base_url)] = BASE_URL
    username: str = ""
    password: SecretStr = SecretStr("")
    password_file: Path | None = None
    token: SecretStr = SecretStr("")


class Options(BaseModel):
    """Everything else that can be set."""

    model_config = ConfigDict(hide_input_in_errors=True)
    environment: ClassVar[str] = "BULKLOAD_"  # what its variables begin with

    rate: Annotated[float, BeforeValidator(_rate)] = 5.0  # requests a second; 0: no limit
    concurrency: Annotated[int, _number("from 1 to 1000", 1, 1000, whole=True)] = 10
    on_existing: OnExisting = "skip"
    trust_list: Switch = False
    create_lookalikes: Switch = False
    wait: Switch = False
    verify: Switch = False
    first: Count | None = None
    strict: Switch = False
    max_errors: Share | None = None
    set: Annotated[dict[str, str], _pairs("field=value")] = {}
    map: Annotated[dict[str, str], _pairs("column=field")] = {}
    sheet: str | None = None
    ignore_unknown: Switch = False
    from_: Annotated[str | None, Field(alias="from")] = None  # the tool whose configuration the input is
    skip_private: Switch = False
    request_timeout: Annotated[float, _number("of seconds, from 0.1 to 3600,", 0.1, 3600, whole=False)] = 30.0
    output: Path = Path("output")
    results: Annotated[list[Path], BeforeValidator(_paths)] = []
    sandbox: Switch = False
    json_: Annotated[Switch, Field(alias="json")] = False  # `json` is a method of pydantic's models
    quiet: Switch = False
    log_format: Literal["text", "json"] = "text"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "warning"
    settle_grace: Seconds = 30.0
    settle_after: Seconds = 600.0
    settle_timeout: Seconds = 90.0

    # of an inbox
    watch: Switch = False
    keep: Days = 90.0
    retry_for: Days = 3.0
    prune: Switch = False
    prune_limit: Share = "10%"
    metrics: Path | None = None
    ping: WebAddress | None = None
    webhook: WebAddress | None = None
    unchanged_for: Seconds = 5.0  # a file that changed less long ago is still being written


S = TypeVar("S", "Account", "Options")
_NO_TOKEN = "it is too long, or has spaces or other characters that are not allowed in a header"
_ACCOUNT_IN_FILE = frozenset({"base_url", "username", "password_file"})
_SECRET_ADDRESSES = frozenset({"ping", "webhook"})
_ONE_LINE = frozenset({"username", "password_file", "output", "results", "metrics", "sheet"})  # names of something
_SEVERAL = frozenset({"results"})  # of them, those that can be several, one a line
_TABLES = {"defaults": "set", "map": "map"}  # tables of the file, and the options that they prepare


def load(given: Mapping[str, Any], file: Path | None = None) -> tuple[Account, Options]:
    """Settings from the given options (those that are not None), the environment, the settings file and defaults."""
    in_file = _read_file(file or Path(SETTINGS_FILE), must_exist=file is not None)
    tables = {option: _texts(in_file.pop(table, {})) for table, option in _TABLES.items()}
    account = _build(Account, {}, {name: in_file.pop(name) for name in _ACCOUNT_IN_FILE & in_file.keys()})
    options = _build(Options, {name: value for name, value in given.items() if value not in (None, ())}, in_file)
    return _with_secrets(account), options.model_copy(
        update={option: table | getattr(options, option) for option, table in tables.items()}
    )


def slips(others: Iterable[str] = ()) -> Iterator[str]:
    """Give a sentence about each variable that is no setting and nearly one; `others` are known without being settings.

    What is not so near may be another program's.
    """
    prefix = Options.environment
    known = {prefix + name.upper() for name in _names(Options)} | {*others}
    meanings = [variable.removeprefix(prefix) for variable in sorted(known)]
    for variable, value in sorted(os.environ.items()):
        if value and variable.startswith(prefix) and variable not in known:
            for near in difflib.get_close_matches(variable.removeprefix(prefix), meanings, 1, NEAR):
                yield f"{variable} in the environment is not a setting and has no effect; did you mean {prefix}{near}?"


def _read_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    if not must_exist and not path.is_file():
        return {}
    try:
        found = tomllib.loads(path.read_text("utf-8-sig"))  # some editors begin a file with a mark
    except OSError as error:
        raise UsageError(f"The settings file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise UsageError(f"The settings file {path} is not text in UTF-8; save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The settings file {path} is not TOML: {error}.") from error
    known = {*_ACCOUNT_IN_FILE, *_TABLES, *_names(Options)} - {"set"}
    for name in found:
        if name in ("password", "token"):
            raise UsageError(
                f"{path} holds a {name}. Take it out; set ALERTSITE_{name.upper()} or ALERTSITE_PASSWORD_FILE instead."
            )
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]}?" if close else f". Allowed are {', '.join(sorted(known))}."
            raise UsageError(f"{path} has an unknown setting {name!r}{hint}")
    for table in _TABLES:
        if not isinstance(found.get(table, {}), dict):
            raise UsageError(f"{path}: {table} is a table, [{table}] and its lines below.")
    return found


def _build(kind: type[S], given: Mapping[str, Any], in_file: Mapping[str, Any]) -> S:
    """Settings of one kind; what is given goes before the environment, and that before the file."""
    variables = {name: f"{kind.environment}{name.upper()}" for name in _names(kind)}
    around = {name: os.environ[variable] for name, variable in variables.items() if os.environ.get(variable)}
    for name, text in around.items():
        _require_text(variables[name], name, text)
    for name, found_there in in_file.items():
        _require_text(f"{name} in {SETTINGS_FILE}", name, found_there)
    try:
        return kind(**{**in_file, **around, **given})
    except ValidationError as error:
        found = error.errors(include_url=False)[0]
        name = str(found["loc"][0])
        if name in given:
            place, value = f"--{name.replace('_', '-')}", given[name]
        elif name in around:
            place, value = variables[name], around[name]
        else:
            place, value = f"{name} in {SETTINGS_FILE}", in_file.get(name)
        context = found.get("ctx", {})
        allowed = context.get("error") or f"{context.get('expected', found['msg'])} is allowed"
        several = isinstance(value, tuple | list)
        shown = ", ".join(map(repr, value)) if several else repr(value)
        shown = "not an address" if name in _SECRET_ADDRESSES else shown
        raise UsageError(f"{place} is {shown}; {allowed}.") from None


def _require_text(place: str, name: str, value: object) -> None:
    """Refuse what no store, file name or request can hold; it is not shown, since it may be a secret."""
    for text in value if isinstance(value, list | tuple) else [value]:
        if not isinstance(text, str):
            continue
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{place} is not text in UTF-8, as every name and value has to be.") from None
        lines = text.splitlines() if name in _SEVERAL else [text]
        if name in _ONE_LINE and any(unicodedata.category(sign) == "Cc" for line in lines for sign in line):
            raise UsageError(f"{place} has a control character, such as a line break; remove it.")


def _names(kind: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in kind.model_fields.items()]


def _with_secrets(account: Account) -> Account:
    """Read the password from its file, or what systemd handed over, unless it was given more directly."""
    if (token := account.token.get_secret_value()) and not can_be_token(token):
        raise UsageError(f"ALERTSITE_TOKEN is no token: {_NO_TOKEN}.")
    if account.password.get_secret_value():
        return account
    if account.password_file is not None:
        password = _secret(account.password_file, "password")
        return account.model_copy(update={"password": password})
    if account.token.get_secret_value() or not (folder := os.environ.get("CREDENTIALS_DIRECTORY")):
        return account
    handed = {kind: path for kind, name in CREDENTIALS.items() if (path := Path(folder, name)).is_file()}
    found = {kind: _secret(path, kind) for kind, path in handed.items()}
    return account.model_copy(update={**found, "password_file": handed.get("password")})


def _secret(path: Path, kind: str) -> SecretStr:
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_SECRET_FILE + 1).decode("utf-8-sig").rstrip("\r\n")
    except OSError as error:
        raise UsageError(f"The {kind} file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise UsageError(f"The {kind} file {path} is not text in UTF-8; save it as UTF-8.") from None
    if not text or len(text) > LARGEST_SECRET_FILE or "\n" in text:
        raise UsageError(f"The {kind} file {path} must hold one line, the {kind}.")
    if kind == "token" and not can_be_token(text):
        raise UsageError(f"The {kind} file {path} does not hold a token: {_NO_TOKEN}.")
    return SecretStr(text)


def exposed_secret(account: Account) -> str | None:
    """A sentence about a password file that every user of this machine can read; None if there is no such file."""
    path = account.password_file
    if path is None or os.name != "posix":
        return None
    try:
        path = path.resolve(strict=True)
        readable = path.stat().st_mode & stat.S_IROTH
        reachable = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents)
    except OSError:
        return None
    if not (readable and reachable):
        return None
    return f"Every user of this machine can read the password file {path}; chmod 600 it."


def check_credentials(account: Account) -> None:
    """Refuse to go on without a way to log in, naming what to set."""
    if account.token.get_secret_value() or (account.username and account.password.get_secret_value()):
        return
    missing = [] if account.username else ["ALERTSITE_USERNAME"]
    if not account.password.get_secret_value():
        missing.append("ALERTSITE_PASSWORD (or ALERTSITE_PASSWORD_FILE)")
    raise UsageError(f"Set {' and '.join(missing)} in the environment, or try --sandbox, which needs no account.")
