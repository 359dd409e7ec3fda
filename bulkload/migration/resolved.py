"""Checks whose type, host and port are determined: merges duplicates, and says what was assumed about each.

In: the checks of one input. Out: one check for each type, host and port, and the sentences about it. A sentence about a
merged check is true of all checks that were merged into it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bulkload.migration.checks import Check, SkippedObject
from bulkload.protocols import PROTOCOLS

TLS_PORTS = {protocol.name: protocol.tls_port for protocol in PROTOCOLS}

MAX_MERGED_SHOWN = 20  # merged checks that a row lists


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedCheck:
    """A check whose type, host and port are determined."""

    check: Check
    type: str
    host: str
    port: int | None
    type_inferred: bool = False  # from the port of a plain TCP check
    port_assumed: bool = False  # the source has none
    is_private: bool = False  # public locations cannot reach the host
    changes: tuple[str, ...] = ()


def merge_duplicates(items: Sequence[ResolvedCheck]) -> tuple[list[ResolvedCheck], list[SkippedObject]]:
    """Merge checks of the same type, host and port. Monitors of AlertSite itself are not merged."""
    groups: dict[tuple[object, ...], list[ResolvedCheck]] = {}
    for index, item in enumerate(items):
        key: tuple[object, ...] = (index,) if item.check.extra else (item.type, item.host, item.port)
        groups.setdefault(key, []).append(item)
    duplicates = [
        SkippedObject(
            origin=item.check.origin,
            reason=f"The check is merged into {first.check.origin}, which has the same type, host and port.",
        )
        for first, *rest in groups.values()
        for item in rest
    ]
    return [_merge_group(group) if len(group) > 1 else group[0] for group in groups.values()], duplicates


def remarks_of(item: ResolvedCheck) -> list[str]:
    """What the note says about a row, beside the note of the source."""
    remarks = []
    if item.is_private:
        remarks.append("private or local host, not reachable from public locations")
    if item.type_inferred:
        remarks.append("type inferred from TCP port")
    if item.check.tls == "starttls":
        remarks.append("STARTTLS in the source")
    elif item.check.tls == "implicit" and item.port not in TLS_PORTS.values():
        remarks.append("TLS in the source")
    if item.check.has_login:
        remarks.append("login in the source, enter it again")
    return remarks


def changes_of(item: ResolvedCheck) -> list[str]:
    """Sentences about a row: what the reader and the rules assumed, changed or could not import."""
    changes = [*item.check.changes, *item.changes]
    if item.type_inferred:
        changes.append(f"The type {item.type} is inferred from TCP port {item.port}.")
    if item.port_assumed:
        changes.append(f"The source has no port; {item.port}, the default port of {item.type}, is used.")
    if item.check.has_login:
        changes.append("The source logs in; its user name and password are not imported.")
    return changes


def _merge_group(group: Sequence[ResolvedCheck]) -> ResolvedCheck:
    """Return the first check, with the shortest interval and the tags of all.

    A paused check does not disable an enabled one, and its interval is ignored. What one of them states is not inferred
    or assumed, even if another one does not state it.
    """
    first, checks = group[0], [item.check for item in group]
    enabled = any(check.enabled for check in checks)
    relevant = [check for check in checks if check.enabled == enabled]
    with_interval = [check for check in relevant if check.interval_seconds is not None]
    shortest = min(with_interval, key=lambda check: check.interval_seconds or 0, default=relevant[0])
    check = replace(
        first.check,
        enabled=enabled,
        interval_seconds=shortest.interval_seconds,
        timeout_seconds=relevant[0].timeout_seconds,
        tags=tuple(dict.fromkeys(tag for check in checks for tag in check.tags)),
        tls=next((check.tls for check in checks if check.tls in ("starttls", "implicit")), first.check.tls),
        has_login=any(check.has_login for check in checks),
        changes=tuple(dict.fromkeys((*relevant[0].changes, *shortest.changes))),
        not_covered=tuple(dict.fromkeys(sentence for check in checks for sentence in check.not_covered)),
    )
    merged = [
        f"Another check of the same type, host and port is merged: {duplicate.origin}."
        for duplicate in checks[1 : MAX_MERGED_SHOWN + 1]
    ]
    if len(checks) > MAX_MERGED_SHOWN + 1:
        merged.append(f"{len(checks) - 1 - MAX_MERGED_SHOWN} more duplicates are merged.")
    return replace(
        first,
        check=check,
        type_inferred=all(item.type_inferred for item in group),
        port_assumed=all(item.port_assumed for item in group),
        changes=(*first.changes, *merged),
    )
