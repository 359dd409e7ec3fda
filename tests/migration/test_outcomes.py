"""In every tool: what may be a mail check has an outcome, and what is certainly no mail check is no error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bulkload.migration.rules import Translation, read_configuration


def convert(folder: Path, text: str, name: str = "source") -> Translation:
    """Convert one file."""
    (folder / name).write_text(text, encoding="utf-8")
    return read_configuration([folder / name])


def counts(translation: Translation) -> tuple[int, int, int]:
    """How many rows, skipped objects and errors."""
    return translation.counts.rows, translation.counts.skipped, translation.counts.errors


ROW, SKIPPED, ERROR = (1, 0, 0), (0, 1, 0), (0, 0, 1)


@pytest.mark.parametrize(
    ("words", "outcome"),
    [
        ("smtp", ROW),
        ("smtp:2525", ROW),
        ("smtp:" + "9" * 5000, ERROR),
        ("imap-tls", ERROR),  # a test that protocols.cfg may define
        ("smtp2:26", ERROR),
        ("badimap:2:4:6 http://mail.example.com/", SKIPPED),
        ('NAME:"IMAP server" CLASS:smtp depends=(imap:mx.imap) ssh', SKIPPED),
    ],
)
def test_xymon(words: str, outcome: tuple[int, int, int], tmp_path: Path) -> None:
    assert counts(convert(tmp_path, f"192.0.2.1 mx.example.com # {words}\n")) == outcome


def test_a_default_test_of_xymon_is_an_error(tmp_path: Path) -> None:
    translation = convert(tmp_path, "0.0.0.0 .default. # smtp\n192.0.2.1 mx.example.com # imap\n")
    assert counts(translation) == (1, 0, 1)
    assert "all hosts below" in translation.skipped_objects[0].reason


@pytest.mark.parametrize(
    ("check", "outcome"),
    [
        ("host mx with address mx.example.com\n if failed port 25 then alert", ROW),
        ("host mx with address mx.example.com\n if failed port 25 protocol generic then alert", ROW),
        ("host mx\n if failed port 25 then alert", ERROR),
        ("host mx\n if failed port 80 then alert", SKIPPED),
        ("host mx\n if failed port 80 protocol http then alert", SKIPPED),
        ('program mx with path "/usr/lib/nagios/plugins/check_smtp -H mx"\n if status != 0 then alert', ERROR),
        ('program imap with path "/usr/local/bin/probe"\n if status != 0 then alert', ERROR),
        ('program disk with path "/usr/local/bin/df.sh"\n if status != 0 then alert root@mail.example.com', SKIPPED),
    ],
)
def test_monit(check: str, outcome: tuple[int, int, int], tmp_path: Path) -> None:
    assert counts(convert(tmp_path, f"set daemon 60\ncheck {check}\n")) == outcome


def icinga(command: str, name: str = "x", variables: Any = None, address: str | None = "mx.example.com") -> str:
    """A response of the API with one service."""
    attrs = {"check_command": command, "host_name": "mx", "name": name, "vars": variables}
    return json.dumps(
        {"results": [{"type": "Service", "attrs": attrs, "joins": {"host": {"address": address, "name": "mx"}}}]}
    )


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (icinga("smtp"), ROW),
        (icinga("check_imaps"), ERROR),
        (icinga("email_delivery"), ERROR),
        (icinga("our-probe", "IMAP"), ERROR),
        (icinga("our-probe"), SKIPPED),
        (icinga("http", "webmail"), SKIPPED),
        (icinga("mail_queue"), SKIPPED),
        (icinga("smtp", address=None), ERROR),
        (icinga("tcp", variables={"tcp_port": 8080}, address=None), SKIPPED),
        (icinga("smtp", variables={"smtp_port": {"type": "Function"}}), ERROR),
    ],
)
def test_icinga(text: str, outcome: tuple[int, int, int], tmp_path: Path) -> None:
    assert counts(convert(tmp_path, text)) == outcome


def test_an_invalid_value_of_icinga_is_named_by_its_own_variable(tmp_path: Path) -> None:
    (item,) = convert(tmp_path, icinga("smtp", variables={"smtp_port": ["25"]})).skipped_objects
    assert item.reason.startswith("The smtp_port is a list; ")


def test_a_type_that_one_of_two_merged_checks_tells_is_not_inferred(tmp_path: Path) -> None:
    services = [json.loads(icinga("smtp", "a")), json.loads(icinga("tcp", "b", {"tcp_port": 25}))]
    translation = convert(tmp_path, json.dumps({"results": [item["results"][0] for item in services]}))
    assert counts(translation) == (1, 1, 0)
    assert "inferred" not in translation.rows[0].fields["note"]


@pytest.mark.parametrize(("command", "is_error"), [("smtp", True), ("hostalive", False)])
def test_a_host_of_icinga_whose_own_check_tests_mail_is_an_error(command: str, is_error: bool, tmp_path: Path) -> None:
    results = json.loads(icinga("http"))["results"]
    results.append({"type": "Host", "name": "mx", "attrs": {"check_command": command}})
    assert counts(convert(tmp_path, json.dumps({"results": results}))) == (0, 1, is_error)


def zabbix(key: str, *, item_type: str = "SIMPLE", in_template: bool = False, **host: Any) -> str:
    """An export with one item of a host, or of a template that no host uses."""
    item = {"name": "x", "type": item_type, "key": key}
    owner = {
        "host": "mx",
        "template": "Mail",
        "interfaces": [{"useip": "NO", "dns": "mx.example.com"}],
        "items": [item],
    }
    return json.dumps({"zabbix_export": {"templates" if in_template else "hosts": [{**owner, **host}]}})


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (zabbix("net.tcp.service[smtp]"), ROW),
        (zabbix("net.tcp.service[smtp,,{$PORT}]"), ERROR),
        (zabbix("net.tcp.service[http,,{$PORT}]"), SKIPPED),
        (zabbix("net.tcp.service[tcp,{$HOST},8080]"), SKIPPED),
        (zabbix("net.tcp.service[tcp,,{$PORT}]"), ERROR),
        (zabbix("net.tcp.service[http]", interfaces=[]), SKIPPED),
        (zabbix("check_smtp.sh[-H,mx]", item_type="EXTERNAL"), ERROR),
        (zabbix("check_raid.sh", item_type="EXTERNAL"), SKIPPED),
        (zabbix("icmpping"), SKIPPED),
        (zabbix("net.tcp.service[smtp]", in_template=True), (0, 1, 1)),
        (zabbix("net.tcp.service[http]", in_template=True), SKIPPED),
        (zabbix("net.tcp.service[tcp,,22]", in_template=True), SKIPPED),
    ],
)
def test_zabbix(text: str, outcome: tuple[int, int, int], tmp_path: Path) -> None:
    assert counts(convert(tmp_path, text)) == outcome


CHOOSE_SMTP = {"target_label": "__param_module", "replacement": "smtp"}


def prometheus(module: str, targets: object, **job: Any) -> str:
    """A probe job, written as JSON, which is YAML as well."""
    item = {"job_name": "x", "metrics_path": "/probe", "params": {"module": [module]}, **job}
    return json.dumps({"scrape_configs": [{**item, "static_configs": [{"targets": targets}]}]})


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (prometheus("smtp", ["mx.example.com:25"]), ROW),
        (prometheus("http_2xx", ["mx.example.com:25"]), SKIPPED),
        (prometheus("smtp", [], consul_sd_configs=[{}]), ERROR),
        (prometheus("http_2xx", [], consul_sd_configs=[{}]), SKIPPED),
        (prometheus("smtp", [], file_sd_configs=[{"files": ["x.yml"]}]), ERROR),
        (prometheus("http_2xx", [], file_sd_configs=[{"files": ["x.yml"]}]), SKIPPED),
        (prometheus("smtp", "mx.example.com:25"), ERROR),
        (prometheus("icmp", "mx.example.com"), SKIPPED),
        (
            prometheus("icmp", ["mx:25"], relabel_configs=[{"target_label": "__param_module", "replacement": "smtp"}]),
            ROW,
        ),
        ("modules:\n  http:\n    prober: http\n  smtp:\n    prober: tcp\n", ERROR),
        ('scrape_configs: []\nscrape_config_files: ["jobs/*.yml"]\n', ERROR),
    ],
)
def test_prometheus(text: str, outcome: tuple[int, int, int], tmp_path: Path) -> None:
    assert counts(convert(tmp_path, text)) == outcome


def test_a_label_of_a_target_may_choose_a_mail_module(tmp_path: Path) -> None:
    job = json.loads(prometheus("http_2xx", ["mx.example.com:25"]))
    job["scrape_configs"][0]["static_configs"][0]["labels"] = {"__param_module": "smtp"}
    assert counts(convert(tmp_path, json.dumps(job))) == ROW


def test_gatus_in_json(tmp_path: Path) -> None:
    endpoint = {"name": "mx", "url": "starttls://mx.example.com:587", "conditions": ["[CONNECTED] == true"]}
    assert counts(convert(tmp_path, json.dumps({"endpoints": [endpoint]}))) == ROW


def kuma(**fields: Any) -> str:
    """A backup with one monitor."""
    monitor = {"id": 1, "name": "x", "type": "port", "hostname": "mx.example.com", "port": 25, "interval": 60}
    return json.dumps({"monitorList": [{**monitor, "upsideDown": False, "maxretries": 1, **fields}]})


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        (kuma(), ROW),
        (kuma(timeout="soon"), ERROR),
        (kuma(timeout="soon", port=8080), SKIPPED),
        (kuma(hostname=None, port=8080), SKIPPED),
        (kuma(timeout="soon", type="http"), SKIPPED),
        (kuma(port="x"), ERROR),
    ],
)
def test_uptime_kuma(text: str, outcome: tuple[int, int, int], tmp_path: Path) -> None:
    assert counts(convert(tmp_path, text)) == outcome


def test_documentation_is_no_configuration_of_any_tool(tmp_path: Path) -> None:
    """Its examples must not make the files beside it belong to several tools."""
    (tmp_path / "README.md").write_text("check host mx with address mx.example.com\n192.0.2.1 mx # smtp\n")
    (tmp_path / "README").write_text("define host {\nhost_name x\n}\n")
    (tmp_path / "hosts.cfg").write_text("192.0.2.1 mx.example.com # smtp\n")
    translation = read_configuration([tmp_path])
    assert counts(translation) == (1, 2, 0)
    assert translation.tool == "Xymon"
