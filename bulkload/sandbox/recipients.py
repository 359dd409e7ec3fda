"""The alert recipients and recipient groups of the account, as the API shows them. They are read-only here.

In: the account's options and a query. Out: the objects of the public pages "Recipient Object" and "Recipient Group
Object". They do not change what is created: no alert is ever sent.

Assumptions where the public documentation is silent:

* FILTERS-ARE-EXACT: a filter with a value that fits nothing gives an empty list.
* MONITOR-FILTER-AS-SPELLED: the filter for a monitor is `monidor_id`, as its page spells it, or `monitor_id`.
"""

from __future__ import annotations

from collections.abc import Mapping

from bulkload.sandbox.account_options import AlertRecipient, RecipientGroup, SandboxOptions


def recipients(options: SandboxOptions, query: Mapping[str, str]) -> list[dict[str, object]]:
    """All recipients that the query does not filter out."""
    found = [_recipient(recipient, options) for recipient in options.recipients]
    if kind := query.get("type"):
        found = [item for item in found if item.get(f"{kind.lower()}_alert") is True]
    if method := query.get("method_id"):
        found = [item for item in found if str(item["method_id"]) == method]
    return found


def recipient_groups(options: SandboxOptions, query: Mapping[str, str]) -> list[dict[str, object]]:
    """All recipient groups that the query does not filter out."""
    groups = list(options.groups)
    if recipient := query.get("recipient_id"):
        groups = [group for group in groups if recipient in map(str, group.recipients)]
    if monitor := query.get("monidor_id") or query.get("monitor_id"):
        groups = [group for group in groups if monitor in map(str, group.monitors)]
    return [_group(group, options) for group in groups]


def _recipient(recipient: AlertRecipient, options: SandboxOptions) -> dict[str, object]:
    groups = [str(group.id) for group in options.groups if recipient.id in group.recipients]
    return {
        "attach_screen_capture": False,
        "attach_server_response": False,
        "availability_alert": recipient.availability_alert,
        "blackout_ids": None,
        "id": recipient.id,
        "method_description": recipient.method_description,
        "method_id": recipient.method_id,
        "name": recipient.name,
        "notifier_groups": groups or None,
        "notify_on_clear": False,
        "password": None,
        "performance_alert": False,
        "performance_alert_type": "20",
        "recipient": recipient.recipient,
        "repeat_performance_alerts": False,
        "start_threshold": 1,
        "stop_threshold": 10,
        "username": None,
    }


def _group(group: RecipientGroup, options: SandboxOptions) -> dict[str, object]:
    return {
        "errortypes": [{"description": f"Error {number}", "id": number} for number in group.errortypes],
        "id": group.id,
        "is_default": group.is_default,
        "monitors": [
            {"id": monitor_id, "name": f"Monitor {monitor_id}", "step_name": None, "step_number": 0}
            for monitor_id in group.monitors
        ],
        "name": group.name,
        "recipients": [
            {"id": recipient.id, "name": recipient.name, "recipient": recipient.recipient}
            for recipient in options.recipients
            if recipient.id in group.recipients
        ],
        "templates": [],
    }
