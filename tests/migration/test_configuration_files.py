"""Configuration files of tools: every object has an outcome, and the tools themselves accept the fixtures."""

from __future__ import annotations

import getpass
import grp
import json
import os
import re
import shutil
import string
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import read_documents
from bulkload.migration.durations import go_seconds, prometheus_seconds, suffixed_seconds, zabbix_seconds
from bulkload.migration.tools import icinga2, monit, nagios, prometheus, xymon, zabbix
from bulkload.migration.tools.nagios import grammar
from bulkload.migration.tools.nagios.config_files import Configuration
from bulkload.migration.tools.nagios.plugins import Probe, UnsupportedCommand, read_command_line
from bulkload.migration.tools.nagios.services import services
from bulkload.migration.tools.registry import recognise
from tests.support.migration_golden import FIXTURES, expected_path, fixture_folders, translate_fixture

TOOLS = tuple(tool.NAME for tool in (icinga2, monit, nagios, prometheus, xymon, zabbix))
GOLDEN = [case for case in fixture_folders(*TOOLS) if case.name != "language"]  # it is rejected, see its own test
TARGET = tuple[str | None, str, int | None, float | None, float | None, bool]


def translate(*paths: Path) -> list[Check | SkippedObject]:
    """Return the outcomes of all objects in the files."""
    recognised = recognise(read_documents(paths))
    return [*recognised.reader.translate(recognised.documents), *recognised.skipped_objects]


def write_file(folder: Path, text: str, name: str = "source") -> Path:
    """Create a file with this text."""
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def checks(items: Sequence[Check | SkippedObject]) -> list[Check]:
    """Return only the objects that become rows."""
    return [item for item in items if isinstance(item, Check)]


def reasons(items: Sequence[Check | SkippedObject]) -> str:
    """Return only the reasons of the skipped objects."""
    return "\n".join(item.reason for item in items if isinstance(item, SkippedObject))


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_the_result_of_a_source_matches_its_golden_file(case: Path) -> None:
    """Regenerate with python -m tests.support.migration_golden after an intended change."""
    assert translate_fixture(case) == json.loads(expected_path(case).read_text(encoding="utf-8"))


def test_the_icinga_language_is_rejected_with_an_alternative() -> None:
    with pytest.raises(InputError, match="v1/objects/services"):
        translate(FIXTURES / "icinga2" / "language")


# ── the tools themselves ──


