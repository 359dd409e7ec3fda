"""Load the settings: an option on the command line, else the environment, else `bulkload.toml`, else the default.

In: the options on the command line. Out: validated `Account` and `Options`; an invalid value is a `UsageError` that
says where it came from. Secrets are never options and never in `bulkload.toml`.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import stat
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PrivateAttr, SecretStr, ValidationError

from bulkload.alertsite.secrets import can_be_token, is_loopback
from bulkload.errors import UsageError
from bulkload.monitors.example_hosts import is_reserved
from bulkload.monitors.values import SWITCH_WORDS
from bulkload.text_encodings import codec_named

BASE_URL = "https://api.alertsite.com/api/v3"
SETTINGS_FILE = "bulkload.toml"
LARGEST_SECRET_FILE = 4096  # bytes
SHORTEST_SERVE_KEY = 16  # characters
CREDENTIALS = {"password": "alertsite-password", "token": "alertsite-token"}  # in systemd's CREDENTIALS_DIRECTORY
FOREVER = float("inf")  # days
SIMILARITY = 0.75  # of a name and its misspelling, as difflib measures it: two of four letters swapped

OnExisting = Literal["skip", "update", "fail"]


def _rate(value: object) -> object:
    """Parse `5`, `5/s`, `300/min` or `unlimited` as requests per second; unlimited is 0.0."""
    text = str(value).strip().lower()
    if text == "unlimited":
        return 0.0
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*(?:/\s*(s|sec|second|min|m|minute|h|hour))?", text)
    if not match or float(match[1]) <= 0:
        raise ValueError("a rate is a number above 0, alone or with /s or /min (5, 5/s, 300/min), or unlimited")
    return float(match[1]) / {"m": 60, "h": 3600}.get((match[2] or "s")[0], 1)


def _limit(value: object) -> object:
    text = str(value).strip()
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?%|[0-9]+", text):
        raise ValueError("a number (20) or a percentage (5%) is allowed")
    return text


def _pairs(form: str) -> BeforeValidator:
    """Parse texts of the form `left=right` as a mapping; `form` names both sides in messages."""

    def parse(value: object) -> object:
        if isinstance(value, Mapping):
            return _texts(value)
        if not isinstance(value, str | list | tuple):
            raise ValueError(f"a mapping, or texts of the form {form}, is allowed")
        texts = value.splitlines() if isinstance(value, str) else value
        pairs = {}
        for text in (str(text) for text in texts if str(text).strip()):
            left, separator, right = text.partition("=")
            if not separator or not left.strip():
                raise ValueError(f"{text!r} is not of the form {form}")
            pairs[left.strip()] = right.strip()
        return pairs

    return BeforeValidator(parse)


def _texts(table: Mapping[str, object]) -> dict[str, str]:
    return {str(key): _text(value) for key, value in table.items()}


def _text(value: object) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _paths(value: object) -> object:
    return [Path(text) for text in value.splitlines() if text.strip()] if isinstance(value, str) else value


def _each(allowed: str, check: Callable[[str], object]) -> BeforeValidator:
    """Parse several texts, in an environment variable separated by spaces, commas or line breaks, and check each.

    `check` raises `ValueError` or returns something false for a text that is not allowed; `allowed` says what is.
    """

    def parse(value: object) -> object:
        items = re.split(r"[\s,]+", value) if isinstance(value, str) else value
        texts = [str(item).strip().lower() for item in items] if isinstance(items, list | tuple) else []
        for text in filter(None, texts):
            try:
                is_allowed = bool(check(text))
            except ValueError:
                is_allowed = False
            if not is_allowed:
                raise ValueError(f"{allowed} is allowed")
        return [text for text in texts if text]

    return BeforeValidator(parse)


def _is_host(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?", text) is not None


def _header_name(value: object) -> object:
    text = str(value).strip()
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,100}", text):
        raise ValueError("the name of a header, such as X-Remote-User, is allowed")
    return text


def _switch(value: object) -> object:
    text = str(value).strip().lower()
    if text not in SWITCH_WORDS and text:
        raise ValueError("true or false is allowed")
    return SWITCH_WORDS.get(text, False)


def _lower(value: object) -> object:
    return str(value).strip().lower()


def _encoding(value: object) -> object:
    return codec_named(str(value))


def _base_url(value: object) -> object:
    """Accept an HTTPS URL without credentials; plain HTTP only to this machine."""
    text = str(value).strip().rstrip("/")
    parts = _split_url(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or not text.isprintable():
        raise ValueError(f"a URL such as {BASE_URL} is allowed")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("a URL without user name, password, query or fragment is allowed")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("https is required; http is allowed only for this machine")
    return text


def _url(value: object) -> object:
    text = str(value).strip()
    parts = _split_url(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or not text.isprintable() or " " in text:
        raise ValueError("a URL that begins with https:// or http:// is allowed")
    return text


def _split_url(text: str) -> SplitResult:
    """Split a URL. Raises `ValueError` without showing it if its host or port is one that no request can use."""
    try:
        parts = urlsplit(text)
        is_valid = parts.port != 0
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError("a URL with a valid host and a port from 1 to 65535, or no port, is allowed")
    return parts


def _days(value: object) -> object:
    text = str(value).strip().lower()
    if text == "forever":
        return FOREVER
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]+)?", text):
        raise ValueError("a number of days or forever is allowed")
    return float(text)


def _number(rule: str, least: float, most: float, *, whole: bool) -> BeforeValidator:
    """Accept a number from `least` to `most`; `rule` completes "a number … is allowed"."""

    def check(value: object) -> object:
        try:
            number = int(str(value)) if whole else float(str(value))
        except ValueError:
            number = -1
        if not least <= number <= most:
            noun = "a whole number" if whole else "a number"
            raise ValueError(f"{noun} {rule} is allowed")
        return number

    return BeforeValidator(check)


Switch = Annotated[bool, BeforeValidator(_switch)]
Count = Annotated[int, _number("above 0", 1, 10**9, whole=True)]
Seconds = Annotated[float, _number("of seconds, 0 or more,", 0, 10**9, whole=False)]
Days = Annotated[float, BeforeValidator(_days)]
Limit = Annotated[str, BeforeValidator(_limit)]  # a number or a percentage
Url = Annotated[SecretStr, BeforeValidator(_url)]  # secret: its path may contain a token


class Account(BaseModel):
    """How to log in, and where. Secrets come from the environment, or from a file that it names."""

    model_config = ConfigDict(hide_input_in_errors=True)
    environment: ClassVar[str] = "ALERTSITE_"  # prefix of the variables

    base_url: Annotated[str, BeforeValidator(_base_url)] = BASE_URL
    username: str = ""
    password: SecretStr = SecretStr("")
    password_file: Path | None = None
    token: SecretStr = SecretStr("")

    @property
    def is_stand_in(self) -> bool:
        """True if the API is a stand-in for tests: AlertSite has no loopback address and no reserved example name."""
        host = urlsplit(self.base_url).hostname or ""
        return is_loopback(host) or is_reserved(host)

    def logged_in_as(self, username: str, password: str) -> Account:
        """The account of another user at the same address."""
        own: dict[str, object] = {"username": username, "password": SecretStr(password)}
        return self.model_copy(update=own | {"token": SecretStr(""), "password_file": None})


class Options(BaseModel):
    """All other settings. A field is named as its option, its variable and its key in the file."""

    model_config = ConfigDict(hide_input_in_errors=True)
    environment: ClassVar[str] = "BULKLOAD_"  # prefix of the variables

    rate: Annotated[float, BeforeValidator(_rate)] = 5.0  # requests per second; 0: no limit
    concurrency: Annotated[int, _number("from 1 to 1000", 1, 1000, whole=True)] = 10
    on_existing: OnExisting = "skip"
    trust_list: Switch = False
    create_lookalikes: Switch = False
    wait: Switch = False
    verify: Switch = False
    first: Count | None = None
    strict: Switch = False
    max_errors: Limit | None = None
    set: Annotated[dict[str, str], _pairs("field=value")] = {}
    map: Annotated[dict[str, str], _pairs("column=field")] = {}
    sheet: str | None = None
    skip_hidden: Switch = False
    encoding: Annotated[str, BeforeValidator(_encoding)] | None = None  # a codec of Python
    header_row: Count | None = None  # as the spreadsheet program numbers it
    ignore_unknown: Switch = False
    from_: Annotated[str | None, Field(alias="from")] = None  # the tool that the configuration comes from
    skip_private: Switch = False
    request_timeout: Annotated[float, _number("of seconds, from 0.1 to 3600,", 0.1, 3600, whole=False)] = 30.0
    output: Path = Path("output")
    results: Annotated[list[Path], BeforeValidator(_paths)] = []
    sandbox: Switch = False
    json_: Annotated[Switch, Field(alias="json")] = False  # pydantic's models have a method `json`
    quiet: Switch = False
    color: Annotated[Literal["auto", "always", "never"], BeforeValidator(_lower)] = "auto"
    log_format: Literal["text", "json"] = "text"
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = "warning"
    settle_grace: Seconds = 30.0
    settle_after: Seconds = 600.0
    settle_timeout: Seconds = 90.0
    keep: Days = 90.0  # old runs; in the inbox also old files

    # of the inbox only
    watch: Switch = False
    retry_for: Days = 3.0
    prune: Switch = False
    prune_limit: Limit = "10%"
    metrics: Path | None = None
    ping: Url | None = None
    webhook: Url | None = None
    webhook_format: Annotated[Literal["json", "slack", "teams"], BeforeValidator(_lower)] = "json"
    unchanged_for: Seconds = 5.0  # a file that changed more recently may still be being written

    # of the upload page only
    serve_key_file: Path | None = None
    allowed_host: Annotated[list[str], _each("a host name or address without a port", _is_host)] = []
    user_header: Annotated[str, BeforeValidator(_header_name)] | None = None
    trusted_proxy: Annotated[
        list[str],
        _each("an IP address or a network such as 10.0.0.0/8", lambda text: ipaddress.ip_network(text, False)),
    ] = []

    _map_of_file: frozenset[str] = PrivateAttr(frozenset())

    @property
    def map_of_file(self) -> frozenset[str]:
        """The columns that the settings file maps: it is for many inputs, so an input need not have them."""
        return self._map_of_file


S = TypeVar("S", "Account", "Options")
_EXPECTED = {"string_type": "a text", "path_type": "a path", "list_type": "a list", "dict_type": "a mapping"}
_TOKEN_RULE = "it is too long, or contains characters that are not allowed in a header, such as spaces"
_ADDRESS = frozenset({"base_url"})
_ACCOUNT_IN_FILE = _ADDRESS | {"username", "password_file"}
_SECRETS = frozenset({"password", "token"})
_SECRET_URLS = frozenset({"ping", "webhook"})
_ONE_LINE = frozenset(  # without line breaks
    {"username", "password_file", "output", "results", "metrics", "sheet", "serve_key_file"}
)
_ONE_PER_LINE = frozenset({"results"})  # lists of these
_TABLES = {"defaults": "set", "map": "map"}  # tables of the file → the options that extend them


def load(
    arguments: Mapping[str, Any],
    file: Path | None = None,
    *,
    account: Mapping[str, Any] | None = None,
    spelling: Callable[[str], str] = lambda name: f"--{name.replace('_', '-')}",
) -> tuple[Account, Options]:
    """Load the settings from the command line, the environment and a file. Raises `UsageError`.

    An argument that is None or empty counts as omitted. Without `file`, `SETTINGS_FILE` is read if it exists. If a
    program gives an `account`, only its address can come from elsewhere. `spelling` is how the user knows an argument.
    """
    file_settings = _read_file(file or Path(SETTINGS_FILE), must_exist=file is not None)
    tables = {option: _texts(file_settings.pop(table, {})) for table, option in _TABLES.items()}
    account_settings = {name: file_settings.pop(name) for name in _ACCOUNT_IN_FILE & file_settings.keys()}
    if account is None:
        built = _with_secrets(_build(Account, {}, account_settings, spelling))
    else:
        address = {name: value for name, value in account_settings.items() if name in _ADDRESS}
        built = _with_secrets(
            _build(Account, account, address, spelling, from_elsewhere=_ADDRESS), from_elsewhere=False
        )
    present = {name: value for name, value in arguments.items() if not _is_omitted(value)}
    options = _build(Options, present, file_settings, spelling)
    loaded = options.model_copy(update={option: table | getattr(options, option) for option, table in tables.items()})
    loaded._map_of_file = frozenset(tables["map"].keys() - options.map.keys())
    return built, loaded


def _is_omitted(value: object) -> bool:
    return value is None or (isinstance(value, tuple) and not value)


def variable_warnings(option_variables: Iterable[str] = ()) -> Iterator[str]:
    """Yield a warning for each environment variable whose name is similar to that of a setting, but not the same.

    `option_variables` are the variables of options that are not settings. A name that is similar to none of these may
    belong to another program.
    """
    prefix = Options.environment
    known = {prefix + name.upper() for name in _names(Options)} | {*option_variables}
    names = [variable.removeprefix(prefix) for variable in sorted(known)]
    for variable, value in sorted(os.environ.items()):
        if value and variable.startswith(prefix) and variable not in known:
            for similar in difflib.get_close_matches(variable.removeprefix(prefix), names, 1, SIMILARITY):
                yield f"The environment variable {variable} has no effect; did you mean {prefix}{similar}?"


def _read_file(path: Path, *, must_exist: bool) -> dict[str, Any]:
    if not must_exist and not path.is_file():
        return {}
    import tomllib

    try:
        settings = tomllib.loads(path.read_text("utf-8-sig"))  # some editors write a byte order mark
    except OSError as error:
        raise UsageError(f"The settings file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise UsageError(f"The settings file {path} is not valid UTF-8; save it as UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"The settings file {path} is not valid TOML: {error}.") from error
    known = {*_ACCOUNT_IN_FILE, *_TABLES, *_names(Options)} - {"set"}
    for name in settings:
        if name in ("password", "token"):
            raise UsageError(
                f"The settings file {path} contains a {name}. Remove it, and set ALERTSITE_{name.upper()} or"
                " ALERTSITE_PASSWORD_FILE instead."
            )
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]}?" if close else f". Allowed are {', '.join(sorted(known))}."
            raise UsageError(f"The settings file {path} has an unknown setting {name!r}{hint}")
    for table in _TABLES:
        if not isinstance(settings.get(table, {}), dict):
            raise UsageError(f"The settings file {path}: {table} must be a table, with a header line [{table}].")
    return settings


def _build(
    model: type[S],
    arguments: Mapping[str, Any],
    file_settings: Mapping[str, Any],
    spelling: Callable[[str], str],
    *,
    from_elsewhere: Collection[str] | None = None,
) -> S:
    """Validate the settings of a model; arguments override the environment, which overrides the file.

    `from_elsewhere` are the only settings that can come from the environment, if not all can.
    """
    names = _names(model) if from_elsewhere is None else from_elsewhere
    variables = {name: f"{model.environment}{name.upper()}" for name in names}
    environment = {name: os.environ[variable] for name, variable in variables.items() if os.environ.get(variable)}
    for name, text in environment.items():
        _require_text(variables[name], name, text)
    for name, file_value in file_settings.items():
        _require_text(f"{name} in {SETTINGS_FILE}", name, file_value)
    for name, argument in arguments.items():
        _require_text(spelling(name), name, argument)
    try:
        return model(**{**file_settings, **environment, **arguments})
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        name = str(details["loc"][0])
        if name in arguments:
            origin, value = spelling(name), arguments[name]
        elif name in environment:
            origin, value = variables[name], environment[name]
        else:
            origin, value = f"{name} in {SETTINGS_FILE}", file_settings.get(name)
        context = details.get("ctx", {})
        expected = context.get("expected") or _EXPECTED.get(details["type"], details["msg"])
        allowed = context.get("error") or f"{expected} is allowed"
        is_list = isinstance(value, tuple | list)
        shown = ", ".join(map(repr, value)) if is_list else repr(value)
        if name in _SECRETS:
            shown = "not shown, because it is a secret"
        elif name in _SECRET_URLS:
            shown = "not a URL"
        elif name == "base_url" and re.search("[@?#]", shown):
            shown = "not shown, because it may contain a password"
        raise UsageError(f"{origin} is {shown}; {allowed}.") from None


def _require_text(origin: str, name: str, value: object) -> None:
    """Reject what a store, a file name or a request cannot contain; it may be a secret, so it is not shown."""
    for text in value if isinstance(value, list | tuple) else [value]:
        if not isinstance(text, str):
            continue
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UsageError(f"{origin} is not valid UTF-8.") from None
        lines = text.splitlines() if name in _ONE_PER_LINE else [text]
        if name in _ONE_LINE and any(unicodedata.category(character) == "Cc" for line in lines for character in line):
            raise UsageError(f"{origin} contains a control character, such as a line break; remove it.")


def _names(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _with_secrets(account: Account, *, from_elsewhere: bool = True) -> Account:
    """Read the password from its file; without a password, a file or a token, read the credentials from systemd."""
    if (token := account.token.get_secret_value()) and not can_be_token(token):
        raise UsageError(f"{'ALERTSITE_TOKEN' if from_elsewhere else 'token'} is not a token: {_TOKEN_RULE}.")
    if account.password.get_secret_value():
        return account
    if account.password_file is not None:
        password = _secret(account.password_file, "password")
        return account.model_copy(update={"password": password})
    folder = os.environ.get("CREDENTIALS_DIRECTORY") if from_elsewhere else None
    if account.token.get_secret_value() or not folder:
        return account
    paths = {field: path for field, name in CREDENTIALS.items() if (path := Path(folder, name)).is_file()}
    secrets = {field: _secret(path, field) for field, path in paths.items()}
    return account.model_copy(update={**secrets, "password_file": paths.get("password")})


def _secret(path: Path, noun: str) -> SecretStr:
    """Read a file with one line; `noun` says what it contains: a password or a token."""
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_SECRET_FILE + 1).decode("utf-8-sig").rstrip("\r\n")
    except OSError as error:
        raise UsageError(f"The {noun} file {path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError:
        raise UsageError(f"The {noun} file {path} is not valid UTF-8; save it as UTF-8.") from None
    if not text or len(text) > LARGEST_SECRET_FILE or "\n" in text:
        raise UsageError(f"The {noun} file {path} must contain one line, the {noun}.")
    if noun == "token" and not can_be_token(text):
        raise UsageError(f"The {noun} file {path} does not contain a token: {_TOKEN_RULE}.")
    return SecretStr(text)


def is_local_host(host: str) -> bool:
    """True if a server that listens on this host or address can be reached only from this machine."""
    return is_loopback(host.strip("[]"))


def serve_key(options: Options, host: str) -> SecretStr | None:
    """The access key of the upload page, from its file; None if there is no file, which only loopback allows.

    Raises `UsageError`.
    """
    path = options.serve_key_file
    if path is None:
        if is_local_host(host):
            return None
        raise UsageError(
            f"--host {host} lets other machines use the upload page, so it needs an access key that you choose."
            f" Write a key of at least {SHORTEST_SERVE_KEY} characters to a file, and set BULKLOAD_SERVE_KEY_FILE to"
            " its path."
        )
    key = _secret(path, "key").get_secret_value().strip()
    if len(key) < SHORTEST_SERVE_KEY:
        raise UsageError(
            f"The key in the key file {path} is too short: it must have at least {SHORTEST_SERVE_KEY} characters."
        )
    return SecretStr(key)


def password_file_warning(account: Account) -> str | None:
    """A warning if every user of this machine can read the password file, else None."""
    return _readable_warning(account.password_file, "password")


def serve_key_file_warning(options: Options) -> str | None:
    """A warning if every user of this machine can read the key file of the upload page, else None."""
    return _readable_warning(options.serve_key_file, "key")


def _readable_warning(path: Path | None, noun: str) -> str | None:
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
    return f"Every user of this machine can read the {noun} file {path}; restrict it with chmod 600."


def has_credentials(account: Account) -> bool:
    """True if an account can be logged in to."""
    return bool(account.token.get_secret_value() or (account.username and account.password.get_secret_value()))


def check_credentials(account: Account) -> None:
    """Raise `UsageError` without credentials to log in, naming the variables to set."""
    if has_credentials(account):
        return
    missing = [] if account.username else ["ALERTSITE_USERNAME"]
    if not account.password.get_secret_value():
        missing.append("ALERTSITE_PASSWORD (or ALERTSITE_PASSWORD_FILE)")
    raise UsageError(f"Set {' and '.join(missing)} in the environment, or use --sandbox, which needs no account.")
