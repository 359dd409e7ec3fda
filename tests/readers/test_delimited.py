"""Text files: equal rows from every encoding and delimiter, row numbers as shown, every fault reported."""

import csv
import io
import itertools
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bulkload.errors import InputError
from bulkload.model import RawRow, Source
from bulkload.readers.opening import open_source

HEADER = ("type", "name", "hostname", "port", "note")
ROWS = (
    ("imap", "Zürich – Mail", "mail1.example.com", "993", "one, two; three | four\tfive"),
    ("smtp", "NA", "null", "25", "line one\nline two"),
    ("pop", "None", "mail3.example.com", "110", ""),
    ("imap", ' "quoted" ', "mail4.example.com", "143", "'=1+1"),
)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252")
DELIMITERS = (",", ";", "\t", "|")


def is_header(cells: Sequence[str]) -> bool:
    return {"type", "name", "hostname"} <= {cell.lower() for cell in cells}


def read(path: Path, sheet: str | None = None, encoding: str | None = None) -> tuple[Source, list[RawRow]]:
    with open_source(path, sheet=sheet, encoding=encoding, is_header=is_header) as source:
        return source, list(source.rows)


def written(path: Path, content: str | bytes, name: str = "hosts.csv") -> Path:
    file = path / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return file


def as_csv(rows: Sequence[Sequence[str]], delimiter: str = ",", end: str = "\r\n", *, quote_all: bool = False) -> str:
    text = io.StringIO(newline="")
    csv.writer(
        text, delimiter=delimiter, lineterminator=end, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL
    ).writerows(rows)
    return text.getvalue()


PLAIN = as_csv((HEADER, *ROWS))
VARIATIONS: dict[str, bytes] = {
    f"{encoding} {delimiter!r} {end!r}": as_csv((HEADER, *ROWS), delimiter, end, quote_all=end == "\r").encode(encoding)
    for encoding, delimiter, end in itertools.product(ENCODINGS, DELIMITERS, ("\r\n", "\n", "\r"))
} | {
    "everything quoted": as_csv((HEADER, *ROWS), ";", quote_all=True).encode(),
    "DOS end of file": PLAIN.encode() + b"\x1a",
    "two byte order marks": "\ufeff\ufeff".encode() + PLAIN.encode(),
    "two byte order marks in UTF-16": ("\ufeff" + PLAIN).encode("utf-16"),
    "two byte order marks before a quote": "\ufeff\ufeff".encode() + as_csv((HEADER, *ROWS), quote_all=True).encode(),
    "two byte order marks before a sep line": "\ufeff\ufeffsep=;\n".encode() + as_csv((HEADER, *ROWS), ";").encode(),
    "an invisible character in the header": PLAIN.replace("hostname", "host\u200bname\u2060", 1).encode(),
    "rows of invisible characters": PLAIN.encode() + "\ufeff\r\n\u200b,\u2060,,,\r\n".encode(),
    "blank lines at the end": PLAIN.encode() + b"\r\n\r\n,,,,\r\n  \r\n",
    "blank lines at the start": b"\r\n,,\r\n" + PLAIN.encode(),
    "title lines": b"Mail hosts,,,,\r\nas of May\r\n\r\n" + PLAIN.encode(),
    "title with other delimiters": b"a;b;c;d;e;f;g\r\n" + PLAIN.encode(),
    "sep line": b"sep=|\r\n" + as_csv((HEADER, *ROWS), "|").encode(),
    "sep line with a tab in writing": b"sep=\\t\r\n" + as_csv((HEADER, *ROWS), "\t").encode(),
    "quoted sep line": b'"sep=;"\r\n' + as_csv((HEADER, *ROWS), ";").encode(),
    "sep line after a mark": "\ufeffSEP=\t\n".encode() + as_csv((HEADER, *ROWS), "\t", "\n").encode(),
    "sep line in UTF-16": ("sep=;\r\n" + as_csv((HEADER, *ROWS), ";")).encode("utf-16"),
    "trailing delimiters": as_csv([(*row, "") for row in (HEADER, *ROWS)]).encode(),
    "several trailing delimiters": as_csv([(*row, "", "", " ") for row in (HEADER, *ROWS)]).encode(),
    "trailing delimiters in the rows only": as_csv([HEADER, *((*row, "") for row in ROWS)]).encode(),
    "wrapped header": PLAIN.replace("hostname", '" hostname\n"', 1).encode(),
}


