"""A table of ours is told from other tools' configurations by its header, without loading the readers of the tools."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.files.delimiters import DELIMITERS
from bulkload.migration.detect import is_configuration
from bulkload.monitors.fields import ALIASES
from bulkload.monitors.header import is_header, is_own_header
from bulkload.monitors.result_columns import RESULT_COLUMNS, RESULT_PREFIX
from bulkload.readers.delimited import begins_with_header
from bulkload.readers.opening import HEAD_BYTES, open_source
from tests.support.paths import ROOT, SAMPLES

UPTIMEROBOT = "Friendly Name,URL/IP,Type,Interval"
FILES = [
    path
    for folder in (SAMPLES, ROOT / "tests" / "migration" / "fixtures", ROOT / "tests" / "readers" / "data")
    for path in sorted(folder.rglob("*"))
    if path.is_file()
]


def _is_own(path: Path) -> bool:
    return begins_with_header(path.read_bytes()[:HEAD_BYTES], is_own_header)


def test_no_tool_recognises_a_file_with_a_header_of_ours() -> None:
    own = [path for path in FILES if _is_own(path)]
    assert SAMPLES / "mail-hosts.csv" in own
    assert [path for path in own if is_configuration(path)] == []


@pytest.mark.parametrize("header", [UPTIMEROBOT, f"{UPTIMEROBOT},host", f"server,{UPTIMEROBOT}", f'"{UPTIMEROBOT}"'])
def test_the_tools_are_asked_about_a_header_with_other_columns(header: str, tmp_path: Path) -> None:
    """Even if it has type, name and host."""
    path = tmp_path / "monitors.csv"
    path.write_text(f"{header}\na,mx1.example.com,SMTP,300,mx1\n", "utf-8")
    assert not _is_own(path)


def test_the_tool_still_reads_a_table_that_could_be_both(tmp_path: Path) -> None:
    path = tmp_path / "monitors.csv"
    path.write_text(f"{UPTIMEROBOT},host\na,mx1.example.com,SMTP,300,mx1\n", "utf-8")
    with open_source(path, is_header=is_header) as source:
        assert source.translated is not None


@given(
    required=st.permutations(["type", "name", "host"]),
    others=st.lists(st.sampled_from([*ALIASES, "api:x", "API: y"]), max_size=6),
    added=st.sampled_from([(), RESULT_COLUMNS, tuple(RESULT_PREFIX + column for column in RESULT_COLUMNS)]),
    delimiter=st.sampled_from(sorted(DELIMITERS)),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf"]),
    line_end=st.sampled_from(["\n", "\r\n"]),
)
def test_every_known_column_is_recognised(
    required: list[str],
    others: list[str],
    added: tuple[str, ...],
    delimiter: str,
    quoting: int,
    mark: bytes,
    line_end: str,
) -> None:
    """However the file is written; with one column more that is not known, the tools are asked."""
    columns = [*others, *required, *added]

    def head(*more: str) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=line_end)  # type: ignore[arg-type]
        writer.writerows([[*columns, *more], ["x"] * len(columns)])
        return mark + text.getvalue().encode()

    assert begins_with_header(head(), is_own_header)
    assert not begins_with_header(head("colour"), is_own_header)


@pytest.mark.parametrize(
    "head", [b"", b"\n", b"type,name\n", b"\xff\xfet\0y\0", b"\0\0\0", b'"type\nname,host\n', b"{}"]
)
def test_other_beginnings_are_none(head: bytes) -> None:
    assert not begins_with_header(head, is_own_header)
