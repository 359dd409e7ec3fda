"""Judges whether a command or plugin that is not supported may test a mail port.

In: names and arguments. Out: yes or no. A yes makes the service an error, which the user must look at; so names that
are known to test something else come first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from bulkload.migration.checks import NAME_OF_PORT

# The monitoring plugins, and the commands of the stock configuration, that never test a mail port
_NOT_MAIL = re.compile(
    r"""check_(?:local_)?(?:
    apt|breeze|clamd|clamav|cluster|cpu|curl|dbi|dhcp|dig|disks?|disk_smb|dns|dummy|file_age|flexlm|fping|ftp|game|hpjd|
    host|host_alive|https?|icmp|ide_smart|ifoperstatus|ifstatus|interfaces|ircd|jabber|ldaps?|load|log|mem|memory|mrtg|
    mrtgtraf|mysql|mysql_query|nagios|nntps?|nt|ntp|ntp_peer|ntp_time|nwstat|oracle|overcr|pgsql|ping[46]?|procs|radius|
    real|rpc|rta_multi|sensors|snmp|ssh|swap|tcptraffic|time|traffic|udp|uptime|ups|users|wave)""",
    re.VERBOSE,
)
_EXTENSION = re.compile(r"\.(?:pl|py|sh|rb|php|exe|bin|bash|ksh|lua|js|jar)\Z|_epn\Z")
# "pop" is a word of its own, since it is also a part of others (popularity)
_MAIL = re.compile(r"smtp|imap|pop3|mail|submission|(?<![a-z])s?pops?(?![a-z])")
_QUEUE = re.compile(r"mailq|queue")
_OTHER_MAIL = re.compile(r"webmail|mailman|mail[_-]?(?:log|graph|stats?)|(?:snmp|ipmi)")
_DESCRIPTION = re.compile(r"(?<![a-z])(?:(?:e?smtp|s?imap4?|s?pop3)s?|pops|submission)(?![a-z])")
_PORT = re.compile(r"(?:\A|[:=]|-p)([0-9]{1,5})\Z")


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
    return _NOT_MAIL.fullmatch(plain_name(name).replace("-", "_")) is not None


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


def contains_mail_port(arguments: Iterable[str]) -> bool:
    """Whether one of the arguments is the port of a mail protocol: 993, -p993, --port=993 or mx:993."""
    ports = (_PORT.search(argument.strip()) for argument in arguments)
    return any(port is not None and int(port[1]) in NAME_OF_PORT for port in ports)
