"""Resolves the check commands of Nagios and its forks.

In: a service on a host and its command. Out: the command line with arguments and macros replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bulkload.migration import mail_names
from bulkload.migration.tools.nagios.inheritance import ResolvedObject
from bulkload.migration.tools.nagios.plugins import UnsupportedCommand

MAX_LINE_CHARS = 8192  # of a command line; the limit of Nagios
MAX_ARGUMENT_CHARS = 1024  # of the value of one macro
MACRO = re.compile(r"\$([A-Za-z_][\w:.-]*)\$")

# Commands of Debian and of the stock configuration, used if their definitions are not in the input. Additional
# arguments are added if they are options; any other argument indicates a different definition.
_STANDARD_COMMANDS = {
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


def split_command(value: str) -> tuple[str, list[str]]:
    """Split a `check_command` into its name and arguments; `\\!` is a literal exclamation mark."""
    name, *arguments = re.split(r"(?<!\\)!", value)
    return name.strip(), [argument.replace("\\!", "!") for argument in arguments]


def standard_command(name: str, arguments: Sequence[str]) -> str | None:
    """Return the command line of a standard command, or None if it is not one."""
    line = _STANDARD_COMMANDS.get(name.removesuffix("_4"))
    if line is None:
        return None
    used_count = 1 if "$ARG1$" in line else 0
    additional = [argument for argument in arguments[used_count:] if argument.strip()]
    if line.startswith("check_nrpe") or line.startswith("check_by_ssh"):
        return line
    if any(not argument.lstrip().startswith("-") for argument in additional):
        return None
    return " ".join([line, *(f"$ARG{number}$" for number in range(used_count + 1, len(arguments) + 1))])


def undefined_command(name: str, arguments: Sequence[str], description: str) -> UnsupportedCommand:
    """Return an error for an undefined command that may test a mail port, and otherwise a reason to skip it."""
    if mail_names.is_known_not_mail(name):
        return UnsupportedCommand(reason=f"{name} does not test a mail port.")
    if mail_names.tests_a_queue(name):
        return UnsupportedCommand(reason=f"{name} checks a mail queue, not a mail port.")
    may_be_mail = (
        mail_names.suggests_mail(name)
        or mail_names.describes_mail(description)
        or mail_names.is_given_mail_port(name, arguments)
        or (name.startswith("check_tcp") and any(MACRO.search(argument) for argument in arguments))
    )
    advice = "; add the file that defines it" if may_be_mail else ""
    return UnsupportedCommand(reason=f"The command {name} is not defined in these files{advice}.", error=may_be_mail)


def command_line(line: str, arguments: Sequence[str], macros: Mapping[str, str]) -> str:
    """Replace the arguments and macros in a command line. Macros without a value are left unchanged."""
    values = [_expand(argument[:MAX_LINE_CHARS], macros)[:MAX_ARGUMENT_CHARS] for argument in arguments[:32]]
    numbered = {f"ARG{number}": value for number, value in enumerate(values, 1)}
    empty = {f"ARG{number}": "" for number in range(len(values) + 1, 33)}  # Nagios has 32
    return _expand(line[:MAX_LINE_CHARS], {**macros, **empty, **numbered})[:MAX_LINE_CHARS]


def macros_of(service: ResolvedObject, host_name: str, host: ResolvedObject | None) -> dict[str, str]:
    """Return the macros of a service on a host that the configuration files define."""
    standard = {"HOSTNAME": host_name, "SERVICEDESC": service.get("service_description")}
    custom = {f"_SERVICE{key[1:]}": value for key, value in service.directives.items() if key.startswith("_")}
    if host is not None:
        standard["HOSTADDRESS"] = host.get("address") or host_name
        standard["HOSTALIAS"] = host.get("alias") or host_name
        standard["HOSTDISPLAYNAME"] = host.get("display_name") or host_name
        custom.update({f"_HOST{key[1:]}": text for key, text in host.directives.items() if key.startswith("_")})
    # the packs of Shinken set custom variables to macros, such as _IMAP_ADDRESS to $HOSTADDRESS$
    return {**standard, **{key: _expand(value, standard) for key, value in custom.items()}}


def unresolved_macros(text: str) -> tuple[str, ...]:
    """Return the macros that remain in a text."""
    return tuple(dict.fromkeys(f"${name}$" for name in MACRO.findall(text)))


def _expand(text: str, macros: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        return macros.get(match[1].upper(), match[0])[:MAX_ARGUMENT_CHARS]

    return MACRO.sub(value, text)