def run(*command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a tool, or skip when it is not installed."""
    program = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run((program, *command[1:]), cwd=cwd, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def nagios_cache(tmp_path: Path) -> Path:
    """The objects of the Nagios fixture, resolved by Nagios itself."""
    tree = tmp_path / "tree"
    shutil.copytree(FIXTURES / "nagios" / "tree", tree)
    (tree / "spool").mkdir()
    cache = tmp_path / "objects.cache"
    with (tree / "nagios.cfg").open("a") as main:
        for key, value in {
            "log_file": tree / "nagios.log",
            "temp_path": tree,
            "check_result_path": tree / "spool",
            "status_file": tree / "status.dat",
            "precached_object_file": cache,
            "nagios_user": getpass.getuser(),
            "nagios_group": grp.getgrgid(os.getgid()).gr_name,
        }.items():
            main.write(f"{key}={value}\n")
    process = run("nagios4", "-vp", str(tree / "nagios.cfg"))
    assert process.returncode == 0, process.stdout
    return cache


def test_nagios_accepts_the_fixture_and_resolves_it_in_the_same_way(nagios_cache: Path) -> None:
    """Templates, groups, exclusions and patterns give the same checks, resolved by bulkload or by Nagios."""

    def targets(items: Sequence[Check | SkippedObject]) -> dict[str, TARGET]:
        return {
            item.name: (item.type, item.hostname, item.port, item.interval_seconds, item.timeout_seconds, item.enabled)
            for item in checks(items)
        }

    own_targets, nagios_targets = targets(translate(FIXTURES / "nagios" / "tree")), targets(translate(nagios_cache))
    assert own_targets == nagios_targets
    assert len(own_targets) == 11


def test_prometheus_accepts_the_fixture() -> None:
    process = run("promtool", "check", "config", str(FIXTURES / "prometheus" / "probe-jobs" / "prometheus.yml"))
    assert process.returncode == 0, process.stderr


def test_monit_accepts_the_fixture(tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "monit" / "control", tmp_path / "monit")
    control = tmp_path / "monit" / "monitrc"
    control.write_text(f"set idfile {tmp_path / 'id'}\n{control.read_text()}")
    control.chmod(0o600)  # monit rejects a file that other users can read
    process = run("monit", "-t", "-c", str(control), cwd=control.parent)
    assert process.returncode == 0, process.stderr


def test_icinga_accepts_the_source_of_the_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = FIXTURES / "icinga2" / "language" / "mail.conf"
    main = write_file(
        tmp_path,
        'const NodeName = "localhost"\nconst PluginDir = "/usr/lib/nagios/plugins"\n'
        f"object Endpoint NodeName {{}}\nobject Zone NodeName {{ endpoints = [ NodeName ] }}\n"
        f'include <itl>\ninclude <plugins>\ninclude "{source}"\n',
        "icinga2.conf",
    )
    folders = [f"-DConfiguration.{name}Dir={tmp_path}" for name in ("Cache", "Data", "Log", "InitRun", "Spool")]
    monkeypatch.setenv("ICINGA2_USER", getpass.getuser())  # otherwise it switches to a user who cannot read the file
    monkeypatch.setenv("ICINGA2_GROUP", grp.getgrgid(os.getgid()).gr_name)
    process = run("icinga2", "daemon", "-C", "-c", str(main), *folders)
    assert process.returncode == 0, process.stdout


# ── Nagios ──


@pytest.mark.parametrize(
    ("line", "mail_type", "host", "port", "tls"),
    [
        ("/usr/lib/check_smtp -H mx", "smtp", "mx", "25", "unknown"),
        ("check_smtp -H mx -p587 --starttls", "smtp", "mx", "587", "starttls"),
        ("check_smtp -H mx -p 465 --ssl", "smtp", "mx", "465", "implicit"),
        ("check_ssmtp --hostname=mx", "smtp", "mx", "465", "implicit"),
        ("check_imap -4SH mx -p 993", "imap", "mx", "993", "implicit"),
        ("check_imap -H mx '-p 993 -S'", "imap", "mx", "993", "implicit"),
        ("check_simap -H mx", "imap", "mx", "993", "implicit"),
        ("check_spop mx", "pop", "mx", "995", "implicit"),
        ("sudo -u nagios /x/check_pop -H mx -w 5 -c 10", "pop", "mx", "110", "unknown"),
        ("check_tcp -H mx -p 25 -s 'QUIT' -e 220 -t 10:unknown", None, "mx", "25", "unknown"),
        ("check_ssl_cert -H mx -P imaps", "imap", "mx", "993", "implicit"),
        ("check_ssl_cert -H mx -P smtp -p 587", "smtp", "mx", "587", "starttls"),
    ],
)
def test_a_command_line_determines_the_probe(line: str, mail_type: str | None, host: str, port: str, tls: str) -> None:
    probe = read_command_line(line)
    assert isinstance(probe, Probe)
    assert (probe.type, probe.host, probe.port, probe.tls) == (mail_type, host, port, tls)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("negate check_smtp -H mx", "inverted"),
        ("check_tcp -H mx -p 25 -r ok", "inverted"),
        ("check_nrpe -H mx -c check_smtp", "NRPE"),
        ("check_by_ssh -H mx -C 'check_smtp -H localhost'", "SSH"),
        ("check_smtp -H mx --lmtp", "LMTP"),
        ("check_mailq -w 1", "queue"),
        ("check_disk -w 1", "does not test a mail port"),
        ("check_smtp -H 'mx", "quotes"),
        ("", "empty"),
    ],
)
def test_an_unsupported_command_line_has_a_reason(line: str, reason: str) -> None:
    result = read_command_line(line)
    assert isinstance(result, UnsupportedCommand)
    assert reason in result.reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("define service{\nuse a\nname a\n}\ndefine service{\nuse a\nhost_name h\n}", "cycle"),
        (
            (
                "define hostgroup{\nhostgroup_name a\nhostgroup_members b\n}\n"
                "define hostgroup{\nhostgroup_name b\nhostgroup_members a\n}\n"
                "define service{\nhostgroup_name a\ncheck_command check_smtp\n}"
            ),
            "a → b → a",
        ),
        ("define service{\nhost_name h\ncheck_command check_smtp\n}", r"\$HOSTADDRESS\$"),
        ("define service{\nhostgroup_name nowhere\ncheck_command check_smtp\n}", "nowhere"),
        ("define service{\nhost_name h\n}", "no check_command"),
        ("define service{\ncheck_command check_smtp\n}", "no host and no host group"),
    ],
)
def test_a_service_that_cannot_be_resolved_is_skipped_with_the_reason(tmp_path: Path, text: str, reason: str) -> None:
    items = translate(write_file(tmp_path, text))
    assert not checks(items)
    assert re.search(reason, reasons(items))


def test_a_cycle_of_many_templates_is_found_quickly(tmp_path: Path) -> None:
    """Sixty templates that all inherit from each other are rejected without trying every order."""
    names = [f"t{number}" for number in range(60)]
    text = "".join(f"define service{{\nname {name}\nregister 0\nuse {','.join(names)}\n}}\n" for name in names)
    items = translate(write_file(tmp_path, f"{text}define service{{\nuse t0\nhost_name h\n}}"))
    assert "cycle" in reasons(items)


def test_a_main_file_cannot_include_files_outside_its_folder(tmp_path: Path) -> None:
    """An uploaded nagios.cfg must not read other files of this machine."""
    outside = write_file(tmp_path, "define service{\nhost_name h\nservice_description secret\n}", "outside.cfg")
    folder = tmp_path / "in"
    folder.mkdir()
    main = write_file(folder, f"cfg_file={outside}\ncfg_file=../outside.cfg\n", "nagios.cfg")
    items = translate(main)
    assert not any("secret" in item.origin for item in items)
    assert reasons(items).count("was not found") == 2


@pytest.mark.parametrize(
    "text",
    [
        "cfg_file={}\ncfg_dir={}\ndefine service{{\nhost_name h\ncheck_command check_ping\n}}\n",
        "include {}\ndirectory {}\n192.0.2.1 mx.example.com # ftp\n",
        "set daemon 60\ninclude {}\ninclude {}\ncheck host mx with address mx.example.com\n",
        'scrape_configs:\n- job_name: x\n  metrics_path: /probe\n  file_sd_configs:\n  - files: ["{}", "{}"]\n',
    ],
    ids=["nagios", "xymon", "monit", "prometheus"],
)
@pytest.mark.parametrize(
    "name", ["n" * 300, f"*{'n' * 300}", "**n", "n\\0n", "/" * 300, "n/" * 3000, "**/" * 9 + "*.cfg"]
)
def test_a_reference_to_a_file_with_an_impossible_name_is_an_error_of_that_file(
    name: str, text: str, tmp_path: Path
) -> None:
    items = translate(write_file(tmp_path, text.format(name, name)))
    assert [item for item in items if isinstance(item, SkippedObject) and item.error]


@pytest.mark.parametrize("encoding", ["xyz", "utf-32", "utf-7", "x" * 5000, "\u00e4"])
def test_xml_in_an_unknown_encoding_is_rejected(encoding: str, tmp_path: Path) -> None:
    path = write_file(tmp_path, f'<?xml version="1.0" encoding="{encoding}"?><zabbix_export/>')
    with pytest.raises(InputError, match="source"):
        translate(path)


WORD = st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=12)
VALUE = st.text(
    st.characters(blacklist_characters=";\\{}#", blacklist_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), max_size=30
)


@given(st.lists(st.dictionaries(WORD.map(lambda word: f"_{word}".upper()), VALUE, min_size=1, max_size=5), max_size=5))
def test_definitions_are_parsed_as_written(objects: list[dict[str, str]]) -> None:
    text = "".join(
        "define host {\n" + "".join(f"\t{key}  {value} ; comment\n" for key, value in item.items()) + "}\n"
        for item in objects
    )
    parsed = [item for item in grammar.parse("x.cfg", text) if isinstance(item, grammar.Definition)]
    assert [dict(item.directives) for item in parsed] == objects


@given(st.text(alphabet="define hostsrvc{}\n\t,;!+*$_=#\\\"'abc|%123", max_size=300))
def test_any_nagios_text_is_parsed_or_rejected(text: str) -> None:
    """Any text is parsed or rejected with a message, and every service has an outcome."""
    try:
        items = list(grammar.parse("x.cfg", text))
    except InputError:
        return
    definitions = [item for item in items if isinstance(item, grammar.Definition)]
    list(services(Configuration(definitions=definitions, settings={}, skipped_objects=(), files=frozenset())))


@given(st.text(max_size=200))
def test_any_command_line_is_read(line: str) -> None:
    assert isinstance(read_command_line(f"check_smtp {line}"), Probe | UnsupportedCommand)


# ── Xymon ──


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["", "!", "?", "~"]),
            st.sampled_from(["smtp", "imap", "imaps", "pop3", "pop3s", "submission", "smtps"]),
            st.one_of(st.none(), st.integers(1, 65535)),
        ),
        max_size=8,
    )
)
def test_every_test_of_a_xymon_host_has_an_outcome(
    tmp_path_factory: pytest.TempPathFactory, tests: list[tuple[str, str, int | None]]
) -> None:
    words = [f"{flag}{test}{'' if port is None else f':{port}'}" for flag, test, port in tests]
    path = write_file(tmp_path_factory.mktemp("xymon"), f"192.0.2.1 mx.example.com # {' '.join(words)}\n")
    items = translate(path)
    assert len(items) == len(tests)
    for (flag, _, port), item in zip(tests, items, strict=True):
        assert isinstance(item, SkippedObject) == (flag == "!")
        if isinstance(item, Check) and port is not None:
            assert item.port == port


@given(st.text(alphabet="smtpimap3:!?~@#\"' \\\n0123456789.NAME", max_size=200))
def test_any_xymon_text_has_an_outcome(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = write_file(tmp_path_factory.mktemp("xymon"), f"192.0.2.1 mx.example.com # smtp {text}\n")
    assert translate(path)


# ── durations ──

UNITS = [("w", 604800), ("d", 86400), ("h", 3600), ("m", 60), ("s", 1)]


@given(st.lists(st.integers(0, 999), min_size=5, max_size=5).filter(any))
def test_the_units_of_a_prometheus_duration_are_added(numbers: list[int]) -> None:
    text = "".join(f"{number}{unit}" for number, (unit, _) in zip(numbers, UNITS, strict=True))
    assert prometheus_seconds(text) == sum(n * size for n, (_, size) in zip(numbers, UNITS, strict=True))


@given(st.integers(0, 10**6), st.sampled_from([("", 1), ("s", 1), ("m", 60), ("h", 3600), ("d", 86400), ("w", 604800)]))
def test_zabbix_delays_have_one_unit(number: int, unit: tuple[str, int]) -> None:
    text = f"{number}{unit[0]}"
    assert suffixed_seconds(text) == zabbix_seconds(f"{text};wd1-5,9:00-18:00/5m") == number * unit[1]


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_the_units_of_a_go_duration_are_added(hours: int, minutes: int, seconds: int) -> None:
    assert go_seconds(f"{hours}h{minutes}m{seconds}.5s") == pytest.approx(hours * 3600 + minutes * 60 + seconds + 0.5)


@given(st.text(max_size=30))
def test_any_text_is_a_duration_or_none(text: str) -> None:
    for read in (go_seconds, prometheus_seconds, suffixed_seconds, zabbix_seconds):
        seconds = read(text)
        assert seconds is None or seconds >= 0


@pytest.mark.parametrize("text", ["", "m", "1x", "1h 30m", "-5m", "1_0s", "١m", "30m1h"])
def test_an_invalid_prometheus_duration_is_none(text: str) -> None:
    assert prometheus_seconds(text) is None


# ── real samples, stored outside the project ──


@pytest.fixture
def samples() -> Path:
    folder = os.environ.get("BULKLOAD_MIGRATION_SAMPLES")
    if not folder:
        pytest.skip("BULKLOAD_MIGRATION_SAMPLES is not set to a folder of real samples")
    return Path(folder)


def test_real_zabbix_templates_without_hosts_give_no_rows(samples: Path) -> None:
    for name in ("plesk_obsidian_5.0.xml", "plesk_obsidian_6.0.yaml"):
        items = translate(samples / "zabbix" / name)
        assert not checks(items)
        assert sum("which tests tcp," in item.reason for item in items if isinstance(item, SkippedObject)) == 14


def test_a_host_with_real_zabbix_templates_has_six_mail_checks(samples: Path, tmp_path: Path) -> None:
    host = (
        '{"zabbix_export": {"hosts": [{"host": "mx", "templates": [{"name": "CustomApp Plesk"}],'
        ' "interfaces": [{"useip": "NO", "dns": "mx.example.com"}]}]}}'
    )
    for name in ("plesk_obsidian_5.0.xml", "plesk_obsidian_6.0.yaml"):
        items = translate(samples / "zabbix" / name, write_file(tmp_path, host, "host.json"))
        mail_checks = checks(items)
        assert len(mail_checks) == 6
        assert reasons(items).count("is not a port of") == 8
        assert {item.interval_seconds for item in mail_checks} == {60.0}


def test_real_files_without_checks_give_none(samples: Path) -> None:
    for folder in ("nagios", "prometheus"):
        assert not checks(translate(samples / folder))
