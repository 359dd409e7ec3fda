"""What another tool's check did that a plain monitor does not do.

In: the settings of one object of the source, by name, and the options of its command. Out: sentences. Only what is
written in the source is named, not the defaults of the tool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

_CERTIFICATE = "The days before the certificate expires are not checked."
_EXPECTED = "The text that the server is expected to send is not checked."
_SENT = "The commands that are sent to the server are not sent."
_THRESHOLDS = "The warning and critical thresholds of the response time are not checked."
_PERIOD = "The period in which checks run is not imported; the monitor checks at all times."
_MAINTENANCE = "Maintenance windows are not imported."
_DEPENDENCIES = "Dependencies and parents are not imported; the monitor alerts also if what it depends on is down."
_ACTIONS = "Event handlers and automatic actions are not imported."
_RETRIES = "The number of retries before an alert is not imported; see retry_on_failure."
_NOTIFICATIONS = "Contacts and notification rules are not imported."

_SENTENCES: Mapping[str, str] = {  # setting in any of the tools, in lower case without "_" → what is lost
    **dict.fromkeys(("checkperiod",), _PERIOD),
    **dict.fromkeys(("eventhandler", "eventcommand", "integrationids", "integrations", "webhookid"), _ACTIONS),
    **dict.fromkeys(("maxcheckattempts", "maxretries", "retryinterval", "retries", "confirmation"), _RETRIES),
    **dict.fromkeys(("confirmationperiod", "sendnotificationwhendown", "triggerrate", "mspsensitivity"), _RETRIES),
    **dict.fromkeys(("parents", "dependson", "dependsonid", "dependencies", "dependentresourceid"), _DEPENDENCIES),
    **dict.fromkeys(("maintenance", "maintenancewindows", "mwindows", "maintenancewindowsids"), _MAINTENANCE),
    **dict.fromkeys(("maintenancefrom", "maintenancewindowsid", "maintenanceids"), _MAINTENANCE),
    **dict.fromkeys(("contacts", "contactgroups", "contactids", "alertcontacts", "contactgroup"), _NOTIFICATIONS),
    **dict.fromkeys(("alerts", "userids", "teamids", "notificationidlist", "notificationprofileid"), _NOTIFICATIONS),
    **dict.fromkeys(("stringtoexpect", "expectstring", "mspexpectstring", "keyword", "findstring"), _EXPECTED),
    **dict.fromkeys(("tcpexpect", "smtpexpect", "searchstring", "requiredkeyword"), _EXPECTED),
    **dict.fromkeys(("stringtosend", "mspsendstring", "tcpsend", "smtpcommand", "stringtosendtoserver"), _SENT),
    **dict.fromkeys(("expirynotification", "sslexpirationreminder", "sslexpiration", "certwarndays"), _CERTIFICATE),
    **dict.fromkeys(("smtpcertificateage", "tcpcertificate", "ssldowndaysbefore", "smtpcertificate"), _CERTIFICATE),
    **dict.fromkeys(("sslcertvaliddayswarn", "ssldaysbeforeexpiration"), _CERTIFICATE),
    **dict.fromkeys(("responsetimethreshold", "mspthreshold", "tcpwtime", "tcpctime", "thresholdms"), _THRESHOLDS),
    **dict.fromkeys(("smtpwtime", "smtpctime", "imapwtime", "imapctime", "popwtime", "popctime"), _THRESHOLDS),
    **dict.fromkeys(("smtpwarning", "smtpcritical", "simapwarning", "simapcritical"), _THRESHOLDS),
}
_NOTHING = ("", "0", "none", "false", "24x7", "always", "[]", "{}", "-1")
_ONCE = ("maxcheckattempts",)  # 1 means that nothing is repeated

_COMMAND_OPTIONS: Mapping[str, str] = {  # of the Nagios plugins
    **dict.fromkeys(("w", "warning", "c", "critical"), _THRESHOLDS),
    **dict.fromkeys(("e", "expect", "quit", "q", "all", "escape"), _EXPECTED),
    **dict.fromkeys(("s", "send"), _SENT),
    **dict.fromkeys(("D", "certificate"), _CERTIFICATE),
}
_SMTP_OPTIONS: Mapping[str, str] = {  # whose letters differ
    "C": _SENT,
    "command": _SENT,
    "R": _EXPECTED,
    "response": _EXPECTED,
    "s": "",  # TLS
    "q": "",
}
_SSL_CERT_OPTIONS: Mapping[str, str] = {
    **dict.fromkeys(("w", "warning", "c", "critical"), _CERTIFICATE),
    **dict.fromkeys(("e", "s", "q", "all", "expect", "send", "quit"), ""),
}

_MARKS: Sequence[tuple[str, str]] = (  # in the conditions of Gatus
    ("CERTIFICATE_EXPIRATION", _CERTIFICATE),
    ("RESPONSE_TIME", _THRESHOLDS),
    ("[BODY]", _EXPECTED),
)


def of_settings(settings: Mapping[str, object]) -> tuple[str, ...]:
    """Sentences about the settings of one object that have a value and no counterpart."""
    found: dict[str, None] = {}
    for name, value in settings.items():
        if not isinstance(name, str):
            continue
        plain = name.casefold().replace("_", "").replace("-", "").replace(".", "")
        if plain == "conditions":
            text = str(value)
            found.update((sentence, None) for mark, sentence in _MARKS if mark in text)
        elif (sentence := _SENTENCES.get(plain)) and _is_set(plain, value):
            found[sentence] = None
    return tuple(found)


def of_command(plugin: str, options: Iterable[str]) -> tuple[str, ...]:
    """Sentences about the options of a Nagios plugin."""
    own: Mapping[str, str] = {}
    if "smtp" in plugin:
        own = _SMTP_OPTIONS
    elif plugin.startswith("check_ssl_cert"):
        own = _SSL_CERT_OPTIONS
    sentences = (own.get(option, _COMMAND_OPTIONS.get(option, "")) for option in options)
    return tuple(dict.fromkeys(filter(None, sentences)))


def dependent_services(objects: Iterable[tuple[str, Callable[[str], str]]]) -> frozenset[tuple[str, str]]:
    """The services (host, description) that depend on others, of objects of Nagios as type and getter."""
    return frozenset(
        (host.strip(), get("dependent_service_description"))
        for kind, get in objects
        if kind == "servicedependency"
        for host in get("dependent_host_name").split(",")
    )


def dependency() -> str:
    """The sentence about dependencies."""
    return _DEPENDENCIES


def _is_set(name: str, value: object) -> bool:
    if value is None or (isinstance(value, list | dict | tuple) and not value):
        return False
    text = str(value).strip().casefold()
    return text not in _NOTHING and not (name in _ONCE and text in ("1", "1.0"))
