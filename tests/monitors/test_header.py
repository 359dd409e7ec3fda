"""Headers are recognised in every documented spelling, and every problem in them is reported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.errors import InputError
from bulkload.monitors.fields import ALIASES, FIELDS
from bulkload.monitors.header import is_header, map_header
from bulkload.monitors.result_columns import RESULT_COLUMNS, normalise

GOOD = ("type", "name", "hostname", "billing_plancode")
RESULTS = (*GOOD, *RESULT_COLUMNS)


def problems(header: tuple[str, ...], **options: object) -> str:
    with pytest.raises(InputError) as caught:
        map_header(header, **options)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.mark.parametrize(
    "spelling", ["hostname", "Host Name", "HOST-NAME", " host_name ", "Hostname *", "ｈｏｓｔ", "\ufeffhost\u200bname"]
)
def test_case_spaces_hyphens_and_underscores_are_ignored(spelling: str) -> None:
    assert map_header(("type", "name", spelling, "plan")).fields[2] == "hostname"


@pytest.mark.parametrize(("alias", "field"), sorted(ALIASES.items()))
def test_every_published_alias_names_its_field(alias: str, field: str) -> None:
    others = tuple(name for name in GOOD if name != field)
    assert map_header((alias.upper(), *others)).fields[0] == field


def test_no_alias_stands_for_two_fields() -> None:
    spellings = [normalise(s) for f in FIELDS.values() for s in (f.name, *f.aliases)]
    assert len(spellings) == len(set(spellings))


def test_an_unknown_column_is_an_error_with_a_suggestion() -> None:
    text = problems((*GOOD, "Intervaal"))
    assert 'Column E "Intervaal" is unknown (did you mean "interval"?)' in text


@pytest.mark.parametrize(
    ("header", "hint"),
    [
        *(
            (name, 'name the column "interval" and write the interval in minutes')
            for name in (
                "interval seconds",
                "Interval (s)",
                "check_interval_seconds",
                "Check frequency [sec]",
                "interval in ms",
                "Frequency_Hours",
            )
        ),
        *(
            (name, 'name the column "timeout" and write the timeout in seconds')
            for name in ("timeout_ms", "Timeout (min)", "Connect timeout ms")
        ),
    ],
)
def test_a_column_in_another_unit_gets_a_hint_about_the_unit(header: str, hint: str) -> None:
    text = problems((*GOOD, header), mapping={"name": header})
    assert text.count(hint) == 2
    assert "did you mean" not in text


@pytest.mark.parametrize("header", ["Email consent", "Hostnames", "port2", "Name of owner"])
def test_a_similar_column_is_not_mapped_to_a_field(header: str) -> None:
    assert f'"{header}" is unknown' in problems((*GOOD, header))
    mapping = map_header((*GOOD, header), ignore_unknown=True)
    assert mapping.fields == (*GOOD, None)


def test_all_header_problems_are_reported_at_once() -> None:
    text = problems(("type", "Host", "Server", "Colour", "api:port"), mapping={"Nix": "name", "type": "sort"})
    assert text.startswith("The header has 7 problems:")
    for part in (
        'Column B "Host" and Column C "Server" both mean hostname',
        'Column D "Colour" is unknown',
        'Column E "api:port" is a field',
        'the file has no column "Nix"',
        'there is no field "sort"',
        'The column "name" is missing',
        'The column "billing_plancode" is missing',
    ):
        assert part in text


@pytest.mark.parametrize("missing", GOOD)
def test_a_missing_required_column_is_an_error_unless_given(missing: str) -> None:
    header = tuple(name for name in GOOD if name != missing)
    assert f'"{missing}"' in problems(header)
    assert map_header(header, given={missing}).fields == header


def test_round_trip_files_need_their_own_columns_instead_of_hostname() -> None:
    text = problems(("type", "name", "plan", "smtp_hostname"))
    assert '"pop3_hostname"' in text
    assert '"email"' in text
    assert map_header(("type", "name", "plan", "smtp_hostname", "pop3_hostname", "email")).fields[3] == "smtp_hostname"


def test_map_sets_the_field_of_a_column_and_overrides_aliases() -> None:
    mapping = map_header(
        ("type", "name", "Mail gateway", "plan", "host"),
        mapping={"mail GATEWAY": "hostname", "Host": "api:backend"},
    )
    assert mapping.fields == ("type", "name", "hostname", "billing_plancode", "api:backend")


def test_api_columns_keep_the_case_of_the_field() -> None:
    assert map_header((*GOOD, "API:useTls")).fields[-1] == "api:useTls"


@pytest.mark.parametrize("header", ["api:id", "api:TYPE", "api:host_name", "api:"])
def test_api_columns_are_refused_for_fields_with_a_column_and_without_a_name(header: str) -> None:
    assert "api:" in problems((*GOOD, header))


def test_a_column_without_a_header_is_kept_and_not_sent() -> None:
    mapping = map_header((*GOOD, "", "  "))
    assert mapping.fields[4:] == (None, None)
    assert mapping.user_columns == (0, 1, 2, 3, 4, 5)


def test_a_results_file_has_user_columns_and_result_columns() -> None:
    mapping = map_header(RESULTS)
    assert mapping.is_results
    assert mapping.user_columns == (0, 1, 2, 3)
    assert {name: RESULTS[index] for name, index in mapping.result_columns.items()} == {n: n for n in RESULT_COLUMNS}


def test_in_a_results_file_of_an_export_unprefixed_columns_are_user_columns() -> None:
    header = (*GOOD, "monitor_id", *(f"bulkload_{name}" for name in RESULT_COLUMNS))
    mapping = map_header(header)
    assert mapping.fields[4] == "monitor_id"
    assert mapping.user_columns == (0, 1, 2, 3, 4)
    assert mapping.result_columns["monitor_id"] == 6


def test_without_run_id_a_column_named_like_a_result_column_is_a_user_column() -> None:
    assert '"status" is unknown' in problems((*GOOD, "status"))
    mapping = map_header((*GOOD, "status", "monitor_id"), ignore_unknown=True)
    assert not mapping.is_results
    assert mapping.fields[4:] == (None, "monitor_id")
    assert mapping.user_columns == (0, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("cells", "given", "expected"),
    [
        (("Type", "Name", "Mail server"), (), True),
        (("", "Type", "Name", "SMTP host", "whatever"), (), True),
        (("Name", "Host"), (), False),
        (("Name", "Host"), ("type",), True),
        (("Our mail hosts", "", ""), (), False),
        (("imap", "Gmail", "imap.gmail.com"), (), False),
        ((), ("type", "name", "hostname"), False),
    ],
)
def test_a_header_is_distinguished_from_titles_and_rows(
    cells: tuple[str, ...], given: tuple[str, ...], expected: bool
) -> None:
    assert is_header(cells, given=given) is expected


def test_a_header_whose_columns_are_mapped_is_a_header() -> None:
    assert is_header(("Kind", "Name", "Host"), mapping={"kind": "type"})


@given(st.lists(st.text(max_size=12) | st.sampled_from(RESULTS), max_size=12), st.booleans())
def test_any_header_gives_a_mapping_or_an_input_error(header: list[str], ignore_unknown: bool) -> None:
    try:
        mapping = map_header(header, ignore_unknown=ignore_unknown)
    except InputError:
        return
    assert len(mapping.fields) == len(header)
    named = [field for field in mapping.fields if field is not None]
    assert len(named) == len(set(named))
