"""The encoding of text files: what is certain, what is only assumed, and what the user names."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from bulkload.errors import InputError
from bulkload.model import RawRow, Source
from bulkload.readers import encoding_candidates
from bulkload.readers.opening import open_source
from bulkload.text_encodings import codec_named, label
from tests.support.excel5 import excel5_workbook

HEADER = "type,name,hostname"


def is_header(cells: Sequence[str]) -> bool:
    return {"type", "name", "hostname"} <= {cell.lower() for cell in cells}


def read(path: Path, encoding: str | None = None) -> tuple[Source, list[RawRow]]:
    given = None if encoding is None else codec_named(encoding)
    with open_source(path, encoding=given, is_header=is_header) as source:
        return source, list(source.rows)


def written(
    folder: Path, *names: str | bytes, encoding: str = "ascii", header: str = HEADER, end: str = "\r\n"
) -> Path:
    """A file with a row for each name, in an encoding; a name in bytes is written as it is."""
    lines = [header.encode(encoding)]
    for name in names:
        raw = name if isinstance(name, bytes) else name.encode(encoding)
        lines.append(b"imap," + raw + b",mail.example.com")
    path = folder / "hosts.csv"
    path.write_bytes(b"".join(line + end.encode() for line in lines))
    return path


def issues(rows: Sequence[RawRow]) -> list[list[tuple[str, str | None]]]:
    return [[(issue.code, issue.column) for issue in row.issues] for row in rows]


DOUBT = [("cell.encoding", "name")]

# the codec of the file, a name in it, and the encoding that the message names first
GUESSES = [
    ("cp1252", "Büro München", "Windows-1252"),
    ("cp1252", "“Zürich” – 10 €", "Windows-1252"),
    ("mac_roman", "Büro München", "MacRoman"),
    ("mac_roman", "L’été à Genève", "MacRoman"),
    ("cp1250", "Příliš žluťoučký", "Windows-1250"),
    ("cp1251", "Почта офис", "Windows-1251"),
    ("koi8_r", "Почта офис", "KOI8-R"),
    ("gbk", "总部邮件服务器", "GBK"),
    ("cp932", "本社ポスト", "Shift-JIS"),
    ("cp932", "支店メール表示", "Shift-JIS"),
    ("euc_kr", "메일 서버", "EUC-KR"),
    ("big5", "郵件伺服器", "Big5"),
    ("cp850", "Büro München", "CP437"),  # the same bytes in both
]


@pytest.mark.parametrize(("codec", "name", "likely"), GUESSES, ids=[f"{codec} {name}" for codec, name, _ in GUESSES])
@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_text_in_an_assumed_encoding_is_an_issue_that_shows_its_readings(
    tmp_path: Path, codec: str, name: str, likely: str, end: str
) -> None:
    source, rows = read(written(tmp_path, name, "plain", encoding=codec, end=end))
    assert issues(rows) == [DOUBT, []]
    assert rows[1].cells == ("imap", "plain", "mail.example.com")
    message = rows[0].issues[0].message
    assert f'the cell is "{name}" in {likely}' in message
    assert f"--encoding {likely}." in message
    assert '"CSV UTF-8"' in message
    assert source.details["encoding"] == "Windows-1252 (assumed)"


@pytest.mark.parametrize(("codec", "name", "likely"), GUESSES, ids=[f"{codec} {name}" for codec, name, _ in GUESSES])
def test_the_encoding_that_the_message_names_reads_the_file(tmp_path: Path, codec: str, name: str, likely: str) -> None:
    source, rows = read(written(tmp_path, name, "plain", encoding=codec), likely)
    assert [row.cells[1] for row in rows] == [name, "plain"]
    assert issues(rows) == [[], []]
    assert source.details["encoding"] == f"{likely} (given)"


def test_evidence_counts_for_the_file_and_not_for_one_row(tmp_path: Path) -> None:
    """The second name can be Windows-1252, but the first proves that the file is not."""
    path = written(tmp_path, "支店メール表示".encode("cp932"), "本社".encode("cp932"))
    _, rows = read(path)
    assert issues(rows) == [DOUBT, DOUBT]
    assert "Windows-1252" not in rows[1].issues[0].message


def test_one_byte_far_down_in_a_large_file_decides(tmp_path: Path) -> None:
    names: list[str | bytes] = ["plain"] * 40_000
    source, rows = read(written(tmp_path, *names, "Zürich", encoding="cp1252"))
    assert [row.number for row in rows if row.issues] == [40_002]
    assert source.details["encoding"] == "Windows-1252 (assumed)"


def test_a_candidate_must_decode_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last name is beyond the first block and no GBK; the first looks like it."""
    monkeypatch.setattr(encoding_candidates, "_BLOCK", 1 << 12)
    names: list[str | bytes] = ["北京邮件服务器".encode("gbk"), *["plain"] * 1_000, b"\xff\xff"]
    _, rows = read(written(tmp_path, *names))
    assert issues(rows)[0] == DOUBT
    assert " in GBK" not in rows[0].issues[0].message