@pytest.mark.parametrize("variation", VARIATIONS)
def test_every_encoding_and_delimiter_gives_the_same_rows(tmp_path: Path, variation: str) -> None:
    """Windows-1252 is given: nothing in such a file proves it."""
    given = "cp1252" if variation.startswith("cp1252") else None
    source, rows = read(written(tmp_path, VARIATIONS[variation]), encoding=given)
    assert source.header == HEADER
    assert [row.cells for row in rows] == list(ROWS)
    assert not any(row.issues for row in rows)
    assert source.details.keys() == {"encoding", "delimiter"}


# Control characters other than line ends and tabs would make it binary data, which is rejected.
CELL = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20) | st.sampled_from(
    ['"', '""', "\r\n", "\r", "\n", ",", ";", "\t", "|", "=1", "'", "NA", " "]
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(*[CELL] * 5), max_size=8),
    delimiter=st.sampled_from(DELIMITERS),
    end=st.sampled_from(["\r\n", "\n", "\r"]),
    quote_all=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_what_a_csv_writer_writes_is_read_cell_by_cell(
    tmp_path: Path, rows: list[tuple[str, ...]], delimiter: str, end: str, quote_all: bool, encoding: str
) -> None:
    if encoding == "utf-16":  # where a replacement character stands for bytes that cannot be decoded
        rows = [tuple(cell.replace("\ufffd", "?") for cell in row) for row in rows]
    # Python 3.11 quotes a line break only if it is the file's line terminator
    text = as_csv((HEADER, *rows), delimiter, end, quote_all=quote_all or end != "\r\n")
    source, actual = read(written(tmp_path, text.encode(encoding)))
    expected = [(number, row) for number, row in enumerate(rows, 2) if "".join(row).strip()]
    assert source.header == HEADER
    assert [(row.number, row.cells) for row in actual] == expected
    assert not any(row.issues for row in actual)


def test_rows_are_numbered_as_a_spreadsheet_program_shows_them(tmp_path: Path) -> None:
    """Title, blank and header rows count; a quoted line break and a sep line do not."""
    text = 'sep=,\nA title\n\ntype,name,hostname\n\nimap,"two\nlines",a\n,,\npop,b,c\n'
    source, rows = read(written(tmp_path, text))
    assert [(row.number, row.cells[1]) for row in rows] == [(5, "two\nlines"), (7, "b")]
    assert "row 3" in source.notes[0]


def test_a_long_row_gets_an_issue_and_a_short_one_is_filled_up(tmp_path: Path) -> None:
    text = "type,name,hostname\nimap,a,h,extra,,more\nimap,b\npop,c,h\nimap,d,h,,\n"
    _, rows = read(written(tmp_path, text))
    assert [row.cells for row in rows] == [("imap", "a", "h"), ("imap", "b", ""), ("pop", "c", "h"), ("imap", "d", "h")]
    assert [[issue.code for issue in row.issues] for row in rows] == [["row.long"], [], [], []]
    assert "extra; more" in rows[0].issues[0].message
    assert [row.ends_at for row in rows] == [None, 2, None, None]  # whether it may be short depends on its columns


@pytest.mark.parametrize(
    ("bad", "cell"),
    [
        ('imap,"never closed,h', "never closed,h"),
        ('imap,"closed"too early,h', "closedtoo early"),
        ('imap,"begun', "begun"),
    ],
)
def test_a_missing_quote_affects_one_row_and_not_the_rest_of_the_file(tmp_path: Path, bad: str, cell: str) -> None:
    text = f"type,name,hostname\npop,a,h\n{bad}\npop,b,h\npop,c,h\n"
    _, rows = read(written(tmp_path, text))
    assert [(row.number, row.cells[1]) for row in rows] == [(2, "a"), (3, cell), (4, "b"), (5, "c")]
    assert [[issue.code for issue in row.issues] for row in rows] == [[], ["row.quote"], [], []]


LAST_ROWS = [  # without a line end
    ("imap,a,h,993,x", [("row.end", "warning", "note")]),
    ("imap,a,h,993,", [("row.end", "warning", "note")]),
    ('imap,a,h,993,"x"', [("row.end", "warning", "note")]),
    ("imap,a,h,993,yes", []),
    ("imap,a,h,993,FALSE", []),
    ("imap,a,h,993,x,", []),
    ("imap,a,h,9", [("row.cut", "error", None)]),
    ("imap,a,h,", [("row.cut", "error", None)]),
    ("im", [("row.cut", "error", None)]),
    ('imap,a,h,993,"x', [("row.quote", "error", None)]),
    ('imap,a,h,993,"x""', [("row.quote", "error", None)]),
    ("imap,a,h,993,x\r", []),
    (",,,,", []),
]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize(("last", "expected"), LAST_ROWS)
def test_a_file_that_may_have_been_cut_off_in_its_last_row_says_so(
    tmp_path: Path, last: str, expected: list[tuple[str, str, str | None]], encoding: str
) -> None:
    text = as_csv((HEADER, ("pop", "b", "h", "110", ""))) + last
    _, rows = read(written(tmp_path, text.encode(encoding)))
    assert rows[0].issues == ()
    found = [(issue.code, issue.severity, issue.column) for row in rows[1:] for issue in row.issues]
    assert found == expected


