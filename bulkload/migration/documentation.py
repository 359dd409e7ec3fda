"""Judges whether a file only tells about a configuration: a README that quotes one, a script that writes one, a copy.

In: a document. Out: why it is no configuration itself, or "". Folders of configurations contain such files, and their
examples look like the real thing to the readers of tools.
"""

from __future__ import annotations

import re
from pathlib import PurePath

from bulkload.migration.documents import Document

_SUFFIXES = frozenset(
    {".md", ".mdown", ".markdown", ".mkd", ".rst", ".adoc", ".asciidoc", ".textile", ".tex", ".html", ".htm"}
    | {".pack"}  # of Shinken: the description of a folder of templates
)
_NAMES = frozenset(
    {"readme", "license", "licence", "copying", "copyright", "changelog", "changes", "history", "news", "authors"}
    | {"contributing", "contributors", "install", "todo", "notice"}
)
_SCRIPT = re.compile(r"#![^\n]*\b(?:sh|bash|dash|ksh|zsh|python[\d.]*|perl|ruby|php|node|awk|expect|make)\b")
_FENCE = re.compile(r"^(?:```|~~~)", re.MULTILINE)  # around the examples of a Markdown file
_COPY = re.compile(
    r"(?:~|[.-](?:bak|backup|old|orig|original|save|sav|rpmnew|rpmsave|rpmorig|dpkg-\w+|ucf-\w+|swp|rej|disabled|off|"
    r"sample|example|dist)[.\d_-]*)\Z",
    re.IGNORECASE,
)


def reason_not_configuration(document: Document) -> str:
    """Return a sentence for a file that no server reads as its configuration, or ""."""
    path = PurePath(document.name)
    is_plain = path.suffix.lower() in ("", ".txt")
    if path.suffix.lower() in _SUFFIXES or (is_plain and path.stem.lower() in _NAMES):
        return "The file is documentation, not a configuration."
    if document.format != "text":
        return ""
    if _SCRIPT.match(document.head):
        return "The file is a script, not a configuration."
    if _FENCE.search(document.head):
        return "The file is documentation with examples, not a configuration."
    return ""


def is_copy(document: Document) -> bool:
    """Whether the name of a file marks it as a copy or an example, such as mail.cfg.bak, which no server reads."""
    return bool(_COPY.search(PurePath(document.name).name))