def test_candidates_are_found_whatever_the_size_of_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, *["本社ポスト"] * 20, encoding="cp932")
    whole = encoding_candidates.likely_codecs(encoding_candidates.non_ascii_lines(path))
    for size in (1, 2, 7, 64):
        monkeypatch.setattr(encoding_candidates, "_BLOCK", size)
        assert encoding_candidates.likely_codecs(encoding_candidates.non_ascii_lines(path))[0] == whole[0] == "cp932"


# ── certain encodings ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_unicode_is_certain(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "hosts.csv"
    path.write_bytes(f"{HEADER}\r\nimap,Zürich 北京,h\r\n".encode(codec))
    source, rows = read(path)
    assert (rows[0].cells[1], issues(rows)) == ("Zürich 北京", [[]])
    assert "assumed" not in source.details["encoding"]


def test_ascii_needs_no_encoding(tmp_path: Path) -> None:
    source, rows = read(written(tmp_path, "plain"))
    assert (issues(rows), source.details["encoding"]) == ([[]], "UTF-8")


def test_valid_characters_of_a_utf8_file_with_few_faults_are_certain(tmp_path: Path) -> None:
    source, rows = read(written(tmp_path, "Zürich".encode(), "Łódź".encode(), "Köln".encode("cp1252")))
    assert [row.cells[1] for row in rows] == ["Zürich", "Łódź", "K\ufffdln"]
    assert issues(rows) == [[], [], DOUBT]
    assert source.details["encoding"] == "UTF-8 (assumed, 1 invalid byte)"


def test_valid_characters_of_a_utf8_file_with_many_faults_are_in_doubt(tmp_path: Path) -> None:
    """Some valid sequences among invalid bytes are accidents of another encoding."""
    _, rows = read(written(tmp_path, "Zürich".encode(), "Łódź".encode(), "Köln Ärzte Öl".encode("cp1252")))
    assert issues(rows) == [DOUBT, DOUBT, DOUBT]
    assert '"Zürich" in UTF-8' in rows[0].issues[0].message


@pytest.mark.parametrize("name", ["Zürich", "Ágnes", "Łódź", "Tōkyō ’09"])
def test_a_cell_in_utf8_in_another_file_is_shown_in_utf8_first(tmp_path: Path, name: str) -> None:
    others = ["Köln", "“CAFÉ”", "äöüß", "Größe", "Señor"]
    _, rows = read(written(tmp_path, *(other.encode("cp1252") for other in others), name.encode()))
    assert issues(rows) == [DOUBT] * 6
    assert f'the cell is "{name}" in UTF-8, ' in rows[-1].issues[0].message


def test_bytes_that_no_likely_encoding_has_are_an_issue(tmp_path: Path) -> None:
    _, rows = read(written(tmp_path, "Köln".encode("cp1252"), b"a\x81\x00b"))
    assert issues(rows) == [DOUBT, [*DOUBT, ("cell.nul", "name")]]


# ── the given encoding ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("codec", "name"),
    [("utf-16-le", "Почта"), ("utf-16-be", "Почта"), ("utf-7", "Zürich"), ("iso2022_jp", "本社"), ("hz", "北京")],
)
def test_a_given_encoding_that_is_no_superset_of_ascii_is_read(tmp_path: Path, codec: str, name: str) -> None:
    path = tmp_path / "hosts.csv"
    path.write_bytes(f"{HEADER}\r\nimap,{name * 30},h\r\npop,plain,h\r\n".encode(codec))
    _, rows = read(path, codec)
    assert [row.cells[1] for row in rows] == [name * 30, "plain"]
    assert issues(rows) == [[], []]