def test_only_the_row_of_the_last_line_is_in_doubt_when_a_quote_is_missing(tmp_path: Path) -> None:
    _, rows = read(written(tmp_path, 'type,name,hostname\nimap,"a,h\npop,b,h\npop,c,h'))
    assert [[issue.code for issue in row.issues] for row in rows] == [["row.quote"], [], ["row.end"]]


def test_a_file_appended_to_another_begins_with_a_quote_and_not_with_a_mark(tmp_path: Path) -> None:
    _, rows = read(written(tmp_path, 'type,name,hostname\nimap,a,h\n\ufeff"pop","b",h\n'))
    assert [row.cells for row in rows] == [("imap", "a", "h"), ("pop", "b", "h")]


def test_a_missing_quote_is_detected_when_a_later_quote_seems_to_close_it(tmp_path: Path) -> None:
    text = 'type,name,hostname\nimap,"lost,h\npop,b,h\npop,"c, d",h\npop,e,h\n'
    _, rows = read(written(tmp_path, text))
    assert [row.number for row in rows] == [2, 3, 4, 5]
    assert [row.cells[1] for row in rows[1:]] == ["b", "c, d", "e"]
    assert [bool(row.issues) for row in rows] == [True, False, False, False]


def test_a_missing_quote_far_from_the_end_is_detected_within_limits(tmp_path: Path) -> None:
    below = "".join(f"pop,host {number},h\n" for number in range(30_000))
    _, rows = read(written(tmp_path, f'type,name,hostname\nimap,"lost,h\n{below}'))
    assert len(rows) == 30_001
    assert [row.number for row in rows if row.issues] == [2]


def test_an_enormous_cell_is_an_issue_of_its_row(tmp_path: Path) -> None:
    text = f"type,name,hostname\nimap,{'x' * 200_000},h\npop,b,h\n"
    _, rows = read(written(tmp_path, text))
    assert [issue.code for issue in rows[0].issues] == ["row.size"]
    assert rows[1].cells == ("pop", "b", "h")


def test_an_endless_line_is_rejected_with_its_row_number(tmp_path: Path) -> None:
    path = written(tmp_path, "type,name,hostname\npop,b,h\nimap," + "x" * 2_000_000)
    with pytest.raises(InputError, match=r"hosts\.csv: row 3 has a line of"):
        read(path)


def test_an_invalid_byte_in_a_utf8_file_is_an_issue_of_its_row(tmp_path: Path) -> None:
    good = "type,name,hostname\nimap,Zürich,h\nimap,Genève,h\n".encode()
    source, rows = read(written(tmp_path, good + b"pop,K\xf6ln,h\n" + "pop,Łódź,h\n".encode()))
    assert [row.cells[1] for row in rows] == ["Zürich", "Genève", "K\ufffdln", "Łódź"]
    assert [[(issue.code, issue.column) for issue in row.issues] for row in rows] == [
        [],
        [],
        [("cell.encoding", "name")],
        [],
    ]
    assert "1 invalid byte" in source.details["encoding"]


def test_half_a_character_at_the_end_of_utf16_is_an_issue_of_its_row(tmp_path: Path) -> None:
    content = "type,name,hostname\nimap,a,h".encode("utf-16") + b"\x41"
    _, rows = read(written(tmp_path, content))
    assert [issue.code for issue in rows[0].issues] == ["cell.encoding"]


def test_a_nul_character_is_an_issue_of_its_cell(tmp_path: Path) -> None:
    _, rows = read(written(tmp_path, "type,name,hostname\nimap,a\0b,h\npop,c,h\n"))
    assert [(issue.code, issue.column) for issue in rows[0].issues] == [("cell.nul", "name")]
    assert "\0" not in rows[0].cells[1]
    assert rows[1].cells == ("pop", "c", "h")


