"""Lists of plain objects: JSON, JSON lines and YAML. A value counts as it is written, and nothing is lost unseen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.errors import InputError
from bulkload.model import RawRow, Source
from bulkload.monitors.fields import FIELDS
from bulkload.readers.opening import open_source
from tests.support.command_line import CommandLine, imap

HOSTS = [{"type": "imap", "name": "a", "hostname": "mx1.example.com"}, {"type": "pop", "port": 995, "name": "b"}]


def read(path: Path) -> tuple[Source, list[RawRow]]:
    with open_source(path, is_header=lambda cells: "name" in cells) as source:
        return source, list(source.rows)


def cells(path: Path) -> list[dict[str, str]]:
    source, rows = read(path)
    assert [row.number for row in rows] == list(range(2, len(rows) + 2))
    return [{name: cell for name, cell in zip(source.header, row.cells, strict=True) if cell} for row in rows]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("hosts.json", json.dumps(HOSTS)),
        ("hosts.json", "\ufeff" + json.dumps(HOSTS, indent=2)),
        ("hosts.txt", json.dumps(HOSTS)),
        ("hosts.jsonl", "\n".join(map(json.dumps, HOSTS))),
        ("hosts.ndjson", "\r\n".join(map(json.dumps, HOSTS)) + "\r\n"),
        ("hosts.yaml", json.dumps(HOSTS)),
        (
            "hosts.yaml",
            "# hosts\n---\n- type: imap\n  name: a\n  hostname: mx1.example.com\n- {type: pop, port: 995, name: b}",
        ),
        (
            "hosts.yml",
            "- &x\n  type: imap\n  name: a\n  hostname: mx1.example.com\n- type: pop\n  port: '995'\n  name: b\n",
        ),
    ],
)
def test_every_spelling_gives_the_same_rows(tmp_path: Path, name: str, text: str) -> None:
    assert cells(write(tmp_path, name, text)) == [
        {"type": "imap", "name": "a", "hostname": "mx1.example.com"},
        {"type": "pop", "name": "b", "port": "995"},
    ]


def test_one_line_of_json_lines_is_a_list_of_one(tmp_path: Path) -> None:
    assert len(cells(write(tmp_path, "hosts.jsonl", json.dumps(HOSTS[0])))) == 1


@pytest.mark.parametrize(
    ("yaml", "text"),
    [
        ("1.10", "1.10"),
        ("yes", "yes"),
        ("on", "on"),
        ("0993", "0993"),
        ("10:20", "10:20"),
        ("2026-03-14", "2026-03-14"),
        ("2026-99-99", "2026-99-99"),
        ("1e3", "1e3"),
        ("~", ""),
        ("null", ""),
        ("", ""),
        ("'null'", "null"),
        ("[10, 20]", "10;20"),
        ("[{id: 10}, {id: 20}]", "10;20"),
        ("{a: 1}", '{"a":"1"}'),
    ],
)
def test_yaml_values_are_texts_as_they_are_written(tmp_path: Path, yaml: str, text: str) -> None:
    (row,) = cells(write(tmp_path, "x.yaml", f"- name: a\n  mine: {yaml}\n"))
    assert row.get("mine", "") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("1.10", "1.10"),
        ("993.0", "993.0"),
        ("1E+18", "1E+18"),
        ("true", "true"),
        ("null", ""),
        ("NaN", ""),
        ("[10,20]", "10;20"),
    ],
)
def test_json_numbers_count_as_they_are_written(tmp_path: Path, value: str, text: str) -> None:
    (row,) = cells(write(tmp_path, "x.json", f'[{{"name": "a", "mine": {value}}}]'))
    assert row.get("mine", "") == text


@given(st.dictionaries(st.text(min_size=1).filter(lambda name: name.strip()), st.text(), max_size=4))
def test_texts_survive(tmp_path_factory: pytest.TempPathFactory, item: dict[str, str]) -> None:
    path = tmp_path_factory.mktemp("x") / "x.json"
    path.write_text(json.dumps([{"name": "a", **item}]), "utf-8")
    source, rows = read(path)
    expected = [{"name": "a", **item}[name] for name in {"name": "a", **item}]
    if rows:
        assert [cell for cell in rows[0].cells if "?" not in cell] == [cell for cell in expected if _is_clean(cell)]
    assert len(source.header) == len(expected)


def _is_clean(text: str) -> bool:
    return "?" not in text and text.encode("utf-8", "replace").decode() == text


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.json", '{"a": 1}', "no list of objects with the names of columns"),
        ("x.json", '[{"a": 1}]', 'The keys of its objects are "a".'),
        ("x.json", "[]", "The keys of its objects are missing."),
        ("x.json", '[{"name": "a"}, 5]', "Its entry 2 is no object."),
        ("x.json", '[{"name": "a"}', "truncated file?"),
        ("x.json", json.dumps([{"name": "a"} | dict.fromkeys(map(str, range(1_000)))]), "it has 1,001 columns"),
        ("x.json", '[{"name": "a", "name": "b"}]', 'has the key "name" twice'),
        ("x.yaml", "- name: a\n- name: b\n  name: c\n", 'the object in line 2 has the key "name" twice'),
        ("x.yaml", "name: a\n", "no list of objects"),
        ("x.yaml", "- name: [\n", "is not valid YAML"),
        ("x.yaml", "- name: !!python/object:os.system x\n", "is not valid YAML"),
        ("x.json", '[{"name": ' + "[" * 100 + "]" * 100 + "}]", "nested more than 64 levels"),
    ],
)
def test_anything_else_is_named(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{name}") as error:
        read(write(tmp_path, name, text))
    assert message in str(error.value)
    assert str(error.value).count(name) == 1


def test_a_list_in_a_cell_that_holds_none_is_an_issue(cli: CommandLine) -> None:
    Path("x.json").write_text(json.dumps([imap("a"), imap("b") | {"name": ["b"]}, imap("c", locations=[10, [20]])]))
    checked = cli("check", "x.json", "--json")
    assert [(issue["row"], issue["column"], issue["code"]) for issue in checked.json["issues"]] == [
        (3, "name", "cell.type"),
        (4, "locations", "cell.type"),
    ]


@pytest.mark.parametrize("suffix", ["json", "jsonl", "yaml"])
def test_text_in_an_unknown_encoding_is_never_sent(cli: CommandLine, suffix: str) -> None:
    """Bytes that are not UTF-8 are an issue of their cell; a given encoding, or UTF-16 with its mark, is read."""
    text = json.dumps([imap("Café"), imap("b")] if suffix != "jsonl" else imap("Café"), ensure_ascii=False)
    path = cli.folder / f"x.{suffix}"
    path.write_bytes(text.encode("windows-1252"))
    checked = cli("check", path, "--json", "--results", "r.csv").json
    assert [(issue["row"], issue["column"], issue["code"]) for issue in checked["issues"]] == [
        (2, "name", "cell.encoding")
    ]
    assert 'The name "Café" (in Windows-1252) is not valid UTF-8' in checked["issues"][0]["message"]
    assert cli.read_results("r.csv")[0]["name"] == "Caf\N{REPLACEMENT CHARACTER}"
    assert cli("check", path, "--encoding", "Windows-1252").exit_code == 0
    path.write_bytes(text.encode("utf-16"))
    assert cli("check", path).exit_code == 0


def test_a_key_in_an_unknown_encoding_is_no_column(cli: CommandLine) -> None:
    items = [{"Gerät": "a", "type": "imap", "hostname": "mx1.example.com"}]
    Path("x.json").write_bytes(json.dumps(items, ensure_ascii=False).encode("windows-1252"))
    result = cli("check", "x.json", "--map", "Gerät=name", "--set", "billing_plancode=X")
    assert result.exit_code == 2
    assert "The header is not certain" in result.stderr
    assert (
        cli("check", "x.json", "--map", "Gerät=name", "--set", "billing_plancode=X", "--encoding", "cp1252").exit_code
        == 0
    )


def test_a_table_that_begins_with_a_bracket_is_a_table(tmp_path: Path) -> None:
    source, rows = read(write(tmp_path, "x.csv", "[id],name\n1,a\n"))
    assert (source.format, source.header, len(rows)) == ("csv", ("[id]", "name"), 1)


ALL_FIELDS = {name: field.example for name, field in FIELDS.items() if name != "monitor_id"}


@pytest.mark.parametrize("more", [{}, {"monitor_id": 7}, {"owner": "me"}, {"id": 5, "tags": ["x"], "url": "x"}])
@pytest.mark.parametrize("kind", ["imap", "IMAPS", "pop", "smtp", "round-trip", "email-imap"])
def test_objects_with_our_names_are_ours(cli: CommandLine, kind: str, more: dict[str, object]) -> None:
    """They can have all the keys that an export of AlertSite is known by."""
    if kind == "email-imap" and more.keys() - {"monitor_id"}:
        pytest.skip("AlertSite's own type beside a key that is no column of ours: that is AlertSite's export")
    items = [ALL_FIELDS | {"type": kind} | more, ALL_FIELDS | {"type": kind, "name": "other"}]
    for name, text in (("x.json", json.dumps(items)), ("x.jsonl", "\n".join(map(json.dumps, items)))):
        Path(name).write_text(text)
        checked = cli("check", name, "--ignore-unknown", "--json").json
        assert (checked["read_as"]["format"], checked["rows"]) == ("json", 2)


def test_another_tools_export_is_that(cli: CommandLine) -> None:
    monitors = [{"id": 1, "friendly_name": "a", "url": "mx1.example.com", "type": 4, "sub_type": 99, "port": 993}]
    Path("x.json").write_text(json.dumps({"stat": "ok", "monitors": monitors}))
    assert cli("check", "x.json", "--set", "billing_plancode=X", "--json").json["read_as"]["format"] == "UptimeRobot"


@pytest.mark.parametrize("own", [{}, {"status": "mine", "run_id": "mine too"}, {"error": "x"}])
def test_results_as_json_lines_are_an_input(cli: CommandLine, own: dict[str, str]) -> None:
    sheet = cli.write_csv("hosts.csv", [imap("a", **own), imap("b", port=0, **own)])
    options = ("--sandbox", "--ignore-unknown")
    cli("run", sheet, "--results", "r.jsonl", "--results", "r.csv", *options)
    by_lines, by_table = (cli("run", f"r.{suffix}", "--json", *options).json for suffix in ("jsonl", "csv"))
    assert by_lines["counts"] == by_table["counts"] == {"exists": 1, "invalid": 1}
    text = Path("r.jsonl").read_text("utf-8").replace('"port": "0"', '"port": "25"')
    Path("r.jsonl").write_text(text, "utf-8")
    assert cli("run", "r.jsonl", "--json", *options).json["counts"] == {"created": 1, "exists": 1}
