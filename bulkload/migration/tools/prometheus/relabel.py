"""Applies Prometheus relabelling rules.

In: the labels of a target and the rules of its job. Out: the labels after relabelling.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from bulkload.migration.parsing import SourceObject, UnreadableValue

MAX_RULES = 100  # of one job
MAX_LABEL_CHARS = 255  # of a value that a pattern is matched against
MAX_PATTERN_REPEATS = 3  # more can make a regular expression run for hours
_REFERENCE = re.compile(r"\$(?:\{(\w+)\}|(\d+)|\$)")


def relabel(labels: Mapping[str, str], rules: Sequence[SourceObject]) -> dict[str, str] | None:
    """Return the labels after all rules, or None if a rule drops the target."""
    result = dict(labels)
    for rule in rules[:MAX_RULES]:
        action = _text(rule, "action", "replace").lower()
        names = rule.get("source_labels")
        names = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
        value = _text(rule, "separator", ";").join(result.get(name, "") for name in names)
        target = _text(rule, "target_label", "")
        if action in ("lowercase", "uppercase"):
            result[target] = value.lower() if action == "lowercase" else value.upper()
            continue
        if action not in ("replace", "keep", "drop"):
            continue  # other actions change only label names, not the target
        match = _pattern(_text(rule, "regex", "(.*)")).fullmatch(value[:MAX_LABEL_CHARS])
        if (action == "keep" and not match) or (action == "drop" and match):
            return None
        if action == "replace" and match:
            result[target] = _expand(_text(rule, "replacement", "$1"), match)
    return result


def _expand(template: str, match: re.Match[str]) -> str:
    def value(reference: re.Match[str]) -> str:
        key = reference[1] or reference[2]
        if key is None:
            return "$"
        try:
            return match[int(key) if key.isdecimal() else key] or ""
        except (IndexError, ValueError):
            return ""

    return _REFERENCE.sub(value, template)[:MAX_LABEL_CHARS]


def _pattern(text: str) -> re.Pattern[str]:
    """Compile a regular expression. Raises `UnreadableValue` if matching it may take too long."""
    if len(re.findall(r"[*+?{]", text)) > MAX_PATTERN_REPEATS or re.search(r"[*+}]\)[*+{]", text):
        raise UnreadableValue(f"The relabelling pattern {text[:60]!r} is too complex to be evaluated safely.")
    try:
        return re.compile(text, re.DOTALL)
    except (re.error, OverflowError, RecursionError) as error:
        raise UnreadableValue(
            f"The relabelling pattern {text[:60]!r} is not a supported regular expression."
        ) from error


def _text(rule: SourceObject, key: str, default: str) -> str:
    value = rule.get(key)
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else default