@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le"])
def test_a_given_encoding_may_leave_the_byte_order_open(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "hosts.csv"
    path.write_bytes(f"{HEADER}\r\nimap,Zürich,h\r\n".encode(codec))
    _, rows = read(path, codec[:6])
    assert (rows[0].cells[1], issues(rows)) == ("Zürich", [[]])


@pytest.mark.parametrize("codec", ["utf-8", "ascii", "gbk", "cp932", "cp1252"])
def test_bytes_that_the_given_encoding_does_not_have_are_an_issue_of_their_row(tmp_path: Path, codec: str) -> None:
    _, rows = read(written(tmp_path, b"a\x81", "plain", b"\xff\xff\xff"), codec)
    assert [row.cells[0] for row in rows] == ["imap"] * 3
    assert issues(rows)[:2] == [DOUBT, []]
    assert f"not {label(codec_named(codec))}" in rows[0].issues[0].message
    assert "--encoding" in rows[0].issues[0].message


@pytest.mark.parametrize(
    ("mark", "given"), [("utf-8-sig", "cp1252"), ("utf-16", "utf-8"), ("utf-16", "utf-16-be"), ("utf-32", "utf-16")]
)
def test_a_byte_order_mark_contradicts_another_given_encoding(tmp_path: Path, mark: str, given: str) -> None:
    path = tmp_path / "hosts.csv"
    path.write_bytes(f"{HEADER}\r\nimap,a,h\r\n".encode(mark))
    with pytest.raises(
        InputError, match=r"hosts\.csv: the file begins with the byte order mark of UTF-.*omit --encoding"
    ):
        read(path, given)


@pytest.mark.parametrize(
    ("mark", "given"),
    [("utf-8-sig", "utf-8"), ("utf-16", "utf-16"), ("utf-16", "utf-16-le"), ("utf-8-sig", "utf-8-sig")],
)
def test_a_byte_order_mark_agrees_with_its_own_encoding(tmp_path: Path, mark: str, given: str) -> None:
    path = tmp_path / "hosts.csv"
    path.write_bytes(f"{HEADER}\r\nimap,Zürich,h\r\n".encode(mark))
    source, rows = read(path, given)
    assert (source.header[0], rows[0].cells[1], issues(rows)) == ("type", "Zürich", [[]])


@pytest.mark.parametrize(("given", "name"), [("cp1252", "Zürich"), ("cp1251", "Почта"), ("gbk", "北京邮件")])
def test_valid_utf8_contradicts_another_given_encoding(tmp_path: Path, given: str, name: str) -> None:
    """Such as the setting for a nightly file that somebody has converted to UTF-8."""
    _, rows = read(written(tmp_path, name, "plain", encoding="utf-8"), given)
    assert issues(rows) == [DOUBT, []]
    assert f'"{name}" in UTF-8' in rows[0].issues[0].message


def test_two_bytes_that_are_valid_utf8_by_accident_do_not_contradict_an_asian_encoding(tmp_path: Path) -> None:
    name = b"\xc4\xb1\xc7\xbe".decode("gbk")
    _, rows = read(written(tmp_path, name, encoding="gbk"), "gbk")
    assert (rows[0].cells[1], issues(rows)) == (name, [[]])


# ── headers and delimiters ────────────────────────────────────────────────────────────────────────────────────


def test_a_header_in_an_assumed_encoding_is_reported(tmp_path: Path) -> None:
    path = written(tmp_path, "plain", encoding="cp1251", header=HEADER + ",Почта")
    source, _ = read(path)
    assert list(source.header_doubts) == [3]
    assert '"Почта" in Windows-1251' in source.header_doubts[3]
    source, _ = read(path, "cp1251")
    assert (source.header[3], source.header_doubts) == ("Почта", {})


def test_a_delimiter_that_may_be_half_a_character_puts_the_whole_row_in_doubt(tmp_path: Path) -> None:
    """The second byte of ポ is the pipe, so every cell after it may be in the wrong column."""
    path = tmp_path / "hosts.csv"
    path.write_bytes("type|name|hostname|note\r\nimap|a|h|ポ\r\npop|b|h|plain\r\n".encode("cp932"))
    _, rows = read(path)
    assert ("cell.encoding", None) in issues(rows)[0]
    assert issues(rows)[1] == []


def test_a_row_with_a_faulty_quote_is_in_doubt_as_well(tmp_path: Path) -> None:
    """Its text is in the results, where the quote is right."""
    _, rows = read(written(tmp_path, '"Büro" München', "plain", encoding="mac_roman"))
    assert issues(rows) == [[("row.quote", None), *DOUBT], []]


# ── old workbooks ─────────────────────────────────────────────────────────────────────────────────────────────

TABLE = [["type", "name", "hostname"], ["imap", "Почта", "a.example.com"], ["pop", "plain", "b.example.com"]]


@pytest.mark.parametrize("record", ["label", "rich label"])
def test_text_of_an_old_workbook_without_a_code_page_is_in_doubt(tmp_path: Path, record: str) -> None:
    path = tmp_path / "hosts.xls"
    path.write_bytes(excel5_workbook(TABLE, "cp1251", rich=record == "rich label"))
    source, rows = read(path)
    assert issues(rows) == [DOUBT, []]
    assert '"Почта" in Windows-1251' in rows[0].issues[0].message
    assert source.details["encoding"] == "Windows-1252 (assumed)"
    source, rows = read(path, "cp1251")
    assert [row.cells[1] for row in rows] == ["Почта", "plain"]
    assert (issues(rows), source.details["encoding"]) == ([[], []], "Windows-1251 (given)")
    _, rows = read(path, "ascii")
    assert issues(rows) == [DOUBT, []]


def test_bytes_undefined_in_windows_1252_survive_in_an_old_workbook(tmp_path: Path) -> None:
    name = bytes(range(0x80, 0x100)).decode("cp437")
    path = tmp_path / "hosts.xls"
    path.write_bytes(excel5_workbook([TABLE[0], ["imap", name, "h"]], "cp437"))
    _, rows = read(path, "cp437")
    assert (rows[0].cells[1], issues(rows)) == (name, [[]])


def test_an_old_workbook_with_a_code_page_is_certain(tmp_path: Path) -> None:
    path = tmp_path / "hosts.xls"
    path.write_bytes(excel5_workbook(TABLE, "cp1251", code_page=1251))
    for given in (None, "cp1252"):
        source, rows = read(path, given)
        assert ([row.cells[1] for row in rows], issues(rows)) == (["Почта", "plain"], [[], []])
        assert "encoding" not in source.details


def test_a_header_of_an_old_workbook_without_a_code_page_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "hosts.xls"
    path.write_bytes(excel5_workbook([[*TABLE[0], "Почта"], [*TABLE[2], "x"]], "cp1251"))
    assert list(read(path)[0].header_doubts) == [3]


# ── names of encodings ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        *[("Windows-1252", "cp1252"), ("ANSI", "cp1252"), ("windows 1252", "cp1252"), ("1252", "cp1252")],
        *[
            ("MacRoman", "mac-roman"),
            ("mac_roman", "mac-roman"),
            ("Macintosh", "mac-roman"),
            ("x-mac-roman", "mac-roman"),
        ],
        *[("GBK", "gb18030"), ("gb2312", "gb18030"), ("Shift-JIS", "cp932"), ("shift_jis", "cp932"), ("SJIS", "cp932")],
        *[("UTF-8", "utf-8"), ("utf8", "utf-8"), ("utf-8-sig", "utf-8"), ("UTF-16LE", "utf-16-le")],
        *[("latin1", "iso8859-1"), ("ISO-8859-15", "iso8859-15"), ("koi8-r", "koi8-r"), ("cp866", "cp866")],
    ],
)
def test_encodings_have_their_common_names_and_those_of_python(name: str, codec: str) -> None:
    assert codec_named(name) == codec


