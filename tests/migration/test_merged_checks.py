"""What a row says about its source is true of all checks that were merged into it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bulkload.migration.checks import Check
from bulkload.migration.rules import MigratedRow, Rules, apply_rules

TCP = Check(origin="tcp", type=None, name="tcp", hostname="mx.example.com", port=25, interval_seconds=300)
SMTP = Check(origin="smtp", type="smtp", name="smtp", hostname="mx.example.com", port=25, interval_seconds=300)


def merged(*checks: Check) -> MigratedRow:
    translation = apply_rules("Tool", checks, Rules())
    assert translation.counts.skipped == len(checks) - 1
    (row,) = translation.rows
    return row


@pytest.mark.parametrize("checks", [(SMTP, TCP), (TCP, SMTP), (TCP, TCP, SMTP)])
def test_a_type_that_one_check_states_is_not_inferred(checks: tuple[Check, ...]) -> None:
    row = merged(*checks)
    assert row.fields["type"] == "smtp"
    assert "inferred" not in " ".join((row.fields["note"], *row.changes))


def test_a_type_that_no_check_states_is_inferred() -> None:
    row = merged(TCP, TCP)
    assert row.fields["note"] == "type inferred from TCP port"
    assert "The type smtp is inferred from TCP port 25." in row.changes


@pytest.mark.parametrize("order", [1, -1])
def test_a_port_that_one_check_states_is_not_assumed(order: int) -> None:
    without = replace(SMTP, port=None)
    row = merged(*[without, SMTP][::order])
    assert not any("default port" in change for change in row.changes)
    assert any("default port" in change for change in merged(without, without).changes)


def test_a_login_and_a_tls_mode_of_any_check_are_named_in_note_and_changes() -> None:
    row = merged(TCP, replace(SMTP, has_login=True, tls="starttls"))
    assert row.fields["note"] == "STARTTLS in the source; login in the source, enter it again"
    assert "The source logs in; its user name and password are not imported." in row.changes


def test_what_a_reader_assumed_belongs_to_the_check_whose_values_are_used() -> None:
    paused = replace(SMTP, enabled=False, interval_seconds=60, changes=("An interval of one minute is used.",))
    slow = replace(SMTP, changes=("The timeout is assumed.",), timeout_seconds=9)
    quick = replace(SMTP, interval_seconds=120, changes=("The interval is assumed.",))
    row = merged(paused, slow, quick)
    assert (row.fields["interval"], row.fields["timeout"], row.fields["enabled"]) == ("2", "9", "true")
    assert row.changes[:2] == ("The timeout is assumed.", "The interval is assumed.")
    assert "An interval of one minute is used." not in row.changes


def test_what_a_round_trip_check_loses_is_named() -> None:
    check = Check(origin="rt", type="round-trip", name="rt", hostname="", has_login=True, changes=("Not imported: x.",))
    (row,) = apply_rules("Tool", [replace(check, extra={"billing_plancode": "UBM - A/A"})], Rules()).rows
    assert row.changes == ("Not imported: x.", "The source logs in; its user name and password are not imported.")
    assert row.fields["note"] == ""
