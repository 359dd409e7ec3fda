"""Every rule of the columns is enforced at its boundaries, and all issues of a row are reported at once."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from bulkload.errors import UsageError
from bulkload.model import Issue, NumberText, RawRow, Status
from bulkload.monitors.config import MonitorConfig
from bulkload.monitors.fields import FIELDS, MODES
from bulkload.monitors.header import map_header
from bulkload.monitors.result_columns import RESULT_COLUMNS
from bulkload.monitors.validate import Invalid, Valid, Validator
from bulkload.protocols import MONITOR_TYPES

SERVER = {"type": "imap", "name": "mx1", "hostname": "mx1.example.com", "billing_plancode": "UBM - A/A"}
ROUND_TRIP = {
    "type": "round-trip",
    "name": "loop",
    "billing_plancode": "UBM - A/A",
    "smtp_hostname": "smtps://smtp.example.com:465",
    "pop3_hostname": "pop3s://pop.example.com:995",
    "email": "probe@example.com",
}


def check(base: Mapping[str, str], defaults: Mapping[str, str] | None = None, /, **cells: str) -> Valid | Invalid:
    row = {**base, **cells}
    validator = Validator(map_header(tuple(row), given=defaults or ()), defaults=defaults)
    return validator.check(RawRow(number=2, cells=tuple(row.values())))


def body(base: Mapping[str, str], defaults: Mapping[str, str] | None = None, /, **cells: str) -> dict[str, object]:
    result = check(base, defaults, **cells)
    assert isinstance(result, Valid), result.issues
    return result.config.body()


def issues(base: Mapping[str, str], defaults: Mapping[str, str] | None = None, /, **cells: str) -> list[Issue]:
    result = check(base, defaults, **cells)
    assert isinstance(result, Invalid), result.config
    return list(result.issues)


def codes(base: Mapping[str, str], defaults: Mapping[str, str] | None = None, /, **cells: str) -> list[str]:
    return [issue.code for issue in issues(base, defaults, **cells)]


@pytest.mark.parametrize(
    ("text", "monitor_type", "port"),
    [
        ("imap", "email-imap", None),
        (" IMAP ", "email-imap", None),
        ("imap4", "email-imap", None),
        ("email-imap", "email-imap", None),
        ("Email_POP", "email-pop", None),
        ("pop", "email-pop", None),
        ("POP3", "email-pop", None),
        ("smtp", "email-smtp", None),
        ("imaps", "email-imap", 993),
        ("pop3s", "email-pop", 995),
        ("pops", "email-pop", 995),
        ("SMTPS", "email-smtp", 465),
        ("submission", "email-smtp", 587),
    ],
)
def test_a_type_is_recognised_and_may_set_the_port(text: str, monitor_type: str, port: int | None) -> None:
    result = check(SERVER, type=text)
    assert isinstance(result, Valid)
    assert (result.config.type, result.config.port) == (monitor_type, port)


@pytest.mark.parametrize("text", ["round-trip", "Round Trip", "roundtrip", "email-round-trip"])
def test_a_round_trip_is_recognised(text: str) -> None:
    assert body(ROUND_TRIP, type=text)["email"] == "probe@example.com"


@pytest.mark.parametrize("text", ["993", "993.0", "993.00", "993.000000", "0993.000", "0993", " 993 "])
def test_a_port_is_a_whole_number_however_a_spreadsheet_writes_it(text: str) -> None:
    assert body(SERVER, port=text)["port"] == 993


@pytest.mark.parametrize(("field", "low", "high"), [("port", 1, 65535), ("interval", 1, 1440), ("timeout", 1, 300)])
def test_numbers_within_the_bounds_are_accepted(field: str, low: int, high: int) -> None:
    for good in (low, high):
        assert body(SERVER, **{field: str(good)})[field] == good
    for bad in (low - 1, high + 1, 10**17, 10**30, 10**400):
        assert codes(SERVER, **{field: str(bad)}) == [f"{field}.range"]


@pytest.mark.parametrize(
    ("text", "number"), [("29.999999999999996", 30), ("30.000000000000004", 30), ("0.99999999999999989", 1)]
)
def test_a_number_is_the_one_that_a_spreadsheet_program_shows_for_it(text: str, number: int) -> None:
    assert body(SERVER, timeout=text)["timeout"] == number


NUMBER_MISTAKES = [
    ("2_5", "number"),
    ("٩٩٣", "digits"),
    ("９９３", "digits"),
    ("-25", "number"),
    ("+25", "number"),
    ("0x1A", "number"),
    ("imap", "number"),
    ("25;465", "number"),
    ("²", "number"),
    ("1e3", "scientific"),
    ("1.9E+18", "scientific"),
    ("1,000", "thousands"),
    ("1.000", "thousands"),
    ("1 000", "thousands"),
    ("1'000", "thousands"),
    ("2.5", "decimal"),
    ("2,5", "decimal"),
    ("29.9999999999", "decimal"),
    ("29.4999999999999996", "decimal"),
    ("NaN", "number"),
    ("#N/A", "number"),
]


@pytest.mark.parametrize("field", ["port", "interval", "timeout", "home_location", "monitor_id"])
@pytest.mark.parametrize(("text", "reason"), NUMBER_MISTAKES)
def test_the_issue_code_says_why_a_text_is_not_a_whole_number(field: str, text: str, reason: str) -> None:
    [issue] = issues(SERVER, **{field: text})
    assert issue.code == f"{field}.{reason}"
    assert (issue.column, issue.field, issue.value) == (field, field, text)
    assert FIELDS[field].rule in issue.message


@pytest.mark.parametrize(
    ("field", "text", "example"),
    [
        ("interval", "15 min", ": 15"),
        ("interval", "5m", ": 5"),
        ("interval", "300s", ": 5"),
        ("interval", "1 Hour", ": 60"),
        ("timeout", "2min", ": 120"),
        ("timeout", "30 sec.", ": 30"),
    ],
)
def test_a_number_with_a_unit_is_an_issue_that_shows_it_without(field: str, text: str, example: str) -> None:
    [issue] = issues(SERVER, **{field: text})
    assert issue.code == f"{field}.unit"
    assert issue.message.endswith(f"without a unit{example}.")


def test_a_unit_that_does_not_convert_is_not_converted() -> None:
    [issue] = issues(SERVER, interval="90s")
    assert issue.message.endswith("written without a unit.")


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("mail.example.com", {"hostname": "mail.example.com"}),
        ("MAIL.Example.COM.", {"hostname": "mail.example.com"}),
        ("mail.example.com:993", {"hostname": "mail.example.com", "port": 993}),
        ("imaps://mail.example.com", {"hostname": "mail.example.com", "port": 993}),
        ("IMAPS://mail.example.com:1993/", {"hostname": "mail.example.com", "port": 1993}),
        ("imap://mail.example.com", {"hostname": "mail.example.com"}),
        ("mail.münchen.example", {"hostname": "mail.xn--mnchen-3ya.example"}),
        ("MAIL.MÜNCHEN.example", {"hostname": "mail.xn--mnchen-3ya.example"}),
        ("mail.xn--mnchen-3ya.example", {"hostname": "mail.xn--mnchen-3ya.example"}),
        ("mail。example。com", {"hostname": "mail.example.com"}),
        ("3com.example.com", {"hostname": "3com.example.com"}),
        ("8.8.8.8", {"hostname": "8.8.8.8", "ipv4": "8.8.8.8", "resolve_dns": False}),
        ("8.8.8.8:993", {"hostname": "8.8.8.8", "ipv4": "8.8.8.8", "resolve_dns": False, "port": 993}),
        (f"{'a' * 63}.example.com", {"hostname": f"{'a' * 63}.example.com"}),
        (".".join(["a" * 49] * 5) + ".de", {"hostname": ".".join(["a" * 49] * 5) + ".de"}),
    ],
)
def test_a_host_cell_sets_host_port_and_address(text: str, sent: dict[str, object]) -> None:
    assert body(SERVER, hostname=text) == {"name": "mx1", "billing_plancode": "UBM - A/A", **sent}


@pytest.mark.parametrize(
    ("text", "reason", "suggestion"),
    [
        ("postmaster@example.com", "email", "e-mail address"),
        ("https://mail.example.com/login", "url", "write mail.example.com"),
        ("ftp://mail.example.com", "scheme", "imaps://"),
        ("mail.example.com/inbox", "path", "write mail.example.com"),
        ("imaps://mail.example.com/INBOX", "path", "write mail.example.com"),
        ("\\\\mail.example.com", "path", "host name"),
        ("*.example.com", "wildcard", "one row for each host"),
        ("2001:db8::25", "ipv6", "IPv6"),
        ("[2001:db8::25]:993", "ipv6", "IPv6"),
        ("::1", "ipv6", "IPv6"),
        ("mail01", "domain", "mail01.example.com"),
        ("localhost", "domain", "needs a domain"),
        ("mail_01.example.com", "underscore", "write mail-01.example.com"),
        ("mail. example.com", "space", "write mail.example.com"),
        ("mail.example.com mx", "space", "write only the host name"),
        ("mail.example.com:imap", "port", "after the colon comes a port, and a port is a whole number"),
        ("mx1.example.com, mx2.example.com", "several", "one row for each"),
        ("mx1.example.com\nmx2.example.com", "several", "one row for each"),
        ("mx1.example.com;mx2.example.com", "several", "one row for each"),
        ("192.0.2.300", "ipv4", "0 to 255"),
        ("192.0.2", "ipv4", "0 to 255"),
        ("192.0.02.1", "ipv4", "0 to 255"),
        ("mail..example.com", "form", "hyphens"),
        ("-mail.example.com", "form", "hyphens"),
        (".example.com", "form", "hyphens"),
        ("imaps://", "form", "hyphens"),
        ("example.123", "form", "hyphens"),
        ("xn--a.example.com", "idn", "international"),
        ("☃️💥.example.com", "idn", "international"),
        (f"{'a' * 64}.example.com", "form", "hyphens"),
        (".".join(["a" * 49] * 5) + ".info", "length", "253"),
        ("x" * 5000, "length", "253"),
        ("mail.example.com:0", "port", "65535"),
        ("mail.example.com:65536", "port", "65535"),
        ("mail.example.com:imap", "port", "65535"),
        ("mail.example.com:٩٩٣", "port", "65535"),
        ("mail.example.com:143:993", "port", "one row for each"),
    ],
)
def test_an_invalid_host_is_an_issue_with_a_suggestion(text: str, reason: str, suggestion: str) -> None:
    [issue] = issues(SERVER, hostname=text)
    assert issue.code == f"hostname.{reason}"
    assert suggestion in issue.message


@pytest.mark.parametrize(
    "text", ["imaps://bob:S3cret@mail.example.com", "bob:S3cret@mail.example.com", "https://b:S3cret@x.de"]
)
@pytest.mark.parametrize("field", ["hostname", "smtp_hostname"])
def test_a_password_in_a_host_is_not_repeated(field: str, text: str) -> None:
    found = [i for i in issues(SERVER if field == "hostname" else ROUND_TRIP, **{field: text}) if i.field == field]
    assert [issue.code for issue in found] == [f"{field}.credentials"]
    assert "S3cret" not in str(found)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"hostname": "mail.example.com:993", "port": "993"}, []),
        ({"hostname": "mail.example.com:993", "port": "143"}, ["hostname.port"]),
        ({"hostname": "smtps://mail.example.com"}, ["hostname.scheme_type"]),
        ({"type": "pop", "hostname": "pop3s://mail.example.com"}, []),
        ({"type": "smtps", "hostname": "submission://mail.example.com"}, ["hostname.scheme_type"]),
        ({"type": "imaps", "port": "993"}, []),
        ({"type": "imaps", "port": "1993"}, []),
        ({"type": "imaps", "port": "143"}, ["port.type"]),
        ({"type": "imaps", "hostname": "mail.example.com:143"}, ["port.type"]),
        ({"type": "imap", "hostname": "imaps://mail.example.com", "port": "143"}, ["port.type"]),
        ({"type": "smtps", "port": "587"}, ["port.type"]),
        ({"type": "submission", "port": "465"}, ["port.type"]),
        ({"type": "submission", "port": "2525"}, []),
        ({"hostname": "8.8.8.8", "ipv4": "8.8.8.8", "resolve_dns": "no"}, []),
        ({"hostname": "8.8.8.8", "ipv4": "8.8.4.4"}, ["ipv4.hostname"]),
        ({"hostname": "8.8.8.8", "resolve_dns": "yes"}, ["resolve_dns.hostname"]),
        ({"home_location": "10", "locations": "10;20"}, []),
        ({"home_location": "30", "locations": "10;20"}, ["home_location.not_listed"]),
        ({"home_location": "30"}, []),
        ({"monitor_location_count": "2", "locations": "10;20"}, []),
        ({"monitor_location_count": "3", "locations": "10;20"}, ["monitor_location_count.too_many"]),
        ({"monitor_location_count": "0", "locations": "10;20"}, ["monitor_location_count.range"]),
        ({"interval": "1", "timeout": "300"}, []),
        ({"email": "probe@example.com", "smtp_hostname": "a.example.com"}, ["smtp_hostname.type", "email.type"]),
    ],
)
def test_cells_of_a_server_row_must_agree(cells: dict[str, str], expected: list[str]) -> None:
    result = check(SERVER, **cells)
    found = [issue.code for issue in result.issues] if isinstance(result, Invalid) else []
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"interval": "6", "timeout": "300"}, []),
        ({"interval": "5", "timeout": "300"}, ["timeout.interval"]),
        ({"interval": "1", "timeout": "59"}, []),
        ({"interval": "1", "timeout": "60"}, ["timeout.interval"]),
        ({"hostname": "8.8.8.8"}, ["hostname.type"]),
        ({"hostname": "mail.example.com", "port": "25"}, ["hostname.type", "port.type"]),
        ({"smtp_hostname": ""}, ["smtp_hostname.missing"]),
        ({"pop3_hostname": "", "email": ""}, ["pop3_hostname.missing", "email.missing"]),
        ({"smtp_hostname": "smtp.example.com"}, []),
        ({"smtp_hostname": "pop3s://smtp.example.com"}, ["smtp_hostname.scheme"]),
        ({"pop3_hostname": "imaps://imap.example.com"}, ["pop3_hostname.scheme"]),
        ({"pop3_hostname": "mailbox"}, ["pop3_hostname.domain"]),
    ],
)
def test_cells_of_a_round_trip_row_must_agree(cells: dict[str, str], expected: list[str]) -> None:
    result = check(ROUND_TRIP, **cells)
    found = [issue.code for issue in result.issues] if isinstance(result, Invalid) else []
    assert sorted(found) == sorted(expected)


def test_round_trip_servers_are_sent_in_their_documented_form() -> None:
    sent = body(ROUND_TRIP, smtp_hostname="SMTPS://SMTP.example.com:465", pop3_hostname="pops://pop.münchen.example")
    assert sent["smtp_hostname"] == "smtps://smtp.example.com:465"
    assert sent["pop3_hostname"] == "pop3s://pop.xn--mnchen-3ya.example"


@pytest.mark.parametrize(
    ("text", "value"),
    [(t, True) for t in ("true", "TRUE", "yes", "Y", "on", "1", "Enabled")]
    + [(t, False) for t in ("false", "FALSE", "no", "N", "off", "0", "disabled")],
)
@pytest.mark.parametrize("field", [f.name for f in FIELDS.values() if f.cell_type == "switch"])
def test_switches_are_native_booleans(field: str, text: str, value: bool) -> None:
    assert body(SERVER, **{field: text})[field] is value


@pytest.mark.parametrize("text", ["maybe", "2", "tak", "-1", "t", "yes no", "None"])
def test_an_invalid_switch_is_an_issue(text: str) -> None:
    assert codes(SERVER, enabled=text) == ["enabled.switch"]


@pytest.mark.parametrize(
    ("field", "text", "sent"),
    [
        ("locations", "10", [{"id": 10}]),
        ("locations", "10;20", [{"id": 10}, {"id": 20}]),
        ("locations", "10.0;20.00", [{"id": 10}, {"id": 20}]),
        ("locations", " 20 , 10 ;", [{"id": 20}, {"id": 10}]),
        ("custom_properties", "28=74;30 = 81", [{"id": 28, "value_id": 74}, {"id": 30, "value_id": 81}]),
        ("mode", "primary", "Primary"),
        ("mode", "GLOBAL-VERIFY", "Global Verify"),
        ("mode", "sla", "SLA (MultiPOP)"),
        ("mode", "SLA (MultiPOP)", "SLA (MultiPOP)"),
        ("ipv4", "192.0.2.10", "192.0.2.10"),
        ("alert_note", "x" * 1000, "x" * 1000),
        ("alert_note", "two\nlines", "two\nlines"),
        ("note", "x" * 255, "x" * 255),
        ("name", "x" * 255, "x" * 255),
        ("name", "  Münchner Mail ✉ ", "Münchner Mail ✉"),
        ("name", "NA", "NA"),
        ("name", "=1+1", "=1+1"),
        ("billing_plancode", "VMNODE-100", "VMNODE-100"),
    ],
)
def test_lists_choices_and_texts_are_sent_as_documented(field: str, text: str, sent: object) -> None:
    assert body(SERVER, **{field: text})[field] == sent


@pytest.mark.parametrize(
    ("field", "text", "code"),
    [
        ("type", "ping", "type.unknown"),
        ("type", "", "type.missing"),
        ("name", "", "name.missing"),
        ("name", "   ", "name.missing"),
        ("name", "x" * 256, "name.length"),
        ("name", "a\nb", "name.control"),
        ("name", "a\tb", "name.control"),
        ("name", "a\x00b", "name.control"),
        ("name", "a\x85b", "name.control"),
        ("name", "a\ud800b", "name.control"),
        ("hostname", "", "hostname.missing"),
        ("billing_plancode", "", "billing_plancode.missing"),
        ("billing_plancode", "UBM - A/A:1:50", "billing_plancode.counts"),
        ("billing_plancode", "a\nb", "billing_plancode.control"),
        ("mode", "Secondary", "mode.unknown"),
        ("locations", "Atlanta", "locations.number"),
        ("locations", "10;;20", "locations.number"),
        ("locations", "10.2", "locations.number"),
        ("locations", "010", "locations.number"),
        ("locations", "0.0", "locations.number"),
        ("locations", "10.000", "locations.number"),
        ("locations", "10;10.0", "locations.repeated"),
        ("locations", ";", "locations.number"),
        ("locations", "10;10", "locations.repeated"),
        ("locations", "-1", "locations.number"),
        ("home_location", "0", "home_location.range"),
        ("custom_properties", "Team=Mail", "custom_properties.form"),
        ("custom_properties", "28", "custom_properties.form"),
        ("custom_properties", "28=74;28=75", "custom_properties.repeated"),
        ("ipv4", "192.0.2.256", "ipv4.form"),
        ("ipv4", "2001:db8::1", "ipv4.form"),
        ("ipv4", "１.1.1.1", "ipv4.form"),
        ("alert_note", "x" * 1001, "alert_note.length"),
        ("alert_note", "a\x00", "alert_note.control"),
        ("note", "x" * 256, "note.length"),
        ("monitor_id", "12a", "monitor_id.number"),
    ],
)
def test_each_rule_is_enforced(field: str, text: str, code: str) -> None:
    [issue] = issues(SERVER, **{field: text})
    assert issue.code == code
    assert issue.column == field
    assert issue.message.startswith(f"{field} ")
    assert issue.message.endswith(".")
    assert "\n" not in issue.message


@pytest.mark.parametrize(
    "text", ["probe", "probe@", "@example.com", "a b@example.com", "x@localhost", "a@b@example.com"]
)
def test_an_invalid_e_mail_address_is_an_issue(text: str) -> None:
    assert [code.split(".")[0] for code in codes(ROUND_TRIP, email=text)] == ["email"]


def test_an_e_mail_address_is_sent_in_ascii_if_possible() -> None:
    assert body(ROUND_TRIP, email="Probe@MÜNCHEN.example.com")["email"] == "Probe@xn--mnchen-3ya.example.com"


@pytest.mark.parametrize(
    ("cells", "code"),
    [
        ({"port": "110"}, "port.other_type"),
        ({"type": "smtp", "port": "993"}, "port.other_type"),
        ({"type": "smtp", "port": "25465"}, "port.joined"),
        ({"locations": "10,2"}, "locations.joined"),
        ({"name": "a\ufeff"}, "name.invisible"),
        ({"name": "a\u3164b"}, "name.invisible"),
        ({"name": "a\u200bb"}, "name.invisible"),
        ({"name": "a\u202eb"}, "name.invisible"),
        ({"name": "M\ufffdnchen"}, "name.damaged"),
        ({"billing_plancode": "UBM-A/A"}, "billing_plancode.spelling"),
        ({"hostname": "192.168.1.1"}, "hostname.private"),
        ({"hostname": "mail.local"}, "hostname.private"),
        ({"mode": "SLA", "locations": "10"}, "mode.locations"),
        ({"mode": "Primary", "rotate_locations": "yes"}, "rotate_locations.mode"),
        ({"": "text"}, "column.headerless"),
    ],
)
def test_a_valid_but_unusual_value_is_a_warning(cells: dict[str, str], code: str) -> None:
    result = check(SERVER, **cells)
    assert isinstance(result, Valid)
    assert [(warning.code, warning.severity) for warning in result.warnings] == [(code, "warning")]


def test_an_invisible_character_in_a_name_is_named() -> None:
    result = check(SERVER, name="a\u200bb\u202e")
    assert isinstance(result, Valid)
    assert result.config.name == "a\u200bb\u202e"
    assert "(U+200B ZERO WIDTH SPACE, U+202E RIGHT-TO-LEFT OVERRIDE)" in result.warnings[0].message


@pytest.mark.parametrize("name", ["☎\ufe0f mail", "1\ufe0f\u20e3 mail", "Münchner Mail"])
def test_the_style_of_an_emoji_is_part_of_a_name(name: str) -> None:
    result = check(SERVER, name=name)
    assert isinstance(result, Valid)
    assert result.warnings == ()


@pytest.mark.parametrize(
    "stray", ["\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u200e", "\u202a", "\u2066"]
)
def test_invisible_characters_change_nothing_in_hosts_numbers_and_options(stray: str) -> None:
    cells = {
        "type": "imaps",
        "hostname": "mx1.example.com:993",
        "port": "993",
        "billing_plancode": "UBM - A/A",
        "interval": "15",
        "enabled": "no",
        "mode": "Global Verify",
        "locations": "10;20",
        "ipv4": "192.0.2.1",
        "custom_properties": "28=74",
        "monitor_id": "12",
    }
    stray_cells = {name: f"{stray}{text[:1]}{stray}{text[1:]}{stray}" for name, text in cells.items()}
    result, expected = check(SERVER, **stray_cells), check(SERVER, **cells)
    assert isinstance(result, Valid), result.issues
    assert isinstance(expected, Valid)
    assert (result.config, result.monitor_id) == (expected.config, "12")
    assert body(SERVER, {"interval": f"{stray}15"}) == body(SERVER, {"interval": "15"})
    assert codes(SERVER, name=stray) == ["name.missing"]


def test_joiners_that_an_international_host_name_needs_stay() -> None:
    assert body(SERVER, hostname="\u200bنامه\u200cای.example.com")["hostname"] == "xn--mgba3gch31f060k.example.com"
    assert body(SERVER, hostname="نامهای.example.com")["hostname"] != "xn--mgba3gch31f060k.example.com"


@pytest.mark.parametrize("field", ["monitor_id", "home_location"])
@pytest.mark.parametrize(
    ("text", "reason"), [("0", "range"), ("0.0", "range"), ("00", "range"), ("007", "zeros"), ("07.0", "zeros")]
)
def test_an_id_does_not_begin_with_0(field: str, text: str, reason: str) -> None:
    assert codes(SERVER, **{field: text}) == [f"{field}.{reason}"]
    if field == "monitor_id":
        result = check({**SERVER, **dict.fromkeys(RESULT_COLUMNS, "")}, monitor_id=text)
        assert isinstance(result, Invalid)
        assert ([issue.code for issue in result.issues], result.monitor_id) == ([f"monitor_id.{reason}"], text)


@pytest.mark.parametrize(
    ("number", "typed", "severity"),
    [
        ("1020", "10;20", "error"),
        ("102030", "10;20;30", "error"),
        ("110120", "110;120", "error"),
        ("10273", "10;273", "warning"),  # private locations have such numbers
        ("10110", "10;110", "warning"),
        ("1020110", "10;20;110", "warning"),
    ],
)
def test_a_number_that_may_be_a_list_of_locations_is_doubtful(number: str, typed: str, severity: str) -> None:
    result = check(SERVER, locations=NumberText(number))
    [issue] = result.issues if isinstance(result, Invalid) else result.warnings
    assert (issue.code, issue.severity, issue.value) == ("locations.joined", severity, number)
    assert f"such as {typed}." in issue.message


@pytest.mark.parametrize(
    "text", ["1020", "20", "10273", "10;2", "10,20", "110,120", "20,30,4", NumberText("2000"), NumberText("1002")]
)
def test_other_locations_are_not_doubted(text: str) -> None:
    result = check(SERVER, locations=text)
    assert isinstance(result, Valid)
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("text", "expected"), [("1020", ["locations.joined"]), ("10273", []), ("10", []), ("100", []), ("10;20", [])]
)
def test_a_list_refused_as_a_number_is_still_doubtful_in_the_results(text: str, expected: list[str]) -> None:
    result = check(SERVER, locations=text, run_id="r")
    assert isinstance(result, Valid)
    assert [warning.code for warning in result.warnings] == expected


SHORT = ("type", "name", "hostname", "billing_plancode", "interval", "enabled", "my own")


@pytest.mark.parametrize(
    ("cells", "defaults", "expected"),
    [
        (("imap", "a", "a.example.com", "UBM - A/A", "15", "no"), {}, []),
        (("imap", "a", "a.example.com", "UBM - A/A"), {}, []),
        (("imap", "a", "a.example.com", "UBM - A/A", "x"), {}, ["interval.number"]),
        (("imap", "a", "a.example.com"), {"billing_plancode": "UBM - A/A"}, []),
        (("imap", "a", "a.example.com"), {}, ["row.short", "billing_plancode.missing"]),
        (("imap", "a"), {"billing_plancode": "UBM - A/A"}, ["row.short", "hostname.missing"]),
        (("imap", "", "a.example.com", "UBM - A/A"), {}, ["name.missing"]),
    ],
)
def test_a_row_may_end_early_if_what_it_leaves_out_can_be_empty(
    cells: tuple[str, ...], defaults: dict[str, str], expected: list[str]
) -> None:
    validator = Validator(map_header(SHORT, given=defaults, ignore_unknown=True), defaults=defaults)
    filled = cells + ("",) * (len(SHORT) - len(cells))
    result = validator.check(RawRow(number=2, cells=filled, ends_at=len(cells)))
    assert [issue.code for issue in result.issues] == expected if isinstance(result, Invalid) else not expected


@pytest.mark.parametrize("ends_at", range(4, 4 + len(RESULT_COLUMNS) + 1))
def test_a_row_of_a_results_file_does_not_end_within_the_results(ends_at: int) -> None:
    """A row that a person added to a results file has none of them."""
    row = {**SERVER, **dict.fromkeys(RESULT_COLUMNS, "")}
    validator = Validator(map_header(tuple(row)))
    result = validator.check(
        RawRow(number=2, cells=tuple(row.values()), ends_at=ends_at if ends_at < len(row) else None)
    )
    assert isinstance(result, Valid) == (ends_at in (4, len(row)))


@pytest.mark.parametrize(
    ("defaults", "cells", "expected"),
    [
        ({}, {"type": "smtp", "hostname": "mx1.example.com:993"}, [("port.other_type", "hostname")]),
        ({}, {"type": "smtp", "hostname": "mx1.example.com:993", "port": ""}, [("port.other_type", "hostname")]),
        ({"port": "993"}, {"type": "smtp"}, [("port.other_type", "type")]),
        ({"locations": "10"}, {"mode": "SLA"}, [("mode.locations", "mode")]),
        ({"mode": "SLA"}, {"locations": "10"}, [("mode.locations", "locations")]),
        ({"mode": "SLA", "locations": "10"}, {}, []),
        ({"mode": "Primary"}, {"rotate_locations": "yes"}, [("rotate_locations.mode", "rotate_locations")]),
    ],
)
def test_a_warning_stands_at_the_cell_that_it_is_about(
    defaults: dict[str, str], cells: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    result = check(SERVER, defaults, **cells)
    assert isinstance(result, Valid)
    assert [(warning.code, warning.column) for warning in result.warnings] == expected


SAMPLES = {
    "type": st.sampled_from(["imap", "imaps", "smtp", "pop", "round-trip", "ftp"]),
    "hostname": st.sampled_from(
        ["mx1.example.com", "mx1.example.com:993", "imaps://mx1.example.com", "192.168.1.1", "8.8.8.8:25", "a b", ""]
    ),
    "port": st.sampled_from(["143", "993", "25", "0", "x"]),
    "interval": st.sampled_from(["1", "15"]),
    "timeout": st.sampled_from(["30", "300"]),
    "mode": st.sampled_from(["SLA", "Primary"]),
    "locations": st.sampled_from(["10", "10;20"]),
    "home_location": st.sampled_from(["10", "30"]),
    "monitor_location_count": st.sampled_from(["1", "2"]),
    "rotate_locations": st.sampled_from(["yes", "no"]),
    "resolve_dns": st.sampled_from(["yes", "no"]),
    "ipv4": st.sampled_from(["8.8.8.8", "192.0.2.1"]),
    "billing_plancode": st.sampled_from(["UBM - A/A", "UBM-A/A"]),
    "smtp_hostname": st.sampled_from(["smtp.local:465"]),
}
OPTIONAL = sorted(FIELDS.keys() - {"type", "name", "hostname", "billing_plancode"})


@settings(max_examples=300)
@given(
    cells=st.fixed_dictionaries({}, optional=SAMPLES),
    defaults=st.fixed_dictionaries({}, optional={name: SAMPLES[name] for name in SAMPLES if name != "smtp_hostname"}),
    empty=st.sets(st.sampled_from(OPTIONAL)),
)
def test_an_empty_column_changes_nothing(cells: dict[str, str], defaults: dict[str, str], empty: set[str]) -> None:
    def found(**more: str) -> list[tuple[str | None, ...]]:
        result = check(SERVER, defaults, **cells, **more)
        issues = result.issues if isinstance(result, Invalid) else result.warnings
        # what is missing stands in no cell
        missing = [issue.message for issue in issues if issue.code.endswith(".missing")]
        placed = sorted((i.code, i.severity, str(i.column), i.message) for i in issues if i.message not in missing)
        return [*placed, *(("missing", message) for message in sorted(missing))]

    try:
        without = found()
    except UsageError:
        assume(False)
    assert found(**dict.fromkeys(empty - cells.keys(), "")) == without


@pytest.mark.parametrize(
    "cells", [{}, {"port": "143"}, {"port": "993"}, {"port": "2143"}, {"name": "Münchner Mail"}, {"": " "}]
)
def test_usual_rows_have_no_warnings(cells: dict[str, str]) -> None:
    result = check(SERVER, **cells)
    assert isinstance(result, Valid)
    assert result.warnings == ()


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("true", True),
        ("17", 17),
        ('{"a": [1, null]}', {"a": [1, None]}),
        ("text", "text"),
        ("NaN", "NaN"),
        ("-Infinity", "-Infinity"),
        ("1e999", "1e999"),
        ("[1,", "[1,"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_api_columns_are_sent_as_they_are(text: str, sent: object) -> None:
    assert body(SERVER, **{"api:some_Field": text})["some_Field"] == sent


def test_an_empty_api_cell_is_not_sent() -> None:
    assert "x" not in body(SERVER, **{"api:x": " "})


def test_a_deeply_nested_api_cell_is_an_issue() -> None:
    assert codes(SERVER, **{"api:x": "[" * 100_000}) == ["api.nesting"]


def test_a_default_fills_only_empty_cells() -> None:
    defaults = {"interval": "5", "billing plan": "P", "enabled": "no"}
    sent = body({"type": "imap", "name": "x", "hostname": "a.example.com", "interval": ""}, defaults, enabled="yes")
    assert sent == {"name": "x", "hostname": "a.example.com", "interval": 5, "billing_plancode": "P", "enabled": True}


def test_a_port_in_the_row_takes_precedence_over_a_default() -> None:
    defaults = {"port": "2143", "resolve_dns": "yes"}
    assert body(SERVER, defaults)["port"] == 2143
    assert body(SERVER, defaults, type="imaps")["port"] == 993
    assert body(SERVER, defaults, hostname="a.example.com:1143")["port"] == 1143
    assert body(SERVER, defaults, hostname="8.8.8.8")["resolve_dns"] is False


def test_a_default_does_not_apply_to_types_without_the_field() -> None:
    assert "port" not in body(ROUND_TRIP, {"port": "993", "resolve_dns": "yes"})


def test_a_wrong_cell_is_not_replaced_by_the_default() -> None:
    assert codes(SERVER, {"interval": "5"}, interval="5 min") == ["interval.unit"]


def test_type_and_plan_may_come_from_defaults_alone() -> None:
    sent = body({"name": "x", "hostname": "a.example.com"}, {"type": "imaps", "plan": "P"})
    assert sent == {"name": "x", "hostname": "a.example.com", "port": 993, "billing_plancode": "P"}


@pytest.mark.parametrize(
    ("defaults", "parts"),
    [
        ({"port": "99999"}, ["port is 99999"]),
        ({"interval": "5 min", "enabled": "maybe"}, ["interval is", "enabled is maybe"]),
        ({"colour": "red", "monitor_id": "1"}, ['"colour"', '"monitor_id"']),
        ({"locations": "10;20", "home_location": "30"}, ["home_location is 30"]),
        ({"type": "round-trip", "interval": "1", "timeout": "60"}, ["timeout is 60"]),
        ({"host": "a.example.com", "server": "b.example.com"}, ["hostname has two defaults"]),
        ({"note": "x" * 256}, ["256 characters"]),
        ({"api:port": "1"}, ["api:port"]),
        ({"hostname": "b:S3cret@x.example.com"}, ["user name and password"]),
    ],
)
def test_invalid_defaults_raise_one_usage_error(defaults: dict[str, str], parts: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        Validator(map_header(tuple(SERVER)), defaults=defaults)
    assert all(part in str(caught.value) for part in parts)
    assert "S3cret" not in str(caught.value)


def test_all_issues_of_a_row_are_reported_in_the_order_of_its_columns() -> None:
    found = codes(
        SERVER,
        type="imapp",
        name="a\nb",
        hostname="mail01",
        billing_plancode="",
        port="0",
        interval="15 min",
        locations="10;20",
        home_location="30",
    )
    assert found == [
        "type.unknown",
        "name.control",
        "hostname.domain",
        "billing_plancode.missing",
        "port.range",
        "interval.unit",
        "home_location.not_listed",
    ]


def test_a_row_without_type_and_hosts_also_lacks_a_host() -> None:
    assert codes(SERVER, type="", hostname="") == ["type.missing", "hostname.missing"]


def test_issues_of_the_reader_are_kept_and_replace_ours_on_the_same_cell() -> None:
    header = (*SERVER, "port", "Owner")
    validator = Validator(map_header(header, ignore_unknown=True))
    reader = (
        Issue(code="row.short", message="The row is short."),
        Issue(code="cell.error", message="An error.", column="port", value="#N/A"),
        Issue(code="cell.error", message="An error.", column="Owner", value="#REF!"),
    )
    row = RawRow(number=2, cells=(*SERVER.values(), "#N/A", "#REF!"), issues=reader)
    result = validator.check(row)
    assert isinstance(result, Invalid)
    assert [(i.code, i.field, i.severity) for i in result.issues] == [
        ("row.short", None, "error"),
        ("cell.error", "port", "error"),
        ("cell.error", None, "warning"),
    ]


def test_an_error_in_a_column_that_is_not_sent_is_a_warning() -> None:
    validator = Validator(map_header((*SERVER, "Owner"), ignore_unknown=True))
    issue = Issue(code="cell.error", message="An error.", column="Owner", value="#REF!")
    result = validator.check(RawRow(number=2, cells=(*SERVER.values(), "#REF!"), issues=(issue,)))
    assert isinstance(result, Valid)
    assert [warning.severity for warning in result.warnings] == ["warning"]


def results_row(**result_cells: str) -> Valid | Invalid:
    cells = {**SERVER, **dict.fromkeys(RESULT_COLUMNS, ""), "run_id": "r1", **result_cells}
    return Validator(map_header(tuple(cells))).check(RawRow(number=2, cells=tuple(cells.values())))


@pytest.mark.parametrize("status", list(Status))
def test_a_results_file_gives_status_and_monitor_id_of_the_row(status: Status) -> None:
    result = results_row(status=status.value, monitor_id="123456.0")
    assert isinstance(result, Valid)
    assert (result.earlier, result.monitor_id) == (status, "123456")
    assert "monitor_id" not in result.config.body()


def test_an_unknown_status_is_a_warning_and_the_row_is_new() -> None:
    result = results_row(status="ok")
    assert isinstance(result, Valid)
    assert result.earlier is None
    assert [warning.code for warning in result.warnings] == ["status.unknown"]


@pytest.mark.parametrize("text", ["1.9E+18", "12a", "1,000"])
def test_an_id_that_lost_its_digits_in_a_results_file_is_an_issue(text: str) -> None:
    result = results_row(status="created", monitor_id=text)
    assert isinstance(result, Invalid)
    assert [(issue.column, issue.field) for issue in result.issues] == [("monitor_id", "monitor_id")]


def test_an_export_gives_the_monitor_id_of_the_row() -> None:
    result = check(SERVER, monitor_id="42")
    assert isinstance(result, Valid)
    assert (result.monitor_id, result.earlier) == ("42", None)


PLANTED = [
    ("type", "imapp", "type.unknown"),
    ("name", "a\x07b", "name.control"),
    ("name", "", "name.missing"),
    ("name", "n" * 256, "name.length"),
    ("hostname", "mail01", "hostname.domain"),
    ("hostname", "bob@example.com", "hostname.email"),
    ("hostname", "mail_1.example.com", "hostname.underscore"),
    ("hostname", "", "hostname.missing"),
    ("billing_plancode", "UBM - A/A:1:50", "billing_plancode.counts"),
    ("billing_plancode", "", "billing_plancode.missing"),
    ("port", "99999", "port.range"),
    ("port", "2_5", "port.number"),
    ("port", "1,993", "port.thousands"),
    ("interval", "15 min", "interval.unit"),
    ("interval", "1441", "interval.range"),
    ("timeout", "301", "timeout.range"),
    ("timeout", "0.5", "timeout.decimal"),
    ("enabled", "maybe", "enabled.switch"),
    ("locations", "Atlanta", "locations.number"),
    ("home_location", "1E+5", "home_location.scientific"),
    ("mode", "Secondary", "mode.unknown"),
    ("ipv4", "1.2.3", "ipv4.form"),
    ("email", "probe@example.com", "email.type"),
    ("custom_properties", "28", "custom_properties.form"),
    ("alert_note", "n" * 1001, "alert_note.length"),
]


def test_100_planted_mistakes_in_60_rows_give_exactly_100_issues() -> None:
    chance = random.Random(7)
    header = (*SERVER, *dict.fromkeys(column for column, _, _ in PLANTED if column not in SERVER))
    good = {**dict.fromkeys(header, ""), **SERVER, "port": "993", "locations": "10;20", "home_location": "10"}
    rows = [dict(good) for _ in range(60)]
    planted: set[tuple[int, str, str]] = set()
    while len(planted) < 100:
        number = chance.randrange(50)  # ten rows stay good
        column, text, code = chance.choice(PLANTED)
        taken = {c for n, c, _ in planted if n == number}
        # without a valid type, an e-mail address is not known to conflict with it
        if column in taken or {column, *taken} >= {"type", "email"}:
            continue
        rows[number][column] = text
        planted.add((number, column, code))
    validator = Validator(map_header(header))
    results = [validator.check(RawRow(number=n, cells=tuple(row.values()))) for n, row in enumerate(rows)]
    found = [(r.row.number, i.column, i.code) for r in results if isinstance(r, Invalid) for i in r.issues]
    assert len(found) == 100
    assert set(found) == planted
    assert sum(isinstance(result, Valid) for result in results) >= 10


LABELS = st.from_regex(r"[a-z]([a-z0-9]{0,8}[a-z0-9])?", fullmatch=True)
HOSTS = st.lists(LABELS, min_size=2, max_size=4).map(".".join)
LINES = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Cn")), min_size=1, max_size=255)
TEXTS = LINES.map(str.strip).filter(bool)
IDS = st.integers(1, 10**18 - 1)


@st.composite
def configs(draw: st.DrawFn) -> MonitorConfig:
    monitor_type = draw(st.sampled_from(MONITOR_TYPES))
    fields: dict[str, Any] = {
        "type": monitor_type,
        "name": draw(TEXTS),
        "billing_plancode": draw(st.sampled_from(["P", "UBM - A/A"])),
    }
    locations = draw(st.none() | st.lists(IDS, min_size=1, max_size=4, unique=True).map(tuple))
    optional: dict[str, st.SearchStrategy[Any]] = {
        "interval": st.integers(6, 1440),
        "timeout": st.integers(1, 300),
        "mode": st.sampled_from(MODES),
        "home_location": st.sampled_from(locations) if locations else IDS,
        "monitor_location_count": st.integers(1, len(locations)) if locations else IDS,
        "alert_note": TEXTS,
        "note": TEXTS,
        "custom_properties": st.lists(st.tuples(IDS, IDS), min_size=1, max_size=3, unique_by=lambda p: p[0]).map(tuple),
        **{f.name: st.booleans() for f in FIELDS.values() if f.cell_type == "switch" and monitor_type in f.types},
    }
    if monitor_type == "email-round-trip":
        fields |= {
            "smtp_hostname": draw(HOSTS),
            "pop3_hostname": "pop3s://" + draw(HOSTS),
            "email": "probe@example.com",
        }
    else:
        fields["hostname"] = draw(HOSTS)
        optional |= {"port": st.integers(1, 65535), "ipv4": st.ip_addresses(v=4).map(str)}
    for name, strategy in optional.items():
        fields[name] = draw(st.none() | strategy)
    return MonitorConfig(**fields, locations=locations)


def as_row(config: MonitorConfig) -> dict[str, str]:
    row = {}
    for field, value in config.model_dump(exclude_none=True).items():
        if field == "locations":
            row[field] = ";".join(map(str, value))
        elif field == "custom_properties":
            row[field] = ";".join(f"{a}={b}" for a, b in value)
        else:
            row[field] = str(value)
    return row


@given(configs())
def test_a_monitor_written_as_a_row_is_read_back_unchanged(config: MonitorConfig) -> None:
    result = check(as_row(config))
    assert isinstance(result, Valid), result.issues
    assert result.config == config
    assert result.config.key == config.key
    assert json.loads(json.dumps(result.config.body())) == config.body()


CELLS = st.one_of(
    st.text(max_size=30),
    st.text(st.characters(), max_size=30),  # with lone surrogates
    st.text("0123456789.:/@[]*_-eE+,;=%#\\ xn-ıß。", max_size=30),
    st.sampled_from(
        ["imap", "imaps://a.example.com:993", "xn--", "a" * 300, "9" * 5000, "1e999", '"\\ud800"', "[[", "1/0"]
    ),
    st.builds(
        "{}://{}:{}".format, st.sampled_from(["imap", "pop3s", "http", ""]), st.text(max_size=8), st.text(max_size=5)
    ),
)
ALL_COLUMNS = (*FIELDS, "api:x", "", *[name for name in RESULT_COLUMNS if name != "monitor_id"])


@given(st.lists(CELLS, min_size=len(ALL_COLUMNS), max_size=len(ALL_COLUMNS)), st.booleans())
def test_no_text_makes_the_validator_raise(cells: list[str], good_type: bool) -> None:
    if good_type:
        cells[0] = "smtp"
    validator = Validator(map_header(ALL_COLUMNS))
    result = validator.check(RawRow(number=2, cells=tuple(cells)))
    if isinstance(result, Valid):
        assert json.dumps(result.config.body(), allow_nan=False)
        return
    assert any(issue.severity == "error" for issue in result.issues)
    for issue in result.issues:
        assert issue.message.isprintable()
        assert len(issue.message) < 400


@given(CELLS, st.sampled_from([name for name in FIELDS if name != "monitor_id"]))
def test_the_issues_of_one_odd_cell_name_its_own_column(text: str, field: str) -> None:
    base = ROUND_TRIP if "email-imap" not in FIELDS[field].types else SERVER
    result = check(base, **{field: text})
    if isinstance(result, Valid):
        assert not any(isinstance(v, float) and math.isnan(v) for v in result.config.body().values())
    elif field not in ("type", "hostname"):
        assert {issue.column for issue in result.issues} == {field}
