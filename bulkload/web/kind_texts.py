"""Say in one sentence what is wrong with many cells or rows, which have the same kind of problem but other texts.

In: the issue of one of them. Out: a sentence that is true of all. Most messages end in a rule, which is the same for
all. Where the rule names the text of a cell or another row, or says too little without it, the sentence stands here.
"""

from __future__ import annotations

import re

from bulkload.model import Issue
from bulkload.web.wording import on_page

_LOOK_SAME = "names that look the same may differ."
_OF_CODE = {
    "billing_plancode.counts": "Write the plan code without the counts after it.",
    "cell.encoding": "It is not certain which characters these are: choose the encoding under Columns, or take the rows"
    " as shown.",
    "cell.error": "The cell shows an error; a value is required.",
    "cell.formula": "The formula has no stored value; enter the value itself.",
    "cell.merged": "Cells are merged, so it is not clear where their value is meant; fill in each cell.",
    "cell.nul": "The text has a NUL character, which is not allowed.",
    "cell.precision": "The number has more digits than a spreadsheet keeps (15); enter it again, as text.",
    "cell.unreadable": "What is stored cannot be read; enter the value again.",
    "column.headerless": "The column has no name, so its text is not sent.",
    "home_location.not_listed": "It must be one of the locations of its row.",
    "hostname.domain": "A host name needs a domain, such as mail.example.com.",
    "locations.joined": "A spreadsheet program may have made one number of a list; separate locations by semicolons.",
    "monitor_location_count.too_many": "It is larger than the number of locations in its row.",
    "name.blank": f"There is a blank that is not a usual space; {_LOOK_SAME}",
    "name.invisible": f"There is an invisible character; {_LOOK_SAME}",
    "port.joined": "These may be two ports; if so, add one row for each.",
    "port.other_type": "The port is usual for another type of monitor.",
    "port.type": "The port does not match the type; change or remove one of the two.",
    "resolve_dns.hostname": "The host is an IP address, so set resolve_dns to no.",
    "row.cut": "The file ends in this row, so it was probably cut off; complete the row, then take it as shown.",
    "row.duplicate": "The row repeats an earlier one.",
    "row.end": "The file ends in this cell, so it may have been cut off; check the cell, and that no row is missing.",
    "row.long": "The row has more cells than there are columns; put the texts in place, then take the row as shown.",
    "row.quote": "The quotes of the row are not closed or not doubled; check its cells, then take it as shown.",
    "row.rejected": "In an earlier run, the API rejected the row.",
    "row.repeated": "In an earlier run, the row repeated another one.",
    "row.short": "The row ends early, and cells that it leaves out are needed.",
    "row.size": "A cell of the row is too long.",
    "row.split": "The row ends early, and so does the row below: a line break may divide one row. Complete it, leave"
    " the other one out, then take it as shown.",
    "timeout.interval": "The interval must be longer than the timeout.",
}
_OF_REASON = {
    "damaged": "Characters were lost or changed in a conversion; correct the text.",
    "empty": "Some programs write this word for an empty cell.",
    "missing": "It is missing.",
    "tls": "For TLS, write smtps:// or pop3s:// in front of the host.",
    "type": "Monitors of this type do not have this field, so remove it.",
}
_PARTS_OF_ONE_ROW = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"; write \S+ if that is the host\.", "."),
        (r"; remove the line break\.", "."),
        (r", written without a unit: .*", ", written without a unit."),
        (r"^change one of them\.", "it contradicts another cell of its row; change one of them."),
        (r"^at most ([0-9,]+) are allowed\.", r"it is too long; at most \1 characters are allowed."),
    )
)


def kind_text(issue: Issue) -> str:
    """What is wrong with all cells or rows that have such an issue."""
    reason = issue.code.partition(".")[2]
    if issue.code in _OF_CODE:
        return _OF_CODE[issue.code]
    if reason in _OF_REASON:
        text = _OF_REASON[reason]
        has_no_column = issue.index is None and issue.field is not None
        return f"{issue.field}: {text[:1].lower()}{text[1:]}" if has_no_column else text
    _, separator, rule = issue.message.partition("; ")
    text = rule if separator else issue.message
    for pattern, replacement in _PARTS_OF_ONE_ROW:
        text = pattern.sub(replacement, text)
    return on_page(text[:1].upper() + text[1:])
