"""Parse host cells: a host name or IPv4 address, alone, with a port, or as imaps://host:993; international names too.

In: the text of a host cell. Out: a `Host`, or a `CellError` that suggests a correction where it can.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from bulkload.monitors.fields import FIELDS, PORTS
from bulkload.monitors.values import CellError
from bulkload.protocols import SCHEMES, SUBMISSION, usual_scheme

LONGEST_HOST = 253  # characters, the limit of DNS
LONGEST_CELL = 1000  # characters; a longer text is refused without parsing

PRIVATE_SUFFIXES = (".local", ".internal", ".lan", ".localdomain", ".localhost", ".home.arpa", ".invalid")

_LABEL = r"(?!-)[a-z0-9-]{1,63}+(?<!-)"
_NAME = re.compile(rf"(?:{_LABEL}\.)++(?=[a-z0-9-]*[a-z]){_LABEL}")  # the last label is no number
_SINGLE = re.compile(_LABEL)
_DOTTED_DIGITS = re.compile(r"[0-9.]+")
_RULE = FIELDS["hostname"].rule
_OF_NAME = ("underscore",)  # reasons of errors that are about the name alone, not about what stands around it


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """The parts of a host cell; the name is in lower case, with A-labels (xn--…) for international parts."""

    name: str
    port: int | None = None
    scheme: str | None = None
    is_ipv4: bool = False

    @property
    def endpoint(self) -> str:
        """The host in the form of a round-trip monitor: with scheme and port only if the cell has them."""
        scheme = f"{usual_scheme(self.scheme)}://" if self.scheme else ""
        return f"{scheme}{self.name}{f':{self.port}' if self.port else ''}"


@lru_cache(maxsize=4096)
def parse_host(text: str) -> Host:
    """Split a host cell into its parts. Raises `CellError`."""
    lowered = text.lower()
    if _is_plain(lowered):
        return Host(name=lowered)
    if len(text) > LONGEST_CELL:
        raise CellError("length", f"a host name has at most {LONGEST_HOST} characters")
    _refuse_credentials(text)
    scheme, rest = _scheme(text)
    name, colon, port_text = rest.partition(":")
    try:
        _check_form(rest)
        port = _port(port_text, name) if colon else None
        name = _canonical(name)
    except CellError as error:
        if error.suggestion:  # scheme and port stay: without them, another server would be checked
            start = f"{text.partition('://')[0]}://" if scheme else ""
            error.suggestion = (
                f"{start}{error.suggestion}{f':{port_text}' if error.reason in _OF_NAME and colon else ''}"
            )
        raise
    return Host(name=name, port=port, scheme=scheme, is_ipv4=_DOTTED_DIGITS.fullmatch(name) is not None)


@lru_cache(maxsize=1024)
def parse_endpoint(field: str, text: str) -> Host:
    """Split the cell of a round-trip monitor's SMTP or POP3 server. Raises `CellError`."""
    host = parse_host(text)
    server_type = "email-smtp" if field == "smtp_hostname" else "email-pop"
    if host.scheme is not None and (SCHEMES[host.scheme][0] != server_type or host.scheme == SUBMISSION):
        raise CellError("scheme", FIELDS[field].rule)
    return host


def is_private(name: str) -> bool:
    """True if the name or address shows that public monitoring locations cannot reach the host."""
    if _DOTTED_DIGITS.fullmatch(name):
        return not ipaddress.IPv4Address(name).is_global
    return name.endswith(PRIVATE_SUFFIXES)


def is_plain_public_name(text: str) -> bool:
    """True if a host cell is a public host name that is sent unchanged."""
    return _is_plain(text) and not text.endswith(PRIVATE_SUFFIXES)  # a plain name is no address


def _is_plain(name: str) -> bool:
    return len(name) <= LONGEST_HOST and "xn--" not in name and _NAME.fullmatch(name) is not None


