"""How an account shows one monitor that was just made, field by field.

In: what was asked for, and what is shown of it. Out: one finding, and what it teaches.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from bulkload.monitors.display_profile import Observation
from bulkload.monitors.identity import asked_identity, differences, listed_identity
from bulkload.monitors.values import show
from bulkload.operations.doctor.findings import Finding, Item, unset
from bulkload.stages.matching import IDENTIFYING_FIELDS


def seen_of(kind: str, body: Mapping[str, object], item: Item) -> Observation | None:
    """Compare who was asked for with who is shown; None: it is not shown as a mail monitor."""
    shown = listed_identity(item)
    return None if shown is None else Observation.of(asked_identity(kind, body), shown)


def otherwise(kind: str, body: Mapping[str, object], item: Item) -> dict[str, str]:
    """Say of each field how it is shown, where that is not as it was sent."""
    found = {}
    for field, sent in {"type": kind, **body}.items():
        if field not in item:
            found[field] = "left out"
        elif item[field] != sent or type(item[field]) is not type(sent):
            value = item[field]
            found[field] = f"as {show(value)}" if isinstance(value, str) and value else f"as {json.dumps(value)}"
    return found


def how_shown(topic: str, kind: str, body: Mapping[str, object], item: Item) -> Finding:
    """Say how a monitor is shown."""
    seen = seen_of(kind, body, item)
    others = otherwise(kind, body, item)
    parts = [f"{field} {words}" for field, words in others.items()]
    if whole := [field for field in ("type", *body) if field not in others]:
        parts.insert(0, f"as sent: {', '.join(whole)}" if parts else f"all {len(whole)} fields as sent")
    if state := unset(item, "ipv4"):
        parts.append(f"ipv4, which was not sent, {state if state == 'left out' else f'as {state}'}")
    changed = sorted(set(differences(body, item)) - {*IDENTIFYING_FIELDS})
    problem = True
    if seen is None or seen.alterations is None:
        follows = "bulkload would not recognise its own monitors; a create whose response is lost stays unknown"
    elif changed:
        verb = "is" if len(changed) == 1 else "are"
        follows = f"{', '.join(changed)} {verb} not stored as requested; run --verify names the fields"
    else:
        follows, problem = "recognised anyway" if others or seen.alterations else "recognised", False
    return Finding(topic=topic, account="; ".join(parts), follows=follows, problem=problem)