@pytest.mark.parametrize(
    "name",
    [
        *["rot13", "rot_13", "base64", "hex", "zlib", "bz2", "uu", "quopri", "idna", "punycode", "undefined"],
        *["unicode_escape", "raw_unicode_escape", "mbcs", "klingon", "", " ", "utf-8\0", "ä", "../utf_8", "x" * 9999],
    ],
)
def test_what_is_no_encoding_of_text_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="such as UTF-8, Windows-1252, MacRoman") as caught:
        codec_named(name)
    assert "rot13?" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [("mcaroman", "MacRoman"), ("Windows-1225", "Windows-125"), ("shiftjs", "Shift-JIS"), ("utf9", "UTF-8")],
)
def test_a_misspelled_encoding_is_suggested(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match=f"did you mean .*{meant}"):
        codec_named(name)


def test_every_name_in_a_message_is_understood() -> None:
    for codec in (*encoding_candidates._CODECS, "utf-8", "cp1253", "iso8859-7"):
        assert codec_named(label(codec)) == codec


def test_a_damaged_old_workbook_is_an_input_error(tmp_path: Path) -> None:
    content = excel5_workbook(TABLE, "cp1251")
    path = tmp_path / "hosts.xls"
    for length in range(512, len(content), 256):
        path.write_bytes(content[:length])
        try:
            read(path)
        except InputError:
            continue
        except struct.error:  # pragma: no cover
            pytest.fail(f"not translated at {length}")
