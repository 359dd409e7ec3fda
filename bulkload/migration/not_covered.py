"""What another tool's check did that a plain monitor does not do.

In: the settings of one object of the source, by name, and the options of its command. Out: sentences. Only what is
written in the source is named, not the defaults of the tool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

CERTIFICATE = "The days before the certificate expires are not checked."
EXPECTED = "The text that the server is expected to send is not checked."
SENT = "The commands that are sent to the server are not sent."
THRESHOLDS = "The warning and critical thresholds of the response time are not checked."
PERIOD = "The period in which checks run is not imported; the monitor checks at all times."
MAINTENANCE = "Maintenance windows are not imported."
DEPENDENCIES = "Dependencies and parents are not imported; the monitor alerts also if what it depends on is down."
ACTIONS = "Event handlers and automatic actions are not imported."
RETRIES = "The number of retries before an alert is not imported; see retry_on_failure."
NOTIFICATIONS = "Contacts and notification rules are not imported."

_SENTENCES: Mapping[str, str] = {  # setting in any of the tools, in lower case without "_" → what is lost
    **dict.fromkeys(("checkperiod",), PERIOD),
    **dict.fromkeys(("eventhandler", "eventcommand", "integrationids", "integrations", "webhookid"), ACTIONS),
    **dict.fromkeys(("maxcheckattempts", "maxretries", "retryinterval", "retries", "confirmation"), RETRIES),
    **dict.fromkeys(("confirmationperiod", "sendnotificationwhendown", "triggerrate", "mspsensitivity"), RETRIES),
    **dict.fromkeys(("parents", "dependson", "dependsonid", "dependencies", "dependentresourceid"), DEPENDENCIES),
    **dict.fromkeys(("maintenance", "maintenancewindows", "mwindows", "maintenancewindowsids"), MAINTENANCE),
    **dict.fromkeys(("maintenancefrom", "maintenancewindowsid", "maintenanceids"), MAINTENANCE),
    **dict.fromkeys(("contacts", "contactgroups", "contactids", "alertcontacts", "contactgroup"), NOTIFICATIONS),
    **dict.fromkeys(("alerts", "userids", "teamids", "notificationidlist", "notificationprofileid"), NOTIFICATIONS),
    **dict.fromkeys(("stringtoexpect", "expectstring", "mspexpectstring", "keyword", "findstring"), EXPECTED),
    **dict.fromkeys(("tcpexpect", "smtpexpect", "searchstring", "requiredkeyword"), EXPECTED),
    **dict.fromkeys(("stringtosend", "mspsendstring", "tcpsend", "smtpcommand", "stringtosendtoserver"), SENT),
    **dict.fromkeys(("expirynotification", "sslexpirationreminder", "sslexpiration", "certwarndays"), CERTIFICATE),
    **dict.fromkeys(("smtpcertificateage", "tcpcertificate", "ssldowndaysbefore", "smtpcertificate"), CERTIFICATE),
    **dict.fromkeys(("sslcertvaliddayswarn", "ssldaysbeforeexpiration"), CERTIFICATE),
    **dict.fromkeys(("responsetimethreshold", "mspthreshold", "tcpwtime", "tcpctime", "thresholdms"), THRESHOLDS),
    **dict.fromkeys(("smtpwtime", "smtpctime", "imapwtime", "imapctime", "popwtime", "popctime"), THRESHOLDS),
    **dict.fromkeys(("smtpwarning", "smtpcritical", "simapwarning", "simapcritical"), THRESHOLDS),
}
_NOTHING = ("", "0", "none", "false", "24x7", "always", "[]", "{}", "-1")
_ONCE = ("maxcheckattempts",)  # 1 means that nothing is repeated

_COMMAND_OPTIONS: Mapping[str, str] = {  # of the Nagios plugins
    **dict.fromkeys(("w", "warning", "c", "critical"), THRESHOLDS),
    **dict.fromkeys(("e", "expect", "quit", "q", "all", "escape"), EXPECTED),
    **dict.fromkeys(("s", "send"), SENT),
    **dict.fromkeys(("D", "certificate"), CERTIFICATE),
}
_SMTP_OPTIONS: Mapping[str, str] = {  # whose letters differ
    "C": SENT,
    "command": SENT,
    "R": EXPECTED,
    "response": EXPECTED,
    "s": "",  # TLS
    "q": "",
}
_SSL_CERT_OPTIONS: Mapping[str, str] = {
    **dict.fromkeys(("w", "warning", "c", "critical"), CERTIFICATE),
    **dict.fromkeys(("e", "s", "q", "all", "expect", "send", "quit"), ""),
}

_MARKS: Sequence[tuple[str, str]] = (  # in the conditions of Gatus
    ("CERTIFICATE_EXPIRATION", CERTIFICATE),
    ("RESPONSE_TIME", THRESHOLDS),
    ("[BODY]", EXPECTED),
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


def named(*sentences: tuple[str, bool]) -> tuple[str, ...]:
    """Those of the sentences that apply, each once."""
    return tuple(dict.fromkeys(sentence for sentence, applies in sentences if applies))


def _is_set(name: str, value: object) -> bool:
    if value is None or (isinstance(value, list | dict | tuple) and not value):
        return False
    text = str(value).strip().casefold()
    return text not in _NOTHING and not (name in _ONCE and text in ("1", "1.0"))
