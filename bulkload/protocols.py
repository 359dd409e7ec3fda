"""The table of mail protocols with their monitor types, URL schemes and ports.

The names of the types are the API's (https://support.smartbear.com/alertsite/docs/dev/api/v3/); the ports are IANA's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

LOWEST_PORT, HIGHEST_PORT = 1, 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """A mail protocol that one monitor type checks."""

    name: str  # as users and other tools write it
    type: str  # monitor type, as the API names it
    plain_port: int  # the default of the type; TLS, if used, begins with STARTTLS
    tls_port: int  # TLS from the first byte
    schemes: tuple[str, ...]  # of URLs; the first is the usual one
    tls_schemes: tuple[str, ...]
    other_ports: tuple[int, ...] = ()  # also used for this protocol


PROTOCOLS = (
    Protocol(name="imap", type="email-imap", plain_port=143, tls_port=993, schemes=("imap",), tls_schemes=("imaps",)),
    Protocol(
        name="pop",
        type="email-pop",
        plain_port=110,
        tls_port=995,
        schemes=("pop3", "pop"),
        tls_schemes=("pop3s", "pops"),
    ),
    Protocol(
        name="smtp",
        type="email-smtp",
        plain_port=25,
        tls_port=465,
        schemes=("smtp",),
        tls_schemes=("smtps",),
        other_ports=(587,),
    ),
)
ROUND_TRIP = "email-round-trip"  # monitors of this type send a message and fetch it again
SUBMISSION, SUBMISSION_PORT = "submission", 587  # RFC 6409; checked by monitors of type email-smtp
UNOFFICIAL_PORTS = {2525: "smtp"}  # used by many services, but not registered
SIMILAR_PORTS = {24: "LMTP", 220: "IMAP3", 4190: "ManageSieve"}  # mail protocols that no monitor type checks

SERVER_TYPES = tuple(protocol.type for protocol in PROTOCOLS)
MONITOR_TYPES = (*SERVER_TYPES, ROUND_TRIP)
OTHER_TYPES = frozenset(  # monitor types other than mail, as the API names them
    {"api", "bitbar", "dejaclick", "ftp", "ftp-ssl", "name-server", "ping", "selenium", "serveragent", "tcp"}
    | {"website", "website-api", "website-ssl", "website-ssl-api"}
)

PLAIN_PORTS: Mapping[str, int] = {protocol.type: protocol.plain_port for protocol in PROTOCOLS}
USUAL_PORTS: Mapping[str, frozenset[int]] = {  # by type
    protocol.type: frozenset((protocol.plain_port, protocol.tls_port, *protocol.other_ports)) for protocol in PROTOCOLS
}
SCHEMES: Mapping[str, tuple[str, int | None]] = {  # scheme → monitor type, and the port that the scheme implies
    **{
        scheme: (protocol.type, port)
        for protocol in PROTOCOLS
        for schemes, port in ((protocol.schemes, None), (protocol.tls_schemes, protocol.tls_port))
        for scheme in schemes
    },
    SUBMISSION: ("email-smtp", SUBMISSION_PORT),
}
SCHEME_OF_PORT: Mapping[int, str] = {  # the usual scheme that implies a port
    **{protocol.tls_port: protocol.tls_schemes[0] for protocol in PROTOCOLS},
    SUBMISSION_PORT: SUBMISSION,
}


def usual_scheme(scheme: str) -> str:
    """The usual spelling of a scheme: pop3s for pops. An unknown scheme is returned unchanged."""
    for protocol in PROTOCOLS:
        for schemes in (protocol.schemes, protocol.tls_schemes):
            if scheme in schemes:
                return schemes[0]
    return scheme
