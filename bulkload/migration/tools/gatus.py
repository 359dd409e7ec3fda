"""Reads the endpoints of Gatus from `config.yaml`, also as JSON, or from all files of a configuration folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import Document
from bulkload.migration.durations import go_seconds
from bulkload.migration.json_listings import TCP, TLS, CheckType, ListingFormat, translate_items
from bulkload.migration.parsing import (
    MAX_SHOWN_CHARS,
    SourceObject,
    UnreadableValue,
    as_bool,
    as_text,
    lookup,
    refuse_unresolved,
)

NAME, TITLE = "gatus", "Gatus"

DEFAULT_INTERVAL = 60.0  # seconds
DEFAULT_TIMEOUT = 10.0  # seconds

# Checked before the file is parsed: most text is not YAML, and docker-compose.yml also has services.
_LISTS = ("endpoints", "services", "external-endpoints", "suites")
_LIST = re.compile(r"^[\"']?(?:endpoints|services|external-endpoints|suites)[\"']?[ \t]*:", re.MULTILINE)
_ENTRY = re.compile(r"^(?:[ \t]+|[ \t]*-[ \t]+)[\"']?(?:conditions|token)[\"']?[ \t]*:", re.MULTILINE)

_VARIABLE = re.compile(r"\$\$|\$\{(\w+)\}|\$(\w+)")
_INVERTED_CONDITION = re.compile(r"\[CONNECTED\]\s*(?:==\s*false|!=\s*true)", re.IGNORECASE)


def _adapt(item: SourceObject) -> Iterable[SourceObject]:
    if lookup(item, "type") is not None and lookup(item, "listed") is not None:
        return (item,)
    url = _normalise_variables(as_text(lookup(item, "url"), "url"))
    scheme, separator, address = url.partition("://")
    if not separator:
        refuse_unresolved(url, "url")
        raise UnreadableValue("The url has no scheme such as starttls:// or tcp://.")
    is_mail = scheme.lower() in FORMAT.types
    return (
        {
            **item,
            "name": _normalise_variables(as_text(lookup(item, "name"), "name")),
            "type": "dns" if lookup(item, "dns") is not None else scheme,
            "hostname": address,
            "interval": _seconds(lookup(item, "interval"), "interval") or DEFAULT_INTERVAL if is_mail else None,
            "timeout": _seconds(lookup(item, "client.timeout"), "timeout") or DEFAULT_TIMEOUT if is_mail else None,
            "labels": _labels(item),
        },
    )


def _normalise_variables(text: str) -> str:
    """Write $NAME as ${NAME}, and $$ as $."""
    return _VARIABLE.sub(lambda match: f"${{{match[1] or match[2]}}}" if match[0] != "$$" else "$", text)


def _seconds(value: object, field_name: str) -> float:
    text = _normalise_variables(as_text(value, field_name))
    refuse_unresolved(text, field_name)
    seconds = go_seconds(text) if text else 0.0
    if seconds is None:
        raise UnreadableValue(
            f"The {field_name} is {text[:MAX_SHOWN_CHARS]!r}; a duration such as 30s, 5m or 1h30m is required."
        )
    return seconds


def _labels(item: SourceObject) -> list[object]:
    labels = lookup(item, "extra-labels")
    pairs = labels.items() if isinstance(labels, Mapping) else ()
    return [lookup(item, "group"), *({"name": name, "value": value} for name, value in pairs)]


def _skip_reason(item: SourceObject) -> str:
    conditions = lookup(item, "conditions")
    for condition in conditions if isinstance(conditions, list) else ():
        if isinstance(condition, str) and _INVERTED_CONDITION.search(condition):
            return "The endpoint is inverted: it succeeds when the connection fails."
    if lookup(item, "client.tunnel") is not None:
        return "The endpoint is reached through an SSH tunnel, not directly."
    return ""


def _paused(item: SourceObject) -> bool:
    enabled = lookup(item, "enabled")
    return enabled is not None and not as_bool(enabled, "enabled")


FORMAT = ListingFormat(
    title=TITLE,
    noun="endpoint",
    lists=_LISTS,
    required_keys=(("url", "token", "endpoints"), ("name", "conditions")),
    interval=("interval",),
    timeout=("timeout",),
    tags=("labels",),
    types={"starttls": CheckType(type="smtp", tls="starttls"), "tls": TLS, "tcp": TCP},
    not_mail={
        "external-endpoints": "An external endpoint only receives results from another program.",
        "suites": "A suite is a sequence of requests, not a mail check.",
    },
    paused=_paused,
    adapt=_adapt,
    skip_reason=_skip_reason,
)


def recognises(document: Document) -> bool:
    """Whether the document is YAML or JSON with endpoints that have conditions."""
    head = document.head
    is_block_yaml = document.format == "text" and bool(_LIST.search(head) and _ENTRY.search(head))
    if not (is_block_yaml or document.format == "json" or ("conditions" in head and document.is_flow_yaml)):
        return False
    return any(_is_endpoint(entry) for entry in _entries(document.json_or_yaml()))


def translate(documents: Sequence[Document]) -> Iterator[Check | SkippedObject]:
    """Yield a check or a skipped object for every endpoint, external endpoint and suite."""
    for document in documents:
        content = document.json_or_yaml()
        if not any(isinstance(lookup(part, key), list) for part in _parts(content) for key in _LISTS):
            raise InputError(f"{document.name} contains no list of {TITLE} endpoints ('endpoints').")
        yield from translate_items(FORMAT, [(document, list(_entries(content)))])


def _parts(content: object) -> list[object]:
    """The YAML documents of the file."""
    return content if isinstance(content, list) else [content]


def _entries(content: object) -> Iterator[object]:
    for part in _parts(content):
        for key in _LISTS:
            entries = lookup(part, key)
            for entry in entries if isinstance(entries, list) else ():
                if key in FORMAT.not_mail and isinstance(entry, Mapping):
                    yield {"name": lookup(entry, "name"), "type": key, "listed": key}
                else:
                    yield entry


def _is_endpoint(entry: object) -> bool:
    return isinstance(entry, Mapping) and (
        lookup(entry, "listed") is not None or ("url" in entry and "conditions" in entry)
    )
