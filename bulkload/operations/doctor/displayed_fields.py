"""Compare how an account displays a new monitor with what was sent, field by field.

In: the body of a create, and the monitor as the API returns it. Out: a finding, and an observation to learn from.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from bulkload.monitors.display_profile import Observation
from bulkload.monitors.identity import asked_identity, differences, listed_identity
from bulkload.monitors.values import show
from bulkload.operations.doctor.finding import Finding, Item
from bulkload.stages.matching import IDENTIFYING_FIELDS

UNSET_VALUES = {None: "null", "": '""'}


def observation_of(monitor_type: str, body: Mapping[str, object], item: Item) -> Observation | None:
    """Compare the requested identity with the displayed one; None if it is not displayed as a mail monitor."""
    displayed = listed_identity(item)
    return None if displayed is None else Observation.of(asked_identity(monitor_type, body), displayed)


def altered_fields(monitor_type: str, body: Mapping[str, object], item: Item) -> dict[str, str]:
    """How each field is displayed that is not displayed as sent."""
    altered = {}
    for field, sent in {"type": monitor_type, **body}.items():
        if field not in item:
            altered[field] = "omitted"
        elif item[field] != sent or type(item[field]) is not type(sent):
            value = item[field]
            altered[field] = show(value) if isinstance(value, str) and value else json.dumps(value)
    return altered


def fields_finding(topic: str, monitor_type: str, body: Mapping[str, object], item: Item) -> Finding:
    """How a monitor's fields are displayed."""
    observation = observation_of(monitor_type, body, item)
    altered = altered_fields(monitor_type, body, item)
    parts = [f"{field}: {value}" for field, value in altered.items()]
    if unaltered := [field for field in ("type", *body) if field not in altered]:
        parts.insert(0, f"as sent: {', '.join(unaltered)}" if parts else f"all {len(unaltered)} fields as sent")
    if value := unset_value(item, "ipv4"):
        parts.append(f"ipv4 (not sent): {value}")
    not_stored = sorted(set(differences(body, item)) - {*IDENTIFYING_FIELDS})
    is_problem = True
    if observation is None or observation.alterations is None:
        consequence = (
            "bulkload would not recognise its own monitors; if the response to a create is lost, its row stays unknown"
        )
    elif not_stored:
        verb = "is" if len(not_stored) == 1 else "are"
        consequence = f"{', '.join(not_stored)} {verb} not stored as sent; run --verify reports the differences"
    else:
        is_altered = bool(altered or observation.alterations)
        consequence, is_problem = "recognised despite the differences" if is_altered else "recognised", False
    return Finding(topic=topic, behaviour="; ".join(parts), consequence=consequence, is_problem=is_problem)


def unset_value(item: Item, field: str) -> str:
    """How an unset field is displayed; empty if it is set."""
    if field not in item:
        return "omitted"
    value = item[field]
    return UNSET_VALUES.get(value, "") if value is None or isinstance(value, str) else ""
