"""Reads checks of Uptime.com (`GET /api/v1/checks/` as JSON)."""

from __future__ import annotations

from collections.abc import Iterable

from bulkload.migration.checks import Tls
from bulkload.migration.json_listings import IMAP, MINUTE, POP, SMTP, TCP, TLS, ListingFormat, is_true, reader
from bulkload.migration.parsing import SourceObject, as_text, lookup

NAME, TITLE = "uptime-com", "Uptime.com"

_NO_ENCRYPTION = frozenset({"", "none", "no", "off"})
_TLS_PORTS = frozenset({"465", "993", "995"})
_HTTPS_PORT = 443  # default port of a certificate check


def _adapt(item: SourceObject) -> Iterable[SourceObject]:
    is_certificate = as_text(lookup(item, "check_type"), "type").upper() == "SSL_CERT"
    if is_certificate and lookup(item, "msp_port") is None:
        return ({**item, "msp_port": _HTTPS_PORT},)
    return (item,)


def _encryption(item: SourceObject) -> str:
    return as_text(lookup(item, "msp_encryption"), "encryption").lower()


def _tls(item: SourceObject) -> Tls:
    encryption = _encryption(item)
    if "starttls" in encryption:
        return "starttls"
    uses_tls_port = as_text(lookup(item, "msp_port"), "port") in _TLS_PORTS
    return "implicit" if encryption not in _NO_ENCRYPTION and uses_tls_port else "unknown"


def _encrypted(item: SourceObject) -> Iterable[str]:
    if _encryption(item) not in _NO_ENCRYPTION and _tls(item) == "unknown":
        yield "The check uses encryption; the export does not say whether this is TLS or STARTTLS."


FORMAT = ListingFormat(
    title=TITLE,
    noun="check",
    lists=("results",),
    required_keys=(("check_type",), ("msp_address", "msp_interval")),
    id=("pk", "id"),
    type=("check_type",),
    hostname=("msp_address",),
    port=("msp_port",),
    interval=("msp_interval",),
    interval_unit=MINUTE,
    note=("msp_notes",),
    login=("msp_username", "msp_password"),
    types={"smtp": SMTP, "pop": POP, "pop3": POP, "imap": IMAP, "tcp": TCP, "ssl_cert": TLS},
    paused=is_true("is_paused"),
    tls=_tls,
    adapt=_adapt,
    changes=_encrypted,
)
recognises, translate = reader(FORMAT)