def test_a_malformed_row_with_nul_in_a_doubtful_encoding_has_an_issue_for_each(tmp_path: Path) -> None:
    path = written(tmp_path, b'type,name,hostname\nimap,"B\xfc\0ro"x,mail.example.com\n')
    _, rows = read(path)
    assert {"row.quote", "cell.nul"} < {issue.code for issue in rows[0].issues}


@pytest.mark.parametrize("run_id", ["run_id", "bulkload_run_id"])
def test_cells_are_restored_in_a_results_file_only(tmp_path: Path, run_id: str) -> None:
    results = f"type,name,hostname,'=mine,{run_id}\nimap,'-5,'=h,'plain,r1\n"
    source, rows = read(written(tmp_path, results))
    assert source.header == ("type", "name", "hostname", "=mine", run_id)
    assert rows[0].cells == ("imap", "-5", "=h", "'plain", "r1")
    source, rows = read(written(tmp_path, results.replace(run_id, "other")))
    assert source.header[3] == "'=mine"
    assert rows[0].cells[:3] == ("imap", "'-5", "'=h")


def test_without_a_known_header_the_first_row_with_content_is_the_header(tmp_path: Path) -> None:
    source, rows = read(written(tmp_path, "\nserver;label;kind\na;b;c\nd;e;f\n"))
    assert source.header == ("server", "label", "kind")
    assert [(row.number, row.cells) for row in rows] == [(3, ("a", "b", "c")), (4, ("d", "e", "f"))]


def test_only_the_first_rows_are_searched_for_a_header(tmp_path: Path) -> None:
    source, rows = read(written(tmp_path, "note,x\n" * 50 + "type,name,hostname\n"))
    assert source.header == ("note", "x")
    assert len(rows) == 50


def test_a_file_with_only_a_header_has_no_rows(tmp_path: Path) -> None:
    source, rows = read(written(tmp_path, ",".join(HEADER)))
    assert source.header == HEADER
    assert rows == []


def test_too_many_columns_are_rejected_with_both_numbers(tmp_path: Path) -> None:
    path = written(tmp_path, ",".join(["type", "name", "hostname", *map(str, range(998))]) + "\n")
    with pytest.raises(InputError, match=r"1,001 columns; 1,000 are allowed"):
        read(path)


def test_a_file_of_blank_rows_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="only blank rows"):
        read(written(tmp_path, "\n,,\n  \n"))


def test_a_worksheet_requested_from_a_text_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'Hosts' was requested, but a text file has no worksheets"):
        read(written(tmp_path, PLAIN), sheet="Hosts")


def test_the_assumed_encoding_and_delimiter_are_shown(tmp_path: Path) -> None:
    source, _ = read(written(tmp_path, as_csv((HEADER, *ROWS), ";").encode("cp1252")))
    assert source.details == {"encoding": "Windows-1252 (assumed)", "delimiter": "semicolon"}
    assert (source.format, source.name) == ("csv", "hosts.csv")


def test_blanks_before_a_quoted_cell_are_no_text(tmp_path: Path) -> None:
    text = 'type, name, hostname\nimap, "a, b", h\npop,  "5"" c",h\nsmtp, 5" d, h\npop,"e, ""f""",h\n'
    _, rows = read(written(tmp_path, text))
    assert [row.cells[1] for row in rows] == ["a, b", '5" c', '5" d', 'e, "f"']
    assert not any(row.issues for row in rows)


def test_blanks_before_other_cells_are_kept(tmp_path: Path) -> None:
    _, rows = read(written(tmp_path, 'type,name,hostname\nimap, a,"h, ""x"""\n'))
    assert rows[0].cells == ("imap", " a", 'h, "x"')


@pytest.mark.parametrize("line", ["Sep=2024", "sep=, and so on", "SEP=tember"])
def test_a_title_that_begins_like_a_sep_line_is_a_title(tmp_path: Path, line: str) -> None:
    source, rows = read(written(tmp_path, f"{line}\ntype,name,hostname\nimap,a,h\n"))
    assert (source.header, rows[0].cells) == (("type", "name", "hostname"), ("imap", "a", "h"))


@pytest.mark.parametrize("line", ["sep=;", "sep=;;;;", '"sep=;";;;', "sep=;  "])
def test_a_sep_line_may_be_filled_up(tmp_path: Path, line: str) -> None:
    source, rows = read(written(tmp_path, f"{line}\ntype;name;hostname\nimap;a,b;h\n"))
    assert (source.details["delimiter"], rows[0].cells) == ("semicolon", ("imap", "a,b", "h"))
    assert not source.notes
