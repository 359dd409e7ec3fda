"""Say on a page what the engine says for the terminal: an option becomes the place on the page that does the same.

In: a message. Out: the same message, printable, without options of the command line.
"""

from __future__ import annotations

import re

from bulkload.files.printable import printable

_PLACES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (
            r"or name its encoding, such as --encoding (\S+?)\.?(?=\s|$)",
            r"or choose the encoding, such as \1, under Columns.",
        ),
        (r"(?:or )?name (?:the right|its) encoding with --encoding", "or choose the encoding under Columns"),
        (r"omit --encoding \(or the setting encoding\) for this file", "leave the encoding empty under Columns"),
        (r"or run the original file with --encoding", "or upload the original file and choose its encoding"),
        (r"name it with --sheet", "choose it under Columns"),
        (r", which --header-row names as the header,", ", which you named as the header,"),
        (r"--header-row names row (\d+) as the header", r"row \1 was named as the header"),
        (r"; --skip-hidden leaves (?:it|them) out", ""),
        (r", because of --skip-hidden", ""),
        (
            r"run (?:again|now) with --trust-list",
            "say so under “If the comparison stops”, and compare again",
        ),
        (
            r"run (?:this row alone )?with --create-lookalikes",
            "say so under “If the comparison stops”, with the other rows left out",
        ),
        (r"; map it with --map, or skip it with --ignore-unknown", ""),
        (r" --set can fill it in\.", " A value for empty cells can fill it in."),
        (r"[,;]? ?(?:or )?(?:choose|use) (?:another folder|one) (?:\(--output\)|with --from [^.]*)", ""),
        (
            r"; put a cell with a line break in quotes, or complete the row",
            "; complete the row, leave the other one out, then take this one as shown",
        ),
        (r"; send the whole file, or complete the row", "; upload the whole file, or take the row as shown"),
        (r"; bulkload convert lists (?:them with the reasons?|all of them)(?=\.|$)", ""),
    )
)
_WORDS = ("--", "bulkload convert", "complete the row")  # none of the above is in a text without one of these


def on_page(text: str) -> str:
    """A message of the engine for a page."""
    if any(word in text for word in _WORDS):
        for pattern, replacement in _PLACES:
            text = pattern.sub(replacement, text)
    return printable(text)
