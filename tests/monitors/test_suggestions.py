"""A message that knows what was meant carries it, and a person who accepts it is rid of the message."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.model import Issue, NumberText, RawRow
from bulkload.monitors.fields import FIELDS
from bulkload.monitors.header import map_header
from bulkload.monitors.suggestions import suggestion_for
from bulkload.monitors.validate import Invalid, Validator

SERVER = {"type": "imap", "name": "mx1", "hostname": "mx1.example.com", "billing_plancode": "UBM - A/A"}
ROUND_TRIP = {
    "type": "round-trip",
    "name": "loop",
    "billing_plancode": "UBM - A/A",
    "smtp_hostname": "smtps://smtp.example.com:465",
    "pop3_hostname": "pop3s://pop.example.com:995",
    "email": "probe@example.com",
}


def issues_of(cells: Mapping[str, str]) -> tuple[Issue, ...]:
    found = Validator(map_header(tuple(cells))).check(RawRow(2, tuple(cells.values())))
    return found.issues if isinstance(found, Invalid) else found.warnings


def suggested(base: Mapping[str, str] = SERVER, /, **cells: str) -> list[str]:
    """The suggestions for the last of these cells; each is accepted before it is returned."""
    row = {**base, **cells}
    column = list(cells)[-1]
    found = [issue for issue in issues_of(row) if issue.column == column and issue.suggestion]
    for issue in found:
        left = issues_of({**row, column: issue.suggestion})
        assert (issue.code, issue.message) not in [(each.code, each.message) for each in left]
    return [issue.suggestion for issue in found]


@pytest.mark.parametrize(
    ("field", "text", "suggestion"),
    [
        ("hostname", "https://mail.example.com/owa", "mail.example.com"),
        ("hostname", "Mail.Example.com/INBOX", "mail.example.com"),
        ("hostname", "imaps://mail.example.com/INBOX", "imaps://mail.example.com"),
        ("hostname", "mail.example.com ;", "mail.example.com"),
        ("hostname", "mail. example.com", "mail.example.com"),
        ("hostname", "mail_1.example.com:993", "mail-1.example.com:993"),
        ("hostname", "imap://mail_1.example.com:993", "imap://mail-1.example.com:993"),
        ("hostname", "mail.example.com:", "mail.example.com"),
        ("hostname", "imaps://probe:secret@mail.example.com:993", "imaps://mail.example.com:993"),
        ("hostname", "probe:s3cr@t@mail.example.com", "mail.example.com"),
        ("port", "99\uff13", "993"),
        ("port", "1,025", "1025"),
        ("port", "993/tcp", "993"),
        ("port", "Port 143", "143"),
        ("billing_plancode", "UBM - A/A:1:50", "UBM - A/A"),
        ("billing_plancode", "UBM \u2013 A/A", "UBM - A/A"),
        ("billing_plancode", "UBM - A/A\nUBM", "UBM - A/A UBM"),
        ("interval", "300s", "5"),
        ("interval", "15 min", "15"),
        ("interval", "1h", "60"),
        ("interval", "1,000", "1000"),
        ("interval", "1 000", "1000"),
        ("interval", "\uff11\uff15", "15"),
        ("timeout", "1 min", "60"),
        ("type", "imap4s", "imaps"),
        ("type", "IMAP SSL", "imaps"),
        ("type", "POP3-SSL", "pop3s"),
        ("type", "submision", "submission"),
        ("type", "roundtripp", "round-trip"),
        ("mode", "Global Verfy", "Global Verify"),
        ("mode", "roundrobbin", "Round Robin"),
        ("enabled", "Tak", "yes"),
        ("enabled", "PRAWDA", "yes"),
        ("enabled", "ONWAAR", "no"),
        ("locations", "10 20 30", "10;20;30"),
        ("locations", "10/20", "10;20"),
        ("locations", "10 and 20", "10;20"),
        ("locations", "10;20;10", "10;20"),
        ("locations", "\uff11\uff10;20", "10;20"),
        ("custom_properties", "28:74, 30:81", "28=74;30=81"),
        ("custom_properties", "28=74;28=74", "28=74"),
        ("ipv4", "192.0.2.10/24", "192.0.2.10"),
        ("ipv4", "192,0,2,10", "192.0.2.10"),
        ("monitor_id", "123,456", "123456"),
        ("name", "mx1\nLondon", "mx1 London"),
        ("name", "M\u00c3\u00bcnchen", "M\u00fcnchen"),
        ("name", "mx1\u00a0London", "mx1 London"),
        ("name", "mx1\u200bLondon", "mx1London"),
    ],
)
def test_a_message_carries_what_was_probably_meant(field: str, text: str, suggestion: str) -> None:
    assert suggested(**{field: text}) == [suggestion]


@pytest.mark.parametrize(
    ("field", "text", "suggestion"),
    [
        ("email", "mailto:probe@example.com", "probe@example.com"),
        ("email", "Probe <probe@example.com>", "probe@example.com"),
        ("email", "probe @ example.com.", "probe@example.com"),
        ("pop3_hostname", "pop.example.com:995", "pop3s://pop.example.com:995"),
        ("smtp_hostname", "smtps://smtp_1.example.com:465", "smtps://smtp-1.example.com:465"),
    ],
)
def test_a_message_about_a_round_trip_carries_what_was_probably_meant(field: str, text: str, suggestion: str) -> None:
    assert suggested(ROUND_TRIP, **{field: text}) == [suggestion]


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("hostname", "mail"),
        ("hostname", "mail server.example.com"),
        ("hostname", "mx1.example.com, mx2.example.com"),
        ("hostname", "probe@example.com"),
        ("hostname", "probe:pass word@mail.example.com"),
        ("hostname", "mail.example.com/probe:pa@ss.word"),
        ("port", "70000"),
        ("port", "25,465"),  # perhaps two ports
        ("port", "993 995"),
        ("interval", "1.000"),  # perhaps 1
        ("interval", "15,000"),
        ("interval", "90s"),
        ("interval", "2 d"),
        ("interval", "5000 min"),
        ("timeout", "1.5"),
        ("type", "http"),
        ("type", "imap tls"),  # on port 993 or 143
        ("type", "smtp/imap"),
        ("mode", "Global"),
        ("enabled", "maybe"),
        ("enabled", "untrue"),
        ("locations", "1 020"),
        ("locations", "London"),
        ("locations", "10,,20"),
        ("monitor_id", "007"),
        ("ipv4", "192.0.2.300"),
        ("ipv4", "192.0.2.010"),
        ("billing_plancode", "=A2"),
        ("name", "M?nchen"),
        ("name", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"),  # a joiner that belongs there
        ("name", "x" * 300),
        ("name", "a\x00b"),
    ],
)
def test_nothing_is_suggested_that_is_only_possible(field: str, text: str) -> None:
    row = {**SERVER, field: text}
    assert [issue.suggestion for issue in issues_of(row) if issue.column == field] == [""]


@pytest.mark.parametrize(
    ("cells", "suggestions"),
    [
        ({"type": "imaps", "port": "25"}, {"port": "993"}),
        ({"type": "imaps", "port": "", "hostname": "mx1.example.com:25"}, {"hostname": ""}),
        ({"hostname": "192.0.2.1", "ipv4": "192.0.2.2"}, {"ipv4": "192.0.2.1"}),
        ({"hostname": "192.0.2.1", "resolve_dns": "yes"}, {"resolve_dns": "no"}),
    ],
)
def test_fields_that_do_not_agree_have_a_suggestion_for_their_own_cell(
    cells: dict[str, str], suggestions: dict[str, str]
) -> None:
    row = SERVER | cells
    found = {issue.column: issue.suggestion for issue in issues_of(row) if issue.severity == "error"}
    assert found == suggestions
    if all(suggestions.values()):
        assert [issue for issue in issues_of(row | suggestions) if issue.severity == "error"] == []


def test_a_list_that_became_a_number_is_suggested_only_if_that_is_likely() -> None:
    validator = Validator(map_header((*SERVER, "locations")))
    found = []
    for text in ("1020", "10273"):
        checked = validator.check(RawRow(2, (*SERVER.values(), NumberText(text))))
        [issue] = checked.issues if isinstance(checked, Invalid) else checked.warnings
        found.append(issue.suggestion)
    assert found == ["10;20", ""]


_DIGITS = st.sampled_from("0123456789\uff11\u0663")
_SEPARATORS = st.sampled_from([*" .,;:|/+-_@#?=\t\n\u00a0\u200b\u2013", "://", " and ", "s", " min", "/tcp", ":1:50"])
_WORDS = st.sampled_from(
    [
        *("imap", "imap4s", "ssl", "pop3", "yes", "ja", "Global Verfy", "UBM - A/A", "mail.example.com", "10", "20"),
        *(
            "https",
            "imaps",
            "user",
            "192.0.2.1",
            "28=74",
            "probe@example.com",
            "M\u00c3\u00bcnchen",
            "\u00fc",
            "?",
            "x",
        ),
    ]
)
TEXTS = st.lists(_DIGITS | _SEPARATORS | _WORDS, max_size=6).map("".join) | st.text(max_size=20)
CHANGES = st.dictionaries(st.sampled_from([*FIELDS, "api:x"]), TEXTS, min_size=1, max_size=4)


@given(st.sampled_from((SERVER, ROUND_TRIP)), CHANGES)
def test_a_suggestion_that_is_accepted_ends_its_error(base: Mapping[str, str], changes: dict[str, str]) -> None:
    row = {**base, **changes}
    for issue in issues_of(row):
        if not issue.suggestion:
            continue
        assert issue.column is not None
        assert issue.suggestion == issue.suggestion.strip() != row[issue.column].strip()
        left = issues_of({**row, issue.column: issue.suggestion})
        assert issue.code not in [each.code for each in left if each.column == issue.column], (issue, left)


@given(st.sampled_from([*FIELDS]), TEXTS)
def test_a_text_is_suggested_only_where_it_is_valid(field: str, text: str) -> None:
    if suggestion := suggestion_for(field, text):
        base = ROUND_TRIP if "email-imap" not in FIELDS[field].types else SERVER
        bad = [issue for issue in issues_of({**base, field: suggestion}) if issue.field == field]
        assert [issue for issue in bad if issue.severity == "error" and issue.code != f"{field}.type"] == []


@pytest.mark.parametrize("text", [" " * 30_000, "\t " * 15_000, ", " * 15_000, "1 " * 15_000, "1:" * 15_000])
@pytest.mark.parametrize("field", ["locations", "custom_properties", "ipv4", "name", "port", "type", "enabled"])
def test_a_long_text_is_no_work(field: str, text: str) -> None:
    began = time.process_time()
    issues_of({**SERVER, field: f"1{text}x"})
    assert time.process_time() - began < 5


def test_a_secret_is_in_no_suggestion() -> None:
    for text in ("probe:secret@mail.example.com/x", "a:secret@b:secret@mail.example.com", "imap://u:secret@[::1]"):
        assert all("secret" not in repr(issue) for issue in issues_of({**SERVER, "hostname": text}))


def test_an_issue_without_a_suggestion_is_recorded_as_before() -> None:
    issue = Issue(code="port.range", message="port is 0.", column="port", field="port", value="0")
    assert list(issue.record()) == ["code", "message", "column", "field", "value", "severity"]
    assert Issue(**issue.record()) == issue  # type: ignore[arg-type]
    known = Issue(code="interval.unit", message="interval is 1h.", suggestion="60")
    assert known.record()["suggestion"] == "60"
