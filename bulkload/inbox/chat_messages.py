"""The body of a webhook: JSON of our own, a message for Slack, or a card for Microsoft Teams.

In: a `Visit`. Out: an object to post. Text from files is shown as it is: it can neither format, nor link, nor mention.
"""

from __future__ import annotations

import json
import os
from typing import Literal

from bulkload.inbox.details import detail_lines
from bulkload.inbox.messages import summary_line, visit_json
from bulkload.inbox.records import Visit

WebhookFormat = Literal["json", "slack", "teams"]

# Slack rejects more: 150 characters of a header, 3,000 of a section, 50 blocks, about 13,000 characters in all
SLACK_HEADER, SLACK_SECTION, SLACK_TOTAL = 150, 3_000, 10_000
TEAMS_BYTES = 27_000  # of the whole card; Teams rejects more than 28 KB
MAX_LINE = 2_000  # characters


def webhook_body(visit: Visit, webhook_format: WebhookFormat) -> dict[str, object]:
    """The object that is posted."""
    if webhook_format == "json":
        return visit_json(visit)
    title = f"bulkload: {os.path.basename(os.path.abspath(visit.folder))}"  # noqa: PTH100, PTH119 - `.` has no name
    title += " needs attention" if visit.exit_code else " is done"
    lines = [_cut(line, MAX_LINE) for line in (summary_line(visit), *detail_lines(visit))]
    return slack_message(title, lines) if webhook_format == "slack" else teams_message(title, lines)


def slack_message(title: str, lines: list[str]) -> dict[str, object]:
    """A message for an incoming webhook: `text` for notifications, `blocks` for the channel."""
    sections: list[str] = []
    total = 0
    for number, line in enumerate(lines):
        escaped = _escaped(line)
        if len(escaped) > SLACK_SECTION:  # cut before it is escaped, so that no entity is cut
            escaped = _escaped(_cut(line, SLACK_SECTION // len("&amp;")))
        is_full = total + len(escaped) > SLACK_TOTAL
        if is_full:
            escaped = f"… and {len(lines) - number:,} more lines"
        if sections and len(sections[-1]) + 1 + len(escaped) <= SLACK_SECTION:
            sections[-1] += f"\n{escaped}"
        else:
            sections.append(escaped)
        if is_full:
            break
        total += len(escaped)
    blocks: list[dict[str, object]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(title, SLACK_HEADER), "emoji": False}}
    ]
    # Plain text, because names and hosts may contain characters that would format it
    blocks += [{"type": "section", "text": {"type": "plain_text", "text": text, "emoji": False}} for text in sections]
    return {"text": _escaped(_cut(f"{title}. {lines[0]}", SLACK_SECTION // len("&amp;"))), "blocks": blocks}


def teams_message(title: str, lines: list[str]) -> dict[str, object]:
    """An Adaptive Card for the webhook of a workflow."""
    for shown in range(len(lines), -1, -1):
        more = [] if shown == len(lines) else [f"… and {len(lines) - shown:,} more lines"]
        message = _teams_message(_cut(title, SLACK_HEADER), [*lines[:shown], *more])
        if len(json.dumps(message)) <= TEAMS_BYTES:
            break
    return message


def _teams_message(title: str, lines: list[str]) -> dict[str, object]:
    # Text runs, because text blocks would be read as Markdown
    body = [
        {
            "type": "RichTextBlock",
            "inlines": [{"type": "TextRun", "text": title, "weight": "Bolder", "size": "Medium"}],
        },
        *({"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line}]} for line in lines),
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
