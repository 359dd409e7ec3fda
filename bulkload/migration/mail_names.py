"""Judges whether a command or plugin that is not supported may test a mail port.

In: names and arguments. Out: yes or no. A yes makes the service an error, which the user must look at; so names that
are known to test something else come first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from bulkload.migration.checks import NAME_OF_PORT

# The monitoring plugins, and the commands of the stock configuration, that never test a mail port
_NOT_MAIL = re.compile(
    r"""check_(?:local_)?(?:
    apt|breeze|clamd|clamav|cluster|cpu|curl|dbi|dhcp|dig|disks?|disk_smb|dns|dummy|file_age|flexlm|fping|ftp|game|hpjd|
    host|host_?alive|https?|icmp|ide_smart|ifoperstatus|ifstatus|interfaces|ircd|jabber|ldaps?|load|log|mem|memory|mrtg|
    mrtgtraf|mysql|mysql_query|nagios|nntps?|nt|ntp|ntp_peer|ntp_time|nwstat|oracle|overcr|pgsql|ping[46]?|procs|radius|
    real|rpc|rta_multi|sensors|snmp|ssh|swap|tcptraffic|time|traffic|udp|uptime|ups|users|wave)""",
    re.VERBOSE,
)
_EXTENSION = re.compile(r"\.(?:pl|py|sh|rb|php|exe|bin|bash|ksh|lua|js|jar)\Z|_epn\Z")
# "pop" is a word of its own, since it is also a part of others (popularity)
_MAIL = re.compile(r"smtp|imap|pop3|mail|submission|(?<![a-z])s?pops?(?![a-z])")
_QUEUE = re.compile(r"mailq|queue")
_OTHER_MAIL = re.compile(r"webmail|mailman|mail[_-]?(?:log|graph|stats?)")
_AGENT = re.compile(r"snmp|ipmi|wmi|nrpe|ncpa|by_ssh")  # what is asked instead of a mail server
_DESCRIPTION = re.compile(r"(?<![a-z])(?:(?:e?smtp|s?imap4?|s?pop3)s?|pops|submission)(?![a-z])")
_PORT = re.compile(r"(?:[:=]|-p)([0-9]{1,5})\Z")
_NUMBER = re.compile(r"[0-9]{1,5}")
_PORT_OPTIONS = frozenset({"-p", "-P", "-port", "--port"})
_TESTS_PORTS = re.compile(r"port|tcp|ssl|tls|cert|x509|connect|socket|telnet|banner|service")


def plain_name(name: str) -> str:
    """Return the name of a plugin in lower case, without its extension: check_imaps.py → check_imaps."""
    name = name.lower()
    while shorter := _EXTENSION.sub("", name):
        if shorter == name:
            break
        name = shorter
    return name


def is_known_not_mail(name: str) -> bool:
    """Whether a plugin or a standard command tests something other than mail."""
    plain = plain_name(name).replace("-", "_")
    return _NOT_MAIL.fullmatch(plain) is not None or _AGENT.search(plain) is not None


def tests_a_queue(name: str) -> bool:
    """Whether a plugin tests a queue of messages, which has no port."""
    return bool(_QUEUE.search(name.lower()))


def suggests_mail(name: str) -> bool:
    """Whether the name of an unknown command or plugin suggests a test of a mail port."""
    plain = plain_name(name)
    if is_known_not_mail(plain) or tests_a_queue(plain):
        return False
    return bool(_MAIL.search(_OTHER_MAIL.sub("", plain)))


def describes_mail(description: str) -> bool:
    """Whether the description of a service contains the name of a mail protocol as a word."""
    return bool(_DESCRIPTION.search(description.lower().replace("_", " ")))


def is_given_mail_port(name: str, arguments: Sequence[str]) -> bool:
    """Whether a command is given the port of a mail protocol: -p 993, --port=993 or mx:993.

    A bare number may be a threshold as well (25 %), so it counts only if the command's name speaks of ports.
    """
    takes_ports = _TESTS_PORTS.search(name.lower()) is not None
    for previous, argument in pairwise(("", *arguments)):
        text = argument.strip()
        is_number = _NUMBER.fullmatch(text) and (takes_ports or previous in _PORT_OPTIONS)
        match = _PORT.search(text)
        port = text if is_number else match[1] if match else ""
        if port and int(port) in NAME_OF_PORT:
            return True
    return False
