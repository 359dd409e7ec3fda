"""Recognise files sent by mistake, so that the message can name what they are.

In: the first bytes of a file. Out: what it is and what to do, as the end of the sentence "it is …"; None for text and
workbooks. The content decides, never the name: other spreadsheet formats are often named .xls.
"""

from __future__ import annotations

import re

_BOM = b"\xef\xbb\xbf"
_SAVE_AS_XLSX = "open it in a spreadsheet program and save it as .xlsx"
_DOWNLOAD = "open the link and download the spreadsheet as .xlsx"
# The first lines of an e-mail message or a web archive
_HEADER_LINES = rb"(?:From [^\n]*\n|\s*)(?:[A-Za-z0-9-]+:[ \t][^\n]*\n(?:[ \t][^\n]*\n)*)*?"

# Spreadsheets in formats that are not read
_OTHER_SPREADSHEETS = (
    (
        re.compile(_HEADER_LINES + rb"MIME-Version:[ \t].*?multipart/related", re.DOTALL | re.IGNORECASE),
        "an MHT web archive",
    ),
    # a CSV file may also begin with "ID;P", but its next line does not begin with a SYLK record
    (re.compile(rb"ID;P[^\r\n]*[\r\n]+(?:P;[A-Z]|[BCFW];[A-Z]|O;|N[A-Z];|E\s*$)"), "a SYLK file"),
    (re.compile(rb"TABLE\s*\n0,1\s*\n"), "a DIF file"),
    (re.compile(rb"[\x03\x30-\x32\x83\x8b\x8e\xf5].[\x01-\x0c][\x01-\x1f].{8}\0\0", re.DOTALL), "a dBASE table"),
    (re.compile(rb"\0\0\x02\0(?:\x20\x51|[\x01\x02\x07]\x10)"), "a Quattro Pro workbook"),
    (re.compile(rb"\0\0(?:\x02\0[\x04\x05\x06]\x04|\x1a\0[\x00-\x05]\x10)"), "a Lotus 1-2-3 workbook"),
    (re.compile(rb"\xff\0\x02\0\x04\x04"), "a Microsoft Works spreadsheet"),
    (re.compile(rb"\x09[\x00\x02\x04]\x04\x00|\x09\x00\x06\x00"), "an Excel workbook of version 4 or older"),
    (
        re.compile(rb"\s*<\?xml.*?(?:<\?mso-application|urn:schemas-microsoft-com:office:spreadsheet)", re.DOTALL),
        "an XML spreadsheet of Excel 2003",
    ),
    (re.compile(rb"\s*<\?xml.*?<office:document\s", re.DOTALL), "a flat XML file of OpenDocument"),
    (
        re.compile(rb"\s*<(?:!doctype\s+html|html|head|body|table|meta)\b", re.IGNORECASE),
        "an HTML page, perhaps one to sign in",
    ),
)
# Files that only point to a document
_SHORTCUTS = (
    (re.compile(rb'\s*\{[^{}]*"(?:doc_id|resource_id|url)"\s*:[^{}]*\}\s*$'), "a shortcut to an online document"),
    (re.compile(rb"\s*\[(?:InternetShortcut|Desktop Entry|\{000214A0-)"), "a shortcut to a web page"),
    (re.compile(rb"\s*<\?xml.*?<plist\b.*?<key>URL</key>", re.DOTALL), "a shortcut to a web page"),
    (re.compile(rb"bplist00.{0,40}URL", re.DOTALL), "a shortcut to a web page"),
    (re.compile(rb"L\0\0\0\x01\x14\x02\0"), "a shortcut to a file"),
)
_OTHER_FILES = (
    (
        re.compile(_HEADER_LINES + rb"(?:MIME-Version|Message-ID|Received|Return-Path):[ \t]", re.IGNORECASE),
        "an e-mail message",
    ),
    (re.compile(rb"BEGIN:V(?:CALENDAR|CARD)\b"), "a calendar or address card"),
    (re.compile(rb"HTTP/[0-9.]+ [0-9]{3}\b"), "an HTTP response with its header (use curl without -i)"),
    (re.compile(rb"%PDF-"), "a PDF document"),
    (re.compile(rb"\s*<(?:\?xml\b|!DOCTYPE\b)", re.IGNORECASE), "an XML document"),
    (re.compile(rb"\{\\rtf"), "a rich text document"),
    (re.compile(rb"\x1f\x8b"), "a gzip archive"),
    (re.compile(rb"BZh[1-9]1AY|\xfd7zXZ\0|\x28\xb5\x2f\xfd"), "a compressed archive"),
    (re.compile(rb".{257}ustar", re.DOTALL), "a tar archive"),
    (re.compile(rb"7z\xbc\xaf\x27\x1c"), "a 7z archive"),
    (re.compile(rb"Rar!\x1a\x07"), "a RAR archive"),
    (re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8"), "a picture"),
    (re.compile(rb"SQLite format 3\0"), "an SQLite database"),
    (re.compile(rb"\0\x01\0\0Standard (?:Jet|ACE) DB"), "an Access database"),
)


def describe_foreign_file(head: bytes) -> str | None:
    """Return what a file is and what to do with it; None if its first bytes are those of no known foreign format."""
    head = head.removeprefix(_BOM)
    for signatures, advice in (
        (_OTHER_SPREADSHEETS, f"; {_SAVE_AS_XLSX}"),
        (_SHORTCUTS, f", not the document itself; {_DOWNLOAD}"),
        (_OTHER_FILES, ", not a spreadsheet"),
    ):
        for pattern, description in signatures:
            if pattern.match(head):
                return description + advice
    return None