def _refuse_credentials(text: str) -> None:
    before, at, host = text.rpartition("@")
    if at and ":" in before:
        scheme, separator, user = before.rpartition("://")
        # a slash or blank may stand in the password, and then the rest of it after the @
        meant = "" if re.search(r"[/\\\s]", user + host) else f"{scheme}{separator}{host}"
        raise CellError(
            "credentials",
            "remove the user name and password from the host name",
            shown=f"***@{host}",
            suggestion=meant if not separator or scheme.lower() in SCHEMES else "",
        )


def _scheme(text: str) -> tuple[str | None, str]:
    scheme, separator, rest = text.partition("://")
    if not separator:
        return None, text
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        if scheme in ("http", "https"):
            bare = re.split("[/?#]", rest)[0]
            raise _error_with_host("url", "a web address is not a mail server", bare)
        raise CellError("scheme", f"a host name may start with {', '.join(f'{s}://' for s in SCHEMES)}")
    return scheme, rest.removesuffix("/")


def _check_form(rest: str) -> None:
    """Raise the `CellError` of a frequent mistake."""
    parts = [part for part in re.split(r"[,;|\s]+", rest) if part]
    if len(parts) > 1 and sum("." in part.strip(".") for part in parts) > 1:
        raise CellError("several", "only one host per row is allowed; add one row for each")
    if "@" in rest:
        raise CellError("email", "an e-mail address is not a host name; write the host name of its mail server")
    if not parts:
        raise CellError("form", _RULE)
    if len(parts) > 1 or parts[0] != rest:
        has_words = re.search(r"[^.,;|\s][,;|\s]+[^.,;|\s]", rest)  # joined, they would not be the intended name
        raise _error_with_host("space", "a host name has no spaces or separators", "" if has_words else "".join(parts))
    if rest.startswith("[") or rest.count(":") > 1:
        if rest.startswith("[") or _is_ipv6(rest):
            raise CellError("ipv6", "IPv6 is not supported; write the host name or the IPv4 address")
        raise CellError("port", "only one port per row is allowed; add one row for each")
    if "*" in rest:
        raise CellError("wildcard", "wildcards are not allowed; add one row for each host")
    if cut := re.search(r"[/\\?#]", rest):
        raise _error_with_host("path", "a host name has no path", rest[: cut.start()])


def _canonical(name: str) -> str:
    """Convert a host name to lower case and A-labels, or raise the `CellError` of an invalid one."""
    name = name.removesuffix(".").lower()
    if not name.isascii() or "xn--" in name:
        name = _a_labels(name).lower().removesuffix(".")
    if _DOTTED_DIGITS.fullmatch(name):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise CellError("ipv4", FIELDS["ipv4"].rule) from None
    if len(name) > LONGEST_HOST:
        raise CellError("length", f"a host name has at most {LONGEST_HOST} characters")
    if "_" in name:
        raise _error_with_host("underscore", "a host name has no underscores", name.replace("_", "-"))
    if _NAME.fullmatch(name):
        return name
    if _SINGLE.fullmatch(name):
        raise CellError("domain", f"a host name needs a domain, such as {name}.example.com")
    raise CellError("form", _RULE)


def _a_labels(name: str) -> str:
    import idna

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:  # the base class of idna's errors
        raise CellError("idn", "this is not a valid international host name") from None


def _port(text: str, name: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not PORTS[0] <= int(text) <= PORTS[1]:
        allowed = f"after the colon comes a port, and {FIELDS['port'].rule}"
        raise CellError("port", allowed, suggestion="" if text else name)
    return int(text)


def _error_with_host(reason: str, problem: str, guess: str) -> CellError:
    """The error of a cell with more than a host; the guess is suggested if it is a host name."""
    guess = guess.lower().rstrip(".")
    if _NAME.fullmatch(guess):
        return CellError(reason, f"{problem}; write {guess} if that is the host", suggestion=guess)
    return CellError(reason, f"{problem}; write only the host name, such as mail.example.com")


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return False
    return True
