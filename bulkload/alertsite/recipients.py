"""Who is alerted by monitors: the account's alert recipients and recipient groups, as far as they may be shown.

In: a page of `GET /recipients` or `GET /notifier-groups`. Out: `Recipient`s or `RecipientGroup`s. A destination can be
a secret (the address of a chat hook, a telephone number), and a recipient has a user name and a password: of all that,
only e-mail addresses are read. The fields are from AlertSite's pages "Recipient Object" and "Recipient Group Object".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from bulkload.alertsite.responses import Response, count_in, decode, one_line
from bulkload.errors import ApiUnreliable

LONGEST_TEXT = 128  # characters of a name that are read; a group's name has at most 128
EMAIL_METHODS = ("1", "4", "12")  # `method_id` of e-mail as text, to a wireless device, and as HTML

_EMAIL = re.compile(r"[^\s@<>()\"'/\\:;,]{1,64}@[^\s@<>()\"'/\\:;,]{1,253}")


class Recipient(NamedTuple):
    """Somebody who can be alerted."""

    recipient_id: str
    shown: str  # its name, with its e-mail address or its alerting method: "Mail team (mail@example.com)"
    gets_availability_alerts: bool


class RecipientGroup(NamedTuple):
    """A routing rule: monitors in the group alert its recipients only."""

    name: str
    is_default: bool  # monitors in no group alert this one
    recipients: tuple[Recipient, ...]  # without what only `GET /recipients` shows: whether they get availability alerts
    only_some_errors: bool  # it covers the listed types of errors only


class ItemsPage(NamedTuple):
    """One page of a list in the API's documented envelope."""

    items: list[Mapping[str, Any]]
    total: int  # items on this page or in the whole list, which is not documented; 0: unknown
    limit: int  # 0: unknown


def read_page(response: Response) -> ItemsPage:
    """The items in `{"metadata": {"resultset": {"count": …, "limit": …}}, "results": […]}`.

    Raises `ApiUnreliable` if the response is not such a list.
    """
    content = decode(response.body)
    items = content.get("results") if isinstance(content, dict) else None
    if not isinstance(items, list) or not all(isinstance(item, dict) and _id_in(item) for item in items):
        raise ApiUnreliable("the response has an unknown shape")  # it is not shown: it may contain destinations
    metadata = content.get("metadata")
    resultset = metadata.get("resultset") if isinstance(metadata, dict) else None
    counts = resultset if isinstance(resultset, dict) else {}
    return ItemsPage(items, count_in(counts.get("count")), count_in(counts.get("limit")))


def read_recipient(item: Mapping[str, Any], secrets: tuple[str, ...]) -> Recipient:
    """One recipient. Raises `ApiUnreliable` if the item is something else."""
    if "recipient" not in item and "method_id" not in item:
        raise ApiUnreliable("the list contains something that is not a recipient")
    return _recipient(item, secrets)


def read_group(item: Mapping[str, Any], secrets: tuple[str, ...]) -> RecipientGroup:
    """One recipient group. Raises `ApiUnreliable` if the item is something else."""
    members = item.get("recipients")
    if not isinstance(members, list) or not all(isinstance(member, dict) and _id_in(member) for member in members):
        raise ApiUnreliable("the list contains something that is not a recipient group")
    return RecipientGroup(
        name=_text(item.get("name"), secrets) or f"group {_id_in(item)}",
        is_default=item.get("is_default") in (True, 1, "1", "true"),
        recipients=tuple(_recipient(member, secrets) for member in members),
        only_some_errors=bool(item.get("errortypes")),
    )


def _recipient(item: Mapping[str, Any], secrets: tuple[str, ...]) -> Recipient:
    recipient_id = _id_in(item)
    name, address = _text(item.get("name"), secrets), _text(item.get("recipient"), secrets)
    method = str(item.get("method_id", EMAIL_METHODS[0]))  # a group does not show it
    how = address if method in EMAIL_METHODS and _EMAIL.fullmatch(address) else ""
    how = how or _text(item.get("method_description"), secrets)
    name = name if "://" not in name else ""  # whoever wrote the destination there did not mean to show it
    shown = f"{name} ({how})" if name and how and name != how else name or how or f"recipient {recipient_id}"
    return Recipient(recipient_id, shown, item.get("availability_alert") not in (False, 0, "0", "false"))


def _id_in(item: Mapping[str, Any]) -> str:
    """The ID of an item; empty if it has none."""
    value = item.get("id")
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) and str(value).isdecimal() else ""


def _text(value: object, secrets: tuple[str, ...]) -> str:
    return one_line(value, secrets)[:LONGEST_TEXT] if isinstance(value, str) else ""
