"""Recognises the files of Nagios and its forks by their content.

In: a document. Out: whether it contains definitions, lists other files, or is a text with examples of these.
"""

from __future__ import annotations

import re

from bulkload.migration.documents import Document

_DEFINES = re.compile(
    r"^[ \t]*define[ \t]+(?:host|service|command|contact|timeperiod|servicedependency|hostdependency|"
    r"serviceescalation|hostescalation|serviceextinfo|hostextinfo|hostgroup|servicegroup|contactgroup)[ \t]*\{",
    re.MULTILINE,
)
_MAIN_FILE = re.compile(r"^[ \t]*cfg_(?:file|dir)\s*=", re.MULTILINE)  # not include_dir, which nrpe.cfg has as well
_USER_MACROS = re.compile(r"^[ \t]*\$USER\d+\$\s*=", re.MULTILINE)
_CACHE = re.compile(r"^#\s+\w+ OBJECT CACHE FILE", re.MULTILINE)

_SETTING = re.compile(r"\$?\w+\$?\s*=")
_DIRECTIVES = frozenset(
    {"use", "name", "alias", "address", "notes", "members", "parents", "contacts", "register", "email", "hostgroups"}
)
_MIN_SENTENCES = 2
_MIN_SENTENCE_WORDS = 3
_ITEMS_PER_SENTENCE = 4  # a text has more sentences than this between its examples


def is_nagios(document: Document) -> bool:
    """Whether the document contains definitions, is a main file or a resource file, and is not a text about them."""
    if document.format != "text":
        return False
    head = document.head
    return any(pattern.search(head) for pattern in (_DEFINES, _MAIN_FILE, _USER_MACROS)) and not _is_prose(head)


def has_definitions(document: Document) -> bool:
    """Whether the document contains definitions of objects."""
    return bool(_DEFINES.search(document.head))


def lists_files(document: Document) -> bool:
    """Whether the document is a main file, which lists the others."""
    return bool(_MAIN_FILE.search(document.head))


def is_object_cache(document: Document) -> bool:
    """Whether the server wrote the document, with all templates and groups resolved."""
    return bool(_CACHE.search(document.head))


def _is_prose(text: str) -> bool:
    """Whether sentences stand between the definitions and settings. A server would not start with such a file."""
    items = sentences = 0
    is_inside = False
    for line in text.split("\n"):
        line = line.strip()
        if is_inside:
            is_inside = not line.endswith("}")
        elif line.startswith("define") and "{" in line:
            items += 1
            is_inside = not line.endswith("}")
        elif _SETTING.match(line):
            items += 1
        elif line and not line.startswith(("#", ";")) and _is_sentence(line):
            sentences += 1
    return sentences >= _MIN_SENTENCES and sentences * _ITEMS_PER_SENTENCE >= items


def _is_sentence(line: str) -> bool:
    words = line.lstrip("*->").split()
    if len(words) < _MIN_SENTENCE_WORDS or any(char in line for char in "{}"):
        return False
    return "_" not in words[0] and words[0].lower() not in _DIRECTIVES
