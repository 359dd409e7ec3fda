"""What a person chooses for each column counts; nothing that is not certain is chosen for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.errors import InputError
from bulkload.model import RawRow
from bulkload.monitors.columns import ColumnProblem, column_problems, map_columns, propose_columns
from bulkload.monitors.fields import ALIASES, FIELDS
from bulkload.monitors.header import map_header
from bulkload.monitors.result_columns import RESULT_COLUMNS
from bulkload.monitors.validate import Invalid, Valid, Validator

GOOD = ("type", "name", "hostname", "billing_plancode")
RESULTS = (*GOOD, *RESULT_COLUMNS)
HEADERS = st.lists(
    st.text(max_size=12) | st.sampled_from((*RESULTS, *ALIASES, "api:x", "api:id", "", "bulkload_run_id")), max_size=12
)


def test_names_aliases_api_fields_and_mapped_names_are_recognised() -> None:
    header = ("Kind", "Monitor Name", "host", "plan", "api:useTls", "Rack")
    proposed = propose_columns(header, mapping={"kind": "type", "not here": "port"})
    assert [column.field for column in proposed] == ["type", "name", "hostname", "billing_plancode", "api:useTls", None]
    assert [column.needs_choice for column in proposed] == [False] * 5 + [True]
    assert [column.hint == "" for column in proposed] == [True] * 5 + [False]


@pytest.mark.parametrize(
    ("header", "hint", "suggestion"),
    [
        ("Intervaal", "Perhaps interval is meant.", "interval"),
        ("Mail servers", "Perhaps hostname is meant.", "hostname"),
        ("Interval (s)", 'Name the column "interval" and write the interval in minutes.', None),
        ("Password", "Passwords are not sent; remove the column from the file.", None),
        ("TLS", 'The type or the port sets TLS, so write imaps, pop3s or smtps in "type".', None),
        ("Colour", "This is not the name of a field.", None),
        ("api:id", "api:id is a field that has its own column or cannot be set.", None),
        ("api:", "api: names no field; write api:field_name.", None),
        ("Server", 'Column C "hostname" means hostname too, and only one column can be sent as hostname.', None),
    ],
)
def test_a_column_that_is_not_recognised_has_a_hint(header: str, hint: str, suggestion: str | None) -> None:
    column = propose_columns((*GOOD, header))[4]
    assert (column.field, column.hint, column.suggestion, column.needs_choice) == (None, hint, suggestion, True)


def test_a_column_without_a_name_needs_no_choice() -> None:
    column = propose_columns((*GOOD, " "))[4]
    assert (column.field, column.needs_choice) == (None, False)


def test_a_column_whose_name_is_not_certain_is_only_suggested() -> None:
    column = propose_columns(GOOD, doubts={1: "its encoding is a guess."})[1]
    assert (column.field, column.suggestion, column.needs_choice) == (None, "name", True)
    assert "its encoding is a guess." in column.hint


def test_columns_of_a_results_file_are_not_to_be_mapped() -> None:
    proposed = propose_columns(RESULTS)
    assert [column.is_result for column in proposed] == [False] * len(GOOD) + [True] * len(RESULT_COLUMNS)
    assert not any(column.needs_choice for column in proposed)


@given(HEADERS)
def test_proposals_agree_with_the_header_that_is_mapped_without_a_person(header: list[str]) -> None:
    proposed = propose_columns(header)
    assert [(column.index, column.header) for column in proposed] == list(enumerate(header))
    fields = [column.field for column in proposed]
    assert len(named := [field for field in fields if field]) == len(set(named))
    try:
        mapping = map_header(header)
    except InputError:
        unclear = any(column.needs_choice for column in proposed)
        assert unclear or list(column_problems(header, fields))
        return
    assert map_columns(header, fields) == mapping


def test_a_choice_counts_whatever_the_name_says() -> None:
    header = ("hostname", "name", "Art", "", "status", "run_id", "type")
    fields = ("name", "hostname", "type", "billing_plancode", None, None, None)
    mapping = map_columns(header, fields)
    assert mapping.fields == fields
    assert mapping.result_columns == {"status": 4, "run_id": 5}
    assert mapping.user_columns == (0, 1, 2, 3, 6)


def test_a_result_column_that_is_chosen_is_the_persons_own() -> None:
    mapping = map_columns((*GOOD, "monitor_id", "run_id"), (*GOOD, "monitor_id", None))
    assert mapping.result_columns == {"run_id": 5}
    assert mapping.user_columns == (0, 1, 2, 3, 4)


def test_every_problem_of_a_choice_is_said_at_its_column() -> None:
    header, fields = ("A", "B", "", "D", "E"), ("type", "port", "port", "api:port", "colour")
    problems = list(column_problems(header, fields, given=["Plan Code"]))
    assert problems == [
        ColumnProblem(
            text='Column B "B" and Column C are both sent as port; only one of them can be.', index=2, field="port"
        ),
        ColumnProblem(
            text='Column D "D": api:port is a field that has its own column or cannot be set.',
            index=3,
            field="api:port",
        ),
        ColumnProblem(
            text="Column E \"E\": there is no field 'colour'; choose one of the list.", index=4, field="colour"
        ),
        ColumnProblem(text="No column is sent as name; every row needs it.", field="name"),
        ColumnProblem(
            text="No column is sent as hostname (for round-trip: smtp_hostname); every row needs it.", field="hostname"
        ),
    ]
    with pytest.raises(InputError) as caught:
        map_columns(header, fields, given=["Plan Code"])
    assert all(problem.text in str(caught.value) for problem in problems)


@pytest.mark.parametrize("missing", GOOD)
def test_a_required_field_needs_a_column_or_a_value_for_all_rows(missing: str) -> None:
    fields = tuple(None if field == missing else field for field in GOOD)
    assert [problem.field for problem in column_problems(GOOD, fields)] == [missing]
    assert map_columns(GOOD, fields, given={missing}).fields == fields


def test_round_trip_needs_its_own_fields() -> None:
    fields = ("type", "name", "smtp_hostname", "billing_plancode")
    assert [problem.field for problem in column_problems(GOOD, fields)] == ["pop3_hostname", "email"]


def test_a_choice_for_another_number_of_columns_is_refused() -> None:
    [problem] = column_problems((*GOOD, "port"), GOOD)
    assert problem.text == "The file has 5 columns, but fields were chosen for 4; choose them again."


@given(HEADERS, st.data())
def test_any_choice_gives_a_mapping_with_these_fields_or_problems(header: list[str], data: st.DataObject) -> None:
    choices = st.none() | st.sampled_from((*FIELDS, "api:x", "api:name", "", "x"))
    fields = data.draw(st.lists(choices, min_size=len(header), max_size=len(header)))
    if texts := [problem.text for problem in column_problems(header, fields)]:
        with pytest.raises(InputError) as caught:
            map_columns(header, fields)
        assert all(text in str(caught.value) for text in texts)
        return
    mapping = map_columns(header, fields)
    assert list(mapping.fields) == fields
    assert sorted((*mapping.user_columns, *mapping.result_columns.values())) == list(range(len(header)))


def test_a_column_without_a_name_that_is_sent_is_named_by_its_letters() -> None:
    header = ("type", "name", "", "billing_plancode", "")
    validator = Validator(map_columns(header, ("type", "name", "hostname", "billing_plancode", None)))
    cells = ("imap", "mx", "mx.example.com", "UBM - A/A")
    good = validator.check(RawRow(2, (*cells, "")))
    assert isinstance(good, Valid)
    assert (good.config.hostname, good.warnings) == ("mx.example.com", ())
    bad = validator.check(RawRow(3, (*cells[:2], "not a host", cells[3], "spare")))
    assert isinstance(bad, Invalid)
    assert [(issue.code, issue.column, issue.severity) for issue in bad.issues] == [
        ("hostname.space", "C", "error"),
        ("column.headerless", None, "warning"),
    ]
