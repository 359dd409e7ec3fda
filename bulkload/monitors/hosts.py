"""Host names as people write them: bare, with a port, as imaps://host:993, international.

in: the text of a host cell    out: a `Host`, or a `CellError` that says what was probably meant
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from functools import lru_cache

from bulkload.monitors.fields import FIELDS, PORTS
from bulkload.monitors.values import CellError
from bulkload.protocols import SCHEMES, SUBMISSION, usual_scheme

LONGEST_HOST = 253  # characters, as DNS has it
LONGEST_CELL = 1000  # characters; more is no host in any spelling

PRIVATE_SUFFIXES = (".local", ".internal", ".lan", ".localdomain", ".localhost", ".home.arpa", ".invalid")

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_NAME = re.compile(rf"(?:{_LABEL}\.)+(?=[a-z0-9-]*[a-z]){_LABEL}")
_SINGLE = re.compile(_LABEL)
_DOTTED_DIGITS = re.compile(r"[0-9.]+")
_RULE = FIELDS["hostname"].rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A host cell taken apart; the name is in lower case and A-labels."""

    name: str
    port: int | None = None
    scheme: str | None = None
    is_ipv4: bool = False

    @property
    def endpoint(self) -> str:
        """The host as round-trip monitors name it: scheme and port only if they were given."""
        scheme = f"{usual_scheme(self.scheme)}://" if self.scheme else ""
        return f"{scheme}{self.name}{f':{self.port}' if self.port else ''}"


@lru_cache(maxsize=4096)
def parse_host(text: str) -> Host:
    """Take a host cell apart."""
    lowered = text.lower()
    if _is_plain(lowered):
        return Host(name=lowered)
    if len(text) > LONGEST_CELL:
        raise CellError("length", f"a host name has at most {LONGEST_HOST} characters")
    _refuse_credentials(text)
    scheme, rest = _scheme(text)
    _refuse_what_is_no_host(rest)
    name, colon, port_text = rest.partition(":")
    port = None
    if colon:
        if not re.fullmatch("[0-9]{1,5}", port_text) or not PORTS[0] <= int(port_text) <= PORTS[1]:
            raise CellError("port", f"a port follows the colon, and {FIELDS['port'].rule}")
        port = int(port_text)
    name = _canonical(name)
    return Host(name=name, port=port, scheme=scheme, is_ipv4=_DOTTED_DIGITS.fullmatch(name) is not None)


@lru_cache(maxsize=1024)
def parse_endpoint(field: str, text: str) -> Host:
    """Take apart the SMTP or POP3 server of a round-trip monitor."""
    host = parse_host(text)
    wanted = "email-smtp" if field == "smtp_hostname" else "email-pop"
    if host.scheme is not None and (SCHEMES[host.scheme][0] != wanted or host.scheme == SUBMISSION):
        raise CellError("scheme", FIELDS[field].rule)
    return host


def is_private(name: str) -> bool:
    """Tell whether public monitoring locations cannot reach a host, as far as its name shows."""
    if _DOTTED_DIGITS.fullmatch(name):
        return not ipaddress.IPv4Address(name).is_global
    return name.endswith(PRIVATE_SUFFIXES)


def is_plain_public_name(text: str) -> bool:
    """Tell whether a host cell is a host name as it is to be sent, and one that public locations may reach."""
    return _is_plain(text) and not is_private(text)


def _is_plain(name: str) -> bool:
    return len(name) <= LONGEST_HOST and "xn--" not in name and _NAME.fullmatch(name) is not None


def _refuse_credentials(text: str) -> None:
    before, at, host = text.rpartition("@")
    if at and ":" in before:
        raise CellError("credentials", "a host name carries no user name or password", shown=f"***@{host}")


def _scheme(text: str) -> tuple[str | None, str]:
    scheme, separator, rest = text.partition("://")
    if not separator:
        return None, text
    scheme = scheme.lower()
    if scheme not in SCHEMES:
        if scheme in ("http", "https"):
            bare = re.split("[/?#]", rest)[0]
            raise CellError("url", "a web address is not a mail server; " + _meant(bare))
        raise CellError("scheme", f"allowed in front of a host are {', '.join(f'{s}://' for s in SCHEMES)}")
    return scheme, rest.removesuffix("/")


def _refuse_what_is_no_host(rest: str) -> None:
    parts = [part for part in re.split(r"[,;|\s]+", rest) if part]
    if len(parts) > 1 and sum("." in part.strip(".") for part in parts) > 1:
        raise CellError("several", "one host per row is allowed; make one row for each")
    if "@" in rest:
        raise CellError("email", "this is an e-mail address; write the host name of its mail server")
    if not parts:
        raise CellError("form", _RULE)
    if len(parts) > 1 or parts[0] != rest:
        are_words = re.search(r"[^.,;|\s][,;|\s]+[^.,;|\s]", rest)  # which nobody meant to be one name
        raise CellError(
            "space", "a host name has no spaces or separators; " + _meant("" if are_words else "".join(parts))
        )
    if rest.startswith("[") or rest.count(":") > 1:
        if rest.startswith("[") or _is_ipv6(rest):
            raise CellError("ipv6", "IPv6 is not supported; write the host name or the IPv4 address")
        raise CellError("port", "a host has at most one port; make one row for each")
    if "*" in rest:
        raise CellError("wildcard", "a wildcard is no server; make one row for each host")
    if cut := re.search(r"[/\\?#]", rest):
        raise CellError("path", "a host name has no path; " + _meant(rest[: cut.start()]))


def _canonical(name: str) -> str:
    """Bring a host name into lower case and A-labels, and refuse what is none."""
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
        raise CellError("underscore", "a host name has no underscores; " + _meant(name.replace("_", "-")))
    if _NAME.fullmatch(name):
        return name
    if _SINGLE.fullmatch(name):
        raise CellError("domain", f"a host name needs its domain, as in {name}.example.com")
    raise CellError("form", _RULE)


def _a_labels(name: str) -> str:
    import idna

    try:
        return idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:  # idna's own errors are of this kind
        raise CellError("idn", "it is not a valid international host name") from None


def _meant(guess: str) -> str:
    guess = guess.lower().rstrip(".")
    if _NAME.fullmatch(guess):
        return f"probably {guess} is meant"
    return "write the bare host name, such as mail.example.com"


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text.partition("%")[0])
    except ValueError:
        return False
    return True
