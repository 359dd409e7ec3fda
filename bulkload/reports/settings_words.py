"""The settings of a run in words.

In: settings as the store has them. Out: a label and a text for each that means something to a reader.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping

_HIDDEN = ("results", "results_chosen", "sha256")  # where the results are, and what identifies the input
_ON_EXISTING = {
    "skip": "skip: monitors that exist stay as they are",
    "update": "update: what differs is updated in monitors that exist",
    "fail": "fail: nothing is sent if any monitor exists",
}


def settings_in_words(settings: Mapping[str, str]) -> list[tuple[str, str]]:
    """Each setting as a label and a text; one that is not known in words as it is."""
    return [(label_of(name), _in_words(name, text)) for name, text in settings.items() if name not in _HIDDEN]


def label_of(name: str) -> str:
    """A setting's name as a label: `on_existing` becomes `On existing`."""
    label = name.replace("_", " ").replace("-", " ").strip()
    return label[:1].upper() + label[1:]


def _yes(text: str) -> str:
    return "yes" if text == "true" else text


def rate_in_words(rate: float) -> str:
    """A number of requests per second in words; a small one per minute."""
    number, unit = (rate, "second") if rate >= 1 or rate * 60 < 1 else (rate * 60, "minute")
    return f"{number:g} {'request' if number == 1 else 'requests'} per {unit}"


def _in_words(name: str, text: str) -> str:
    try:
        return _WORDS[name](text) if name in _WORDS else text
    except (ValueError, AttributeError):  # it is not what this version writes
        return text


def _pairs(text: str) -> str:
    return ", ".join(f"{name} = {value}" for name, value in json.loads(text).items())


_WORDS: Mapping[str, Callable[[str], str]] = {
    "rate": lambda text: rate_in_words(float(text)),
    "concurrency": lambda text: "1 request at a time" if text == "1" else f"at most {int(text):,} requests at once",
    "on_existing": lambda text: _ON_EXISTING.get(text, text),
    "first": lambda text: f"of the rows that are to be sent, only the first {int(text):,}",
    "max_errors": lambda text: f"stop if more than {text} of the rows have errors",
    "request_timeout": lambda text: f"{float(text):g} s",
    "skip_hidden": _yes,
    "ignore_unknown": _yes,
    "set": _pairs,
    "map": _pairs,
}
