"""Sentences about a forecast, for the terminal, the page and programs.

In: a `Forecast`. Out: facts with a label, the sentence of `plan`, and a JSON object. Texts from files and from the API
are short and printable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from bulkload.files.printable import one_line
from bulkload.operations.forecast import Forecast, Switch
from bulkload.reports.settings_words import rate_in_words
from bulkload.reports.summary import duration, number_of

FIRST_VALUES = 5  # of a field that are named
LONGEST_VALUE = 60  # characters of one
DEFAULT = "AlertSite's default"
TOO_EARLY = "The plan stopped too early to know what a run would send."


class Fact(NamedTuple):
    """A labelled fact for people; `detail` is a sentence or two."""

    label: str
    text: str
    detail: str = ""


def expectation(forecast: Forecast) -> str:
    """How many requests a run would send, and how long it would take, in one sentence."""
    requests, seconds, rate = forecast.requests, forecast.seconds, forecast.rate
    if requests is None or seconds is None:
        return TOO_EARLY
    if not requests:
        return "A run would send nothing."
    limit = f" (--first {forecast.first})" if requests == forecast.first else ""
    pace = f" at {rate_in_words(rate)}" if rate else ""
    return f"A run would send {number_of(requests, 'request')}{limit} and take about {duration(seconds)}{pace}."


def facts(forecast: Forecast) -> list[Fact]:
    """What a careful person wants to know before a run is started."""
    found = [_time(forecast)]
    if forecast.creates:
        found += [_plan_codes(forecast), _intervals(forecast), _locations(forecast)]
        found += [
            Fact(
                "Monitoring",
                _switch(forecast.monitoring, "on", "off"),
                "Monitors that are off check nothing until somebody switches them on."
                if forecast.monitoring.off
                else "",
            ),
            Fact("Availability alerts", _switch(forecast.alerting, "on", "off")),
        ]
    if (recipients := recipients_fact(forecast)) is not None:
        found.append(recipients)
    if forecast.updates:
        changed = _values(forecast.changed_fields, forecast.updates)
        found.append(Fact("Changes", changed, f"In {number_of(forecast.updates, 'existing monitor')}."))
    return found


def recipients_fact(forecast: Forecast) -> Fact | None:
    """Who would be alerted by the new monitors; None if the account was not asked."""
    label, alerts, alerting = "Alert recipients", forecast.alerts, forecast.alerting
    if alerts is None:
        return None
    if alerts.problem:
        detail = f"The account's alert recipients could not be read: {one_line(alerts.problem)}."
        return Fact(label, "not known", detail)
    text = f"{number_of(alerts.count, 'recipient')}: " + "; ".join(map(one_line, alerts.recipients))
    if (more := alerts.count - len(alerts.recipients)) > 0:
        text += f"; and {more:,} more"
    whom = f"the default group {one_line(alerts.default_group)}" if alerts.default_group else "all recipients"
    sentences = [f"New monitors are in no recipient group, so they alert {whom}."]
    if alerts.only_some_errors:
        sentences.append("It covers some types of errors only.")
    if alerts.group_problem:
        sentences[0] = "New monitors alert all recipients, unless the account has a default recipient group."
        sentences.append(f"The account's recipient groups could not be read: {one_line(alerts.group_problem)}.")
    if not alerts.count:
        text = "nobody"
        sentences.append("None of them has availability alerts on." if alerts.off else "There are none.")
    elif alerts.off:
        sentences.append(f"Availability alerts are off for {number_of(alerts.off, 'recipient')}.")
    if alerting.off:
        if alerting.off == forecast.creates:
            text = "nobody"
            sentences = ["All new monitors have alerts off."]
        else:
            sentences.append(f"Alerts are off for {alerting.off:,} of {number_of(forecast.creates, 'new monitor')}.")
    return Fact(label, text, " ".join(sentences))


def alerts_json(forecast: Forecast) -> dict[str, object] | None:
    """Who would be alerted, for programs; None if the account was not asked."""
    alerts, alerting = forecast.alerts, forecast.alerting
    if alerts is None:
        return None
    return {
        "recipients": list(alerts.recipients),
        "count": alerts.count,
        "off": alerts.off,
        "default_group": alerts.default_group or None,
        "problem": alerts.problem or alerts.group_problem or None,
        "new_monitors": {"on": alerting.on, "off": alerting.off, "default": alerting.default},
    }


def _time(forecast: Forecast) -> Fact:
    if forecast.requests is None or forecast.seconds is None:
        return Fact("Time", "not known", TOO_EARLY)
    if not forecast.requests:
        return Fact("Time", "none", "A run would send nothing.")
    pace = f" at {rate_in_words(forecast.rate)}" if forecast.rate else ", as fast as the API allows"
    return Fact("Time", f"about {duration(forecast.seconds)}", f"{number_of(forecast.requests, 'request')}{pace}.")


def _plan_codes(forecast: Forecast) -> Fact:
    label = "Plan code" if len(forecast.plan_codes) == 1 else "Plan codes"
    detail = f"{number_of(forecast.creates, 'new monitor')}. The API does not show how many more a plan allows."
    return Fact(label, _values(forecast.plan_codes, forecast.creates), detail)


def _intervals(forecast: Forecast) -> Fact:
    named = {f"{minutes:,} min" if minutes else DEFAULT: rows for minutes, rows in forecast.intervals.items()}
    detail = ""
    if forecast.checks_per_day:
        checks = number_of(forecast.checks_per_day, "check")
        detail = f"{checks} per day in all, each counted once for all its locations."
        if default := forecast.intervals.get(0, 0):
            detail += f" {number_of(default, 'monitor')} with {DEFAULT} not included."
    return Fact("Interval", _values(named, forecast.creates), detail)


def _locations(forecast: Forecast) -> Fact:
    named = {locations or DEFAULT: rows for locations, rows in forecast.locations.items()}
    return Fact("Locations", _values(named, forecast.creates))


def _switch(switch: Switch, on: str, off: str) -> str:
    rows = {on: switch.on, off: switch.off, DEFAULT: switch.default}
    return _values({text: n for text, n in rows.items() if n}, switch.on + switch.off + switch.default)


def _values(values: Mapping[str, int], rows: int) -> str:
    """The first values with their numbers of rows; a single value of all rows stands alone."""
    named = [(_short(value), n) for value, n in list(values.items())[:FIRST_VALUES]]
    texts = [value if n == rows and len(values) == 1 else f"{value} ({n:,})" for value, n in named]
    if (more := len(values) - len(named)) > 0:
        texts.append(f"and {more:,} more")
    return ", ".join(texts)


def _short(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= LONGEST_VALUE else line[: LONGEST_VALUE - 1] + "…"
