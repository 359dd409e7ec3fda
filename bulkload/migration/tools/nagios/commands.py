"""Check commands of the Nagios family: a service on a host goes in, its finished command line comes out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bulkload.migration.tools.nagios.inheritance import Resolved

MAX_LINE_CHARS = 8192  # of a command line; Nagios has no room for more
MAX_ARGUMENT_CHARS = 1024  # that are put in for one macro
MACRO = re.compile(r"\$([A-Za-z_][\w:.-]*)\$")

# What Debian and the stock configuration call their commands, for when only the services are at hand. Free
# options are taken over when they are options; any other argument means a definition that is not known.
_WELL_KNOWN = {
    "check_smtp": "check_smtp -H $HOSTADDRESS$",
    "check_ssmtp": "check_ssmtp -H $HOSTADDRESS$",
    "check_imap": "check_imap -H $HOSTADDRESS$",
    "check_simap": "check_imap -p 993 -S -H $HOSTADDRESS$",
    "check_pop": "check_pop -H $HOSTADDRESS$",
    "check_spop": "check_pop -p 995 -S -H $HOSTADDRESS$",
    "check_tcp": "check_tcp -H $HOSTADDRESS$ -p $ARG1$",
    "check_nrpe": "check_nrpe",
    "check_nrpe_1arg": "check_nrpe",
    "check_by_ssh": "check_by_ssh",
    "check_xi_service_smtp": "check_smtp -H $HOSTADDRESS$",
    "check_xi_service_imap": "check_imap -H $HOSTADDRESS$",
    "check_xi_service_pop": "check_pop -H $HOSTADDRESS$",
    "check_xi_service_tcp": "check_tcp -H $HOSTADDRESS$ -p $ARG1$",
}
_NO_MAIL = ("ping", "disk", "load", "users", "procs", "swap", "ssh", "ftp", "dns", "dhcp", "ntp", "hpjd", "snmp")


def split_command(value: str) -> tuple[str, list[str]]:
    """A `check_command` as its name and its arguments; `\\!` is a plain exclamation mark."""
    name, *arguments = re.split(r"(?<!\\)!", value)
    return name.strip(), [argument.replace("\\!", "!") for argument in arguments]


def well_known(name: str, arguments: Sequence[str]) -> str | None:
    """The command line behind a name that everybody uses alike, or None."""
    plain = name.removesuffix("_4")
    line = _WELL_KNOWN.get(plain)
    if line is None:
        return None
    first_free = 1 if "$ARG1$" in line else 0
    free = [argument for argument in arguments[first_free:] if argument.strip()]
    if line.startswith("check_nrpe") or line.startswith("check_by_ssh"):
        return line
    if any(not argument.lstrip().startswith("-") for argument in free):
        return None
    return " ".join([line, *(f"$ARG{number}$" for number in range(first_free + 1, len(arguments) + 1))])


def sounds_like_mail(name: str) -> bool:
    """Whether an unknown command may be a mail check, so that somebody should look."""
    low = name.lower()
    return any(word in low for word in ("smtp", "imap", "pop", "mail")) and not any(
        word in low for word in ("mailq", "nrpe", "queue")
    )


def is_known_not_mail(name: str) -> bool:
    """Whether a stock command is of no interest, wherever it is defined."""
    low = name.lower()
    return low.startswith("check_mailq") or any(low in (f"check_{word}", f"check_local_{word}") for word in _NO_MAIL)


def command_line(line: str, arguments: Sequence[str], macros: Mapping[str, str]) -> str:
    """Put arguments and macros into a command line; macros without a value stay as they are."""
    filled = [_fill(argument[:MAX_LINE_CHARS], macros)[:MAX_ARGUMENT_CHARS] for argument in arguments[:32]]
    numbered = {f"ARG{number}": value for number, value in enumerate(filled, 1)}
    empty = {f"ARG{number}": "" for number in range(len(filled) + 1, 33)}  # Nagios knows 32
    return _fill(line[:MAX_LINE_CHARS], {**macros, **empty, **numbered})[:MAX_LINE_CHARS]


def macros_of(service: Resolved, host_name: str, host: Resolved | None) -> dict[str, str]:
    """The macros that a service on a host can use, as far as its own files define them."""
    macros = {
        "HOSTNAME": host_name,
        "SERVICEDESC": service.get("service_description"),
        **{f"_SERVICE{key[1:]}": value for key, value in service.directives.items() if key.startswith("_")},
    }
    if host is not None:
        macros["HOSTADDRESS"] = host.get("address") or host_name
        macros["HOSTALIAS"] = host.get("alias") or host_name
        macros["HOSTDISPLAYNAME"] = host.get("display_name") or host_name
        macros.update({f"_HOST{key[1:]}": text for key, text in host.directives.items() if key.startswith("_")})
    return macros


def open_macros(text: str) -> tuple[str, ...]:
    """The macros that are still in a text."""
    return tuple(dict.fromkeys(f"${name}$" for name in MACRO.findall(text)))


def _fill(text: str, macros: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        return macros.get(found[1].upper(), found[0])[:MAX_ARGUMENT_CHARS]

    return MACRO.sub(value, text)
