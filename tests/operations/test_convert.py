"""From another tool to rows: one account of every object, whole minutes, no secret, no formula, no hang."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.errors import ExitCode, InputError, UsageError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import MAX_DEPTH, read_documents
from bulkload.migration.rules import Rules, apply_rules, read_configuration
from bulkload.migration.tools.registry import READERS, ToolReader, recognise
from bulkload.monitors.header import is_header
from bulkload.operations.convert import convert
from bulkload.readers.opening import open_source
from tests.support.command_line import CommandLine
from tests.support.migration_golden import FIXTURES, fixture_folders

SECRET = "hunter2"  # every password of the fixtures
GOLDEN = [case for case in fixture_folders() if case.name != "language"]
SMTP = Check(origin="here", type="smtp", name="mx", hostname="mx.example.com", port=25, interval_seconds=300)


def rows(*items: Check | SkippedObject, **rules: object) -> list[dict[str, str]]:
    """The rows that come out of checks."""
    return [dict(row.fields) for row in apply_rules("a tool", items, Rules(**rules)).rows]  # type: ignore[arg-type]


def only(*items: Check | SkippedObject, **rules: object) -> SkippedObject:
    """The one object that is left out."""
    (left,) = apply_rules("a tool", items, Rules(**rules)).skipped_objects  # type: ignore[arg-type]
    return left


def sheets(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """All cells of a workbook."""
    book = openpyxl.load_workbook(path)
    try:
        return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}
    finally:
        book.close()


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_every_object_is_a_row_or_left_out_and_the_counts_add_up(case: Path, tmp_path: Path) -> None:
    recognised = recognise(read_documents([case]))
    objects = len([*recognised.reader.translate(recognised.documents), *recognised.skipped_objects])
    counts = convert([case], tmp_path / "out.xlsx")
    assert counts.rows + counts.skipped + counts.errors == counts.objects == objects
    found = sheets(tmp_path / "out.xlsx")
    assert len(found["rows"]) - 1 == counts.rows
    assert Counter(row[0] for row in found["left out"][1:]) == {
        key: count for key, count in (("skipped", counts.skipped), ("error", counts.errors)) if count
    }
    lines = found["changed"][1:]
    assert len({line[:2] for line in lines}) == len(lines)  # nothing is said twice
    merged = [line for line in lines if str(line[1]).startswith("Another check")]
    if not merged:  # one row can have several of those
        assert sum(int(str(line[2])) for line in lines) == counts.changes + counts.not_covered


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_no_secret_of_a_source_is_in_any_file_written(case: Path, tmp_path: Path) -> None:
    convert([case], tmp_path / "out.csv")
    convert([case], tmp_path / "out.xlsx")
    text = "".join(path.read_text(encoding="utf-8") for path in tmp_path.glob("*.csv"))
    assert SECRET not in text
    assert SECRET not in repr(sheets(tmp_path / "out.xlsx"))


@pytest.mark.parametrize("suffix", [".xlsx", ".csv"])
def test_a_converted_file_reads_back_as_the_source_itself_does(tmp_path: Path, suffix: str) -> None:
    source, out = FIXTURES / "nagios" / "tree", tmp_path / f"out{suffix}"
    convert([source], out)
    with open_source(source, is_header=is_header) as direct, open_source(out, is_header=is_header) as converted:
        assert direct.header == converted.header
        assert [row.cells for row in direct.rows] == [row.cells for row in converted.rows]


def test_no_cell_of_a_workbook_is_a_formula_or_a_number(tmp_path: Path) -> None:
    source = tmp_path / "hosts.cfg"
    source.write_text('192.0.2.1 mx.example.com # smtp NAME:"=1+1" COMMENT:"=HYPERLINK(1)"\n')
    convert([source], tmp_path / "out.xlsx")
    book = openpyxl.load_workbook(tmp_path / "out.xlsx")
    assert {cell.data_type for sheet in book for row in sheet.iter_rows() for cell in row if cell.value} == {"s"}
    book.close()


def test_no_cell_of_a_csv_file_starts_a_formula(tmp_path: Path) -> None:
    source = tmp_path / "hosts.cfg"
    source.write_text('192.0.2.1 mx.example.com # smtp NAME:"=1+1" COMMENT:"@SUM(1)"\n')
    convert([source], tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(encoding="utf-8-sig", newline="") as stream:
        assert all(not cell.startswith(("=", "+", "-", "@")) for row in csv.reader(stream) for cell in row)


def test_cells_of_a_csv_file_that_look_like_formulas_are_read_back_unchanged(tmp_path: Path) -> None:
    source, out = tmp_path / "hosts.cfg", tmp_path / "out.csv"
    source.write_text('192.0.2.1 mx.example.com # smtp NAME:"=1+1" COMMENT:"at night; -1"\n')
    convert([source], out)
    with open_source(source, is_header=is_header) as direct, open_source(out, is_header=is_header) as converted:
        assert [*direct.header, "run_id"] == [*converted.header]
        assert [row.cells for row in direct.rows] == [row.cells[:-1] for row in converted.rows]


@pytest.mark.parametrize("out", ["out.txt", "out"])
def test_an_output_of_another_kind_is_refused(tmp_path: Path, out: str) -> None:
    with pytest.raises(UsageError, match=r"allowed are \.xlsx and \.csv"):
        convert([FIXTURES / "nagios" / "tree"], tmp_path / out)


@pytest.mark.parametrize("mine", ["out.xlsx", "out.csv", "out-left-out.csv", "out-changed.csv"])
def test_a_file_that_exists_is_left_alone_unless_told_otherwise(cli: CommandLine, mine: str) -> None:
    source, out = FIXTURES / "nagios" / "tree", Path(mine.replace("-left-out", "").replace("-changed", ""))
    Path(mine).write_bytes(b"mine")
    result = cli("convert", source, out)
    assert result.exit_code == ExitCode.USAGE
    assert f"{mine} exists already" in result.stderr
    assert "--overwrite" in result.stderr
    assert [path.name for path in cli.folder.iterdir()] == [mine]
    assert Path(mine).read_bytes() == b"mine"
    assert cli("convert", source, out, "--overwrite").exit_code in (ExitCode.DONE, ExitCode.ROWS_LEFT)
    assert Path(mine).read_bytes() != b"mine"


def test_a_source_is_not_taken_for_a_forgotten_output(cli: CommandLine) -> None:
    for name in ("a.csv", "b.csv"):
        Path(name).write_text("Type,Friendly Name,URL/IP,Port\nPort,mx,mx.example.com,25\n")
    assert cli("convert", "a.csv", "b.csv").exit_code == ExitCode.USAGE
    assert Path("b.csv").read_text() == Path("a.csv").read_text()


# ── the common rules ──


@pytest.mark.parametrize(
    ("port", "kind"),
    [
        (25, "smtp"),
        (2525, "smtp"),
        (587, "smtp"),
        (465, "smtp"),
        (143, "imap"),
        (993, "imap"),
        (110, "pop"),
        (995, "pop"),
    ],
)
def test_a_plain_tcp_check_gets_its_type_from_its_port(port: int, kind: str) -> None:
    (row,) = rows(replace(SMTP, type=None, port=port))
    assert (row["type"], row["port"]) == (kind, str(port))
    assert "inferred from TCP port" in row["note"]


@pytest.mark.parametrize("port", [24, 220, 4190, 80])
def test_other_ports_are_no_mail(port: int) -> None:
    left = only(replace(SMTP, type=None, port=port))
    assert not left.error
    assert str(port) in left.reason


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (replace(SMTP, type="imap"), "belongs to SMTP"),
        (replace(SMTP, type="smtp", port=993), "belongs to IMAP"),
        (replace(SMTP, port=70000), "1 to 65535"),
        (replace(SMTP, type=None, port=None), "no port"),
        (replace(SMTP, hostname="{$MAIL.HOST}"), r"{$MAIL.HOST}"),
        (replace(SMTP, hostname="mx.{{ zone }}"), "{{ zone }}"),
        (replace(SMTP, hostname="${MX}"), "${MX}"),
        (replace(SMTP, hostname="$_HOSTMX$"), "$_HOSTMX$"),
        (replace(SMTP, hostname="2001:db8::1"), "IPv6"),
        (replace(SMTP, hostname=""), "cannot be used"),
        (replace(SMTP, hostname="{{" * 1_000_000), "the maximum is 1,000"),
    ],
)
def test_a_check_that_contradicts_itself_is_an_error_that_names_it(check: Check, reason: str) -> None:
    left = only(check)
    assert left.error
    assert reason in left.reason


def test_tcp_checks_are_skipped_or_kept_as_tcp_on_request() -> None:
    tcp = replace(SMTP, type=None)
    assert "skipped" in only(tcp, tcp_as="skip").reason
    assert rows(tcp, tcp_as="tcp")[0]["type"] == "tcp"
    assert rows(SMTP, tcp_as="skip")[0]["type"] == "smtp"


@given(st.floats(0.001, 10**7))
def test_an_interval_becomes_whole_minutes_and_never_more_frequent(seconds: float) -> None:
    minutes = int(rows(replace(SMTP, interval_seconds=seconds))[0]["interval"])
    assert 1 <= minutes <= 1440
    assert minutes == 1440 or (minutes - 1) * 60 < seconds <= minutes * 60


@given(st.floats(0.001, 10**7))
def test_a_timeout_becomes_whole_seconds_that_are_allowed(seconds: float) -> None:
    timeout = int(rows(replace(SMTP, timeout_seconds=seconds))[0]["timeout"])
    assert 1 <= timeout <= 300
    assert timeout == 300 or timeout - 1 < seconds <= timeout


@pytest.mark.parametrize("host", ["10.0.0.1", "192.168.1.1", "127.0.0.1", "mx.local", "mx.internal", "mx", "localhost"])
def test_a_private_host_is_marked_or_skipped(host: str) -> None:
    (row,) = rows(replace(SMTP, hostname=host))
    assert row["note"].startswith("private or local host")
    left = only(replace(SMTP, hostname=host), skip_private=True)
    assert not left.error


def test_duplicates_become_one_row_with_the_shortest_interval() -> None:
    twin = replace(SMTP, origin="there", hostname="MX.example.com.", interval_seconds=60, tags=("b",))
    (row,) = rows(replace(SMTP, tags=("a",)), twin)
    assert (row["interval"], row["note"]) == ("1", "tags: a, b")
    assert only(SMTP, twin).origin == "there"


def test_a_paused_twin_neither_stops_nor_hurries_an_enabled_check() -> None:
    (row,) = rows(SMTP, replace(SMTP, enabled=False, interval_seconds=60))
    assert (row["enabled"], row["interval"]) == ("true", "5")
    (row,) = rows(replace(SMTP, enabled=False), replace(SMTP, enabled=False))
    assert row["enabled"] == "false"


def test_rows_of_one_name_are_told_apart_by_what_differs() -> None:
    ports = [replace(SMTP, port=port) for port in (25, 465, 587)]
    assert [row["name"] for row in rows(*ports)] == ["mx :25", "mx :465", "mx :587"]
    hosts = [replace(SMTP, hostname=f"mx{number}.example.com") for number in (1, 2)]
    assert [row["name"] for row in rows(*hosts)] == ["mx mx1.example.com", "mx mx2.example.com"]


@given(st.lists(st.tuples(st.text(max_size=4), st.integers(1, 60)), max_size=30), st.booleans())
def test_names_are_unique_and_fit(names: Sequence[tuple[str, int]], long: bool) -> None:
    found = rows(
        *(replace(SMTP, name=name * (100 if long else 1), hostname=f"h{at}.example.com") for name, at in names)
    )
    folded = [row["name"].casefold() for row in found]
    assert len(set(folded)) == len(folded)
    assert all(0 < len(row["name"]) <= 255 for row in found)


def test_many_twins_are_merged_in_one_go() -> None:
    """Fifty thousand times the same check takes no longer than reading it."""
    translation = apply_rules("a tool", (replace(SMTP, origin=str(n), tags=(str(n),)) for n in range(50_000)), Rules())
    assert (len(translation.rows), len(translation.skipped_objects)) == (1, 49_999)


# ── hostile sources ──


def hostile(folder: Path, name: str, content: str | bytes) -> Path:
    """A file with that content."""
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("deep.json", '{"a":' * 50_000 + "1" + "}" * 50_000, f"more than {MAX_DEPTH} levels"),
        ("deeper.json", '{"a":' * (MAX_DEPTH + 5) + "1" + "}" * (MAX_DEPTH + 5), f"more than {MAX_DEPTH} levels"),
        ("cut.json", '{"monitors": [{"friendly_name": "mx"', "ends in the middle"),
        ("digits.json", '{"a": ' + "9" * 10_000 + "}", "too long"),
        ("deep.yaml", "zabbix_export:\n  a: " + "[" * 5000, f"more than {MAX_DEPTH} levels"),
        ("closed.yaml", "zabbix_export: " + "[" * 5000 + "]" * 5000, f"more than {MAX_DEPTH} levels"),
        ("later.yaml", "zabbix_export:\n  a: {b: " + "x" * 999 + ", c: " + "[" * 5000, f"more than {MAX_DEPTH} levels"),
        ("curly.yaml", "zabbix_export: " + "{a: " * 5000, f"more than {MAX_DEPTH} levels"),
        ("block.yaml", "zabbix_export:\n" + "- " * 5000 + "x", f"more than {MAX_DEPTH} levels"),
        ("shallow.yaml", "zabbix_export:\n  a: " + "[" * 20 + "\n  b: 1", "not valid YAML"),
        (
            "bomb.yaml",
            "zabbix_export:\n a0: &a0 [x]\n"
            + "".join(f" a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)),
            "expands to more",
        ),
        ("loop.yaml", "zabbix_export: &a\n  hosts: *a\n", "refers to itself"),
        ("object.yaml", "zabbix_export: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        (
            "entity.xml",
            '<?xml version="1.0"?><!DOCTYPE z [<!ENTITY a SYSTEM "file:///etc/passwd">]><zabbix_export>&a;</zabbix_export>',
            "document type or entity",
        ),
        ("deep.xml", "<zabbix_export>" + "<a>" * 5000, f"more than {MAX_DEPTH} levels"),
        ("cut.xml", "<zabbix_export><hosts><host>", "ends in the middle"),
        ("cut.cfg", "define service {\n  host_name mx\n", "never closed"),
        ("jinja.cfg", "{% for host in hosts %}\ndefine host {\nhost_name {{ host }}\n}\n{% endfor %}\n", "rendered"),
        ("erb.cfg", "define host {\nhost_name <%= @fqdn %>\n}\n", "rendered"),
        ("puppet.txt", "<% hosts.each do |h| %>\n", "rendered"),
        ("shopping.txt", "eggs\nbread\n", "not a supported configuration; supported are"),
        ("other.db", None, "not"),
        ("empty.cfg", "", "not a supported configuration"),
    ],
)
def test_a_hostile_source_is_refused_in_a_sentence(tmp_path: Path, name: str, content: str | None, reason: str) -> None:
    path = tmp_path / name
    if content is None:
        with sqlite3.connect(path) as database:
            database.execute("CREATE TABLE notes (text)")
        database.close()
    else:
        hostile(tmp_path, name, content)
    with pytest.raises(InputError, match=reason) as caught:
        convert([path], tmp_path / "out.xlsx")
    assert name in str(caught.value)
    assert not (tmp_path / "out.xlsx").exists()


def test_two_tools_in_one_folder_are_an_error_that_names_them(tmp_path: Path) -> None:
    hostile(tmp_path, "a.cfg", "define service {\nhost_name mx\n}\n")
    hostile(tmp_path, "hosts", "192.0.2.1 mx.example.com # smtp\n")
    with pytest.raises(InputError, match=r"Nagios.*Xymon.*--from nagios or xymon"):
        convert([tmp_path], tmp_path / "out.xlsx")
    counts = convert([tmp_path], tmp_path / "out.xlsx", tool="xymon")
    assert (counts.rows, counts.skipped) == (1, 1)


def test_a_tool_that_is_not_known_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"supported are.*nagios"):
        convert([hostile(tmp_path, "a", "x")], tmp_path / "out.xlsx", tool="nagois")


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.NAME)
def test_the_files_of_another_tool_are_refused_or_accounted_for(reader: ToolReader) -> None:
    for case in GOLDEN:
        try:
            found = read_configuration([case], tool=reader.NAME)
        except InputError:
            continue
        assert found.rows or found.skipped_objects


@pytest.mark.parametrize(
    ("content", "tool"),
    [
        ("define service {\nhost_name mx\ncheck_command check_smtp\n}\n", "zabbix"),
        ("zabbix_export:\n  version: '6.0'\n", "zabbix"),
        ("set daemon 60\n", "monit"),
        ('{"stat": "ok", "monitors": []}', "uptimerobot"),
    ],
)
def test_a_source_that_holds_nothing_of_the_tool_is_refused(cli: CommandLine, content: str, tool: str) -> None:
    result = cli("convert", hostile(cli.folder, "source", content), "out.xlsx", "--from", tool)
    assert result.exit_code == ExitCode.USAGE
    assert "source contains no checks of" in result.stderr
    assert not Path("out.xlsx").exists()


@pytest.mark.parametrize(
    ("content", "asked_for"),
    [
        ("define command {\ncommand_name check_smtp\ncommand_line check_smtp\n}\n", "add the files with services"),
        ("modules:\n  smtp:\n    prober: tcp\n", "add prometheus.yml to the input"),
        ('{"results": [{"type": "CheckCommand", "name": "smtp"}]}', "v1/objects/services?joins=host to the input"),
        (
            "zabbix_export: {templates: [{template: Mail, items: [{type: SIMPLE, key: 'net.tcp.service[smtp]'}]}]}\n",
            "export the hosts",
        ),
    ],
)
def test_a_source_that_is_half_of_what_is_needed_has_to_be_looked_at(
    cli: CommandLine, content: str, asked_for: str
) -> None:
    result = cli("convert", hostile(cli.folder, "source", content), "out.xlsx", "--json")
    assert (result.exit_code, result.json["rows"], result.json["errors"]) == (ExitCode.ROWS_LEFT, 0, 1)
    assert asked_for in str(sheets(Path("out.xlsx"))["left out"][1][1])


def test_a_template_that_two_files_define_is_named_for_both(tmp_path: Path) -> None:
    export = "zabbix_export:\n  templates:\n    - template: Mail\n      items: [{name: SMTP, key: x}]\n"
    files = [hostile(tmp_path, name, export) for name in ("a.yaml", "b.yaml")]
    origins = [item.origin for item in read_configuration(files).skipped_objects]
    assert origins == ["b.yaml: template Mail", "a.yaml: template Mail: SMTP"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    ["hosts", "templates", "items", "interfaces", "macros", "tags", "groups", "key", "name", "type",
                     "results", "attrs", "joins", "host", "vars", "check_command", "targets", "labels", "address"]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    ),
    st.sampled_from(["zabbix", "icinga2", "prometheus"]),
)  # fmt: skip
def test_wrong_types_anywhere_raise_nothing_but_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, value: object, tool: str
) -> None:
    whole = {"zabbix": {"zabbix_export": value}, "icinga2": {"results": value}, "prometheus": value}[tool]
    path = hostile(tmp_path_factory.mktemp("json"), "source.json", json.dumps(whole))
    try:
        recognised = recognise(read_documents([path]), tool)
        apply_rules(tool, recognised.reader.translate(recognised.documents), Rules())
    except InputError:
        pass
