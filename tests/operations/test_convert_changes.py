"""The third worksheet of convert says everything once, with its rows, and what a plain monitor does not do."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from bulkload.migration.not_covered import of_command, of_settings
from bulkload.migration.tools.registry import READERS
from bulkload.operations.convert import row_ranges
from tests.support.command_line import CommandLine

NAGIOS = """\
define host { host_name mx1
 address 8.8.8.8
 parents router }
define host { host_name mx2
 address 10.0.0.2 }
define command { command_name smtp
 command_line /usr/lib/nagios/plugins/check_smtp -H $HOSTADDRESS$ -D 14 -w 2 -c 5 -e 220 }
define service { host_name mx1,mx2
 service_description SMTP
 check_command smtp
 check_interval 0.5
 max_check_attempts 3
 check_period workhours
 event_handler restart }
define servicedependency { dependent_host_name mx2
 dependent_service_description SMTP
 host_name mx1
 service_description SMTP }
"""


def changed(cli: CommandLine) -> list[dict[str, str]]:
    with (cli.folder / "out-changed.csv").open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_equal_changes_are_one_line_and_what_is_lost_is_named(cli: CommandLine) -> None:
    (cli.folder / "mail.cfg").write_text(NAGIOS, "utf-8")
    result = cli("convert", "mail.cfg", "out.csv")
    assert "1 host is a private address that AlertSite cannot reach; --skip-private leaves it out." in result.stdout
    lines = changed(cli)
    (interval,) = (line for line in lines if "interval" in line["what"])
    assert (interval["kind"], interval["rows"], interval["which rows"]) == ("changed", "2", "2–3")
    assert interval["names"] == "mx1 SMTP; mx2 SMTP"
    lost = [line for line in lines if line["kind"] == "not covered"]
    assert {line["which rows"] for line in lost} == {"2–3"}
    text = " ".join(line["what"] for line in lost)
    parts = ("certificate", "thresholds", "expected to send", "period", "Event handlers", "retries", "Dependencies")
    assert [part for part in parts if part not in text] == []
    assert cli("convert", "mail.cfg", "out.csv", "--overwrite", "--json").json["private_hosts"] == 1


def test_the_help_lists_every_tool(cli: CommandLine) -> None:
    text = cli("convert", "--help").stdout
    for reader in READERS:
        assert reader.NAME in text
        assert reader.TITLE in text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [([], ""), ([2], "2"), ([2, 3, 4, 7], "2–4, 7"), ([2, 4, 6, 8, 10, 12, 13], "2, 4, 6, 8, 10 and 2 more")],
)
def test_rows_are_written_as_a_person_does(numbers: list[int], text: str) -> None:
    assert row_ranges(numbers) == text


@pytest.mark.parametrize("value", [None, "", 0, False, [], {}, "24x7", "None"])
def test_a_setting_that_is_off_is_not_lost(value: object) -> None:
    assert of_settings({"check_period": value, "maxretries": value, "parents": value}) == ()


def test_the_letters_of_a_plugin_have_its_own_meaning() -> None:
    assert of_command("check_smtp", ["s", "p", "H"]) == ()  # TLS
    assert "sent" in of_command("check_tcp", ["s"])[0]
    assert "certificate" in of_command("check_ssl_cert", ["w"])[0]


def test_a_condition_of_gatus_is_named(tmp_path: Path, cli: CommandLine) -> None:
    (cli.folder / "gatus.yaml").write_text(
        "endpoints:\n  - name: a\n    url: starttls://mx.firma.de:587\n    interval: 5m\n"
        '    conditions:\n      - "[CERTIFICATE_EXPIRATION] > 48h"\n      - "[RESPONSE_TIME] < 500"\n',
        "utf-8",
    )
    assert cli("convert", "gatus.yaml", "out.csv").exit_code == 0
    text = " ".join(line["what"] for line in changed(cli))
    assert "certificate" in text
    assert "thresholds" in text


MONIT = """\
set daemon 60
check host mx1 with address mx1.firma.de
    depends on router
    alert ops@firma.de
    if failed port 25 protocol smtp
       send "EHLO a" expect "250" for 3 cycles then alert
    if failed port 993 type tcpssl protocol imap and certificate valid > 30 days then exec "/bin/x"
check host mx2 with address mx2.firma.de
    if failed port 25 protocol smtp then alert
"""
XYMON = """\
192.0.2.10  mx1.firma.de  # smtp imaps badsmtp:2:4:6 depends=(smtp:router.conn) DOWNTIME=*:0200:0300 ssldays=30:10
192.0.2.11  mx2.firma.de  # smtp
"""
PROMETHEUS = """\
scrape_configs:
  - job_name: mail
    metrics_path: /probe
    params: {module: [smtp_banner]}
    static_configs: [{targets: ["mx1.firma.de:25"]}]
modules:
  smtp_banner:
    prober: tcp
    tcp: {query_response: [{expect: "^220 mx1"}, {send: "EHLO a"}]}
"""
ZABBIX = """\
zabbix_export:
  version: '6.0'
  hosts:
    - host: mx1
      name: mx1
      interfaces: [{useip: 'NO', dns: mx1.firma.de, interface_ref: if1}]
      items:
        - name: SMTP
          type: SIMPLE
          key: 'net.tcp.service[smtp]'
          delay: '1m;50s/1-5,09:00-18:00'
          triggers:
            - expression: 'max(/mx1/net.tcp.service[smtp],#3)=0'
              dependencies: [{name: router, expression: 'last(/r/icmpping)=0'}]
        - name: SMTP performance
          type: SIMPLE
          key: 'net.tcp.service.perf[smtp,,2525]'
          triggers: [{expression: 'min(/mx1/net.tcp.service.perf[smtp,,2525],5m)>2'}]
        - name: IMAP
          type: SIMPLE
          key: 'net.tcp.service[imap]'
          triggers: [{expression: 'last(/mx1/net.tcp.service[imap])=0'}]
"""


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "monitrc",
            MONIT,
            {
                "Dependencies": "2–3",
                "Contacts": "2–3",
                "expected to send": "2",
                "commands": "2",
                "retries": "2",
                "certificate": "3",
                "Event handlers": "3",
            },
        ),
        (
            "hosts.cfg",
            XYMON,
            {"retries": "2", "Dependencies": "2–3", "Maintenance": "2–3", "certificate": "2–3"},
        ),
        ("prometheus.yml", PROMETHEUS, {"expected to send": "2", "commands": "2"}),
        ("zabbix.yaml", ZABBIX, {"period": "2", "Dependencies": "2", "retries": "2", "thresholds": "3"}),
    ],
)
def test_what_is_lost_is_named_for_every_row(
    cli: CommandLine, name: str, content: str, expected: dict[str, str]
) -> None:
    (cli.folder / name).write_text(content, "utf-8")
    assert cli("convert", name, "out.csv").exit_code in (0, 1)
    lost = {line["what"]: line["which rows"] for line in changed(cli) if line["kind"] == "not covered"}
    found = {part: next((rows for what, rows in lost.items() if part in what), "") for part in expected}
    assert (found, len(lost)) == (expected, len(expected)), lost
