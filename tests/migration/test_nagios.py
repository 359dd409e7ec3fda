"""Nagios and its forks: no service that may test mail is missing from the result, and nothing else is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from bulkload.migration.rules import Translation, read_configuration
from bulkload.migration.tools.nagios.plugins import Probe, UnsupportedCommand, read_command_line

HOST = "define host{\nhost_name mail01\naddress mail01.example.org\n}\n"
PACK = """
define host{
   name           imap
   register       0
   _IMAP_ADDRESS  $HOSTADDRESS$
}
define service{
   name           imap-service
   check_interval 3
   register       0
}
define service{
   service_description  Imap
   use                  imap-service
   register             0
   host_name            imap
   check_command        check_imaps
}
define command{
   command_name  check_imaps
   command_line  $NAGIOSPLUGINSDIR$/check_imap -H $_HOSTIMAP_ADDRESS$ -S -p 993
}
"""


def convert(folder: Path, *texts: str, **files: str) -> Translation:
    """Convert texts as mail.cfg, and files whose names have __ in place of a dot."""
    written = {"mail.cfg": "\n".join(texts), **{name.replace("__", "."): text for name, text in files.items()}}
    for name, text in written.items():
        if text:
            (folder / name).write_text(text, encoding="utf-8")
    return read_configuration([folder])


def rows(translation: Translation) -> list[tuple[str, str, str]]:
    """The type, host and port of each row."""
    return [(row.fields["type"], row.fields["hostname"], row.fields["port"]) for row in translation.rows]


def service(command: str, description: str = "x", host: str = "mail01") -> str:
    """A service definition."""
    return f"define service{{\nhost_name {host}\nservice_description {description}\ncheck_command {command}\n}}\n"


# ── Shinken ──


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("use imap", ["mail01.example.org"]),
        ("use linux,imap", ["mail01.example.org"]),  # a tag without a definition
        ("use mailserver", ["mail01.example.org"]),  # through another template
        ("use imap\nservice_excludes Imap", []),
        ("use imap\nservice_excludes r:^Im", []),
        ("use imap\nservice_includes Smtp", []),
        ("use linux", []),
        ("use imap\nregister 0", []),
    ],
)
def test_a_service_of_a_host_template_is_a_row_for_each_host_that_uses_it(
    host: str, expected: list[str], tmp_path: Path
) -> None:
    template = "define host{\nname mailserver\nuse imap\nregister 0\n}\n"
    translation = convert(
        tmp_path, PACK, template, f"define host{{\nhost_name mail01\naddress mail01.example.org\n{host}\n}}\n"
    )
    assert rows(translation) == [("imap", name, "993") for name in expected]
    assert [row.fields["interval"] for row in translation.rows] == ["3"] * len(expected)
    assert translation.counts.objects == 1
    assert translation.counts.errors == 0


@pytest.mark.parametrize(
    ("expression", "hosts"),
    [
        ("smtp", "ab"),
        ("smtp,imap", "abc"),
        ("smtp|imap", "abc"),
        ("smtp&imap", "b"),
        ("smtp & !imap", "a"),
        ("!imap&smtp", "a"),
        ("smtp,imap,!(smtp&imap)", "ac"),
        ("*,!smtp", "cd"),
    ],
)
def test_an_expression_selects_the_hosts_by_their_templates(expression: str, hosts: str, tmp_path: Path) -> None:
    templates = {"a": "smtp", "b": "smtp,imap", "c": "imap", "d": "web"}
    definitions = "".join(
        f"define host{{\nhost_name {name}.example.org\nuse {used}\n}}\n" for name, used in templates.items()
    )
    attached = service("check_smtp", host=expression).replace("}", "register 0\n}")
    assert [row[1][0] for row in rows(convert(tmp_path, definitions, attached))] == [*hosts]


@pytest.mark.parametrize("expression", ["(smtp", "smtp)", "smtp&", "smtp&&imap", "|", f"{'(' * 99}smtp{')' * 99}"])
def test_an_invalid_expression_is_an_error(expression: str, tmp_path: Path) -> None:
    attached = service("check_smtp", host=expression).replace("}", "register 0\n}")
    translation = convert(tmp_path, HOST, attached)
    assert (translation.counts.rows, translation.counts.errors) == (0, 1)
    assert "is not valid" in translation.skipped_objects[0].reason


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("host_name mail01\ncheck_command check_smtp", "no host in these files uses the template mail01"),
        ("hostgroup_name mx\ncheck_command check_smtp", "the server does not run it"),
        ("name mail-service\ncheck_command check_smtp", "a template"),
    ],
)
def test_an_unregistered_service_without_hosts_is_skipped_with_the_reason(
    text: str, reason: str, tmp_path: Path
) -> None:
    translation = convert(tmp_path, HOST, service("check_imap"), f"define service{{\nregister 0\n{text}\n}}\n")
    assert translation.counts == type(translation.counts)(rows=1, skipped=1, errors=0)
    assert reason in translation.skipped_objects[0].reason


def test_a_template_of_a_registered_service_is_no_object_of_its_own(tmp_path: Path) -> None:
    template = "define service{\nname mail\nregister 0\ncheck_command check_smtp\n}\n"
    user = "define service{\nuse mail\nhost_name mail01\nservice_description SMTP\n}\n"
    translation = convert(tmp_path, HOST, template, user)
    assert translation.counts.objects == 1
    assert rows(translation) == [("smtp", "mail01.example.org", "25")]


def test_a_service_that_is_repeated_for_each_entry_is_an_error(tmp_path: Path) -> None:
    host = HOST.replace("}", "_PORTS 25,587\n}")
    translation = convert(tmp_path, host, service("check_tcp!$KEY$").replace("}", "duplicate_foreach _PORTS\n}"))
    assert (translation.counts.rows, translation.counts.errors) == (0, 1)
    assert "_PORTS" in translation.skipped_objects[0].reason


def test_a_pack_that_the_main_file_does_not_list_is_skipped_with_the_reason(tmp_path: Path) -> None:
    translation = convert(tmp_path, HOST, service("check_smtp"), pack__cfg=PACK, nagios__cfg="cfg_file=mail.cfg\n")
    assert rows(translation) == [("smtp", "mail01.example.org", "25")]
    (item,) = translation.skipped_objects
    assert (item.origin, item.error) == ("pack.cfg line 12: service Imap", False)
    assert "does not list this file" in item.reason


def test_a_host_whose_own_check_tests_a_mail_port_is_a_row(tmp_path: Path) -> None:
    hosts = HOST.replace("}", "check_command check_smtp\n}") + HOST.replace("mail01", "web").replace(
        "}", "check_command check-host-alive\n}"
    )
    translation = convert(tmp_path, hosts, service("check_ping"))
    assert rows(translation) == [("smtp", "mail01.example.org", "25")]
    assert translation.counts.objects == 2


# ── plugins ──


@pytest.mark.parametrize(
    "name",
    ["check_imaps.py", "check_pop3s", "check_smtps.sh", "check_mail_server", "check_esmtp.pl", "check_Submission"],
)
def test_an_unsupported_plugin_with_a_name_of_mail_is_an_error(name: str) -> None:
    result = read_command_line(f"/usr/lib/nagios/plugins/{name} -H mx")
    assert isinstance(result, UnsupportedCommand)
    assert result.error
    assert name in result.reason


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("check_email_delivery -H mx", "sends a message and waits"),
        ("/x/check_email_delivery_epn.pl -H mx", "sends a message and waits"),
        ("check_mail_loop.py -H mx", "sends a message and waits"),
        ("check_smtp_send --hostname mx", "sends a message"),
        ("perl /x/check_imap_receive.pl -H mx", "reads a mailbox"),
        ("check_postfix_mailq -w 1", "queue"),
        ("check_exim_queue.sh", "queue"),
        ("check_snmp -H mx -o smtp", "SNMP"),
        ("check_ncpa.py -H mx", "agent"),
        ("check_ipmi_sensor -H mx", "does not test a mail port"),
        ("check_snmp_smtp.pl -H mx -p 25", "does not test a mail port"),
        ("check_temperature -H mx -w 25 -c 110", "not one of the plugins"),
        ("check_webmail -H mx", "not one of the plugins"),
        ("check_disk -w '1", "does not test a mail port"),
        ("sudo negate check_smtp -H mx", "inverted"),
    ],
)
def test_another_plugin_is_skipped_with_the_reason(line: str, reason: str) -> None:
    result = read_command_line(line)
    assert isinstance(result, UnsupportedCommand)
    assert not result.error
    assert reason in result.reason


@pytest.mark.parametrize(
    "line",
    [
        "bash -lc '/usr/lib/nagios/plugins/check_smtp -H mx'",
        "sudo -u nagios sh -c 'check_smtp -H mx'",
        "/usr/bin/perl /x/check_smtp.pl -H mx",
        "python3 check_smtp -H mx",
    ],
)
def test_the_plugin_behind_a_wrapper_is_read(line: str) -> None:
    result = read_command_line(line)
    assert isinstance(result, Probe)
    assert (result.type, result.host) == ("smtp", "mx")


@pytest.mark.parametrize(
    "line", ["python3 /opt/imap_probe.py mx", "check_port -H mx -p 993", "check_tls mx:465", "check_cert mx 993"]
)
def test_an_unknown_program_with_a_hint_of_mail_is_an_error(line: str) -> None:
    result = read_command_line(line)
    assert isinstance(result, UnsupportedCommand)
    assert result.error


# ── errors are only what may be mail ──


@pytest.mark.parametrize(
    ("command", "description", "is_error"),
    [
        ("check_smtp", "x", True),
        ("check_tcp!25", "x", True),
        ("check_tcp!8080", "x", False),
        ("check_http", "x", False),
        ("check_snmp!-o sysUpTime", "x", False),
        ("check_ipmi", "x", False),
        ("check_ipmi", "IMAP", False),
        ("check_probe", "IMAP", True),
        ("check_probe", "x", False),
        ("check_port!993", "x", True),
        ("check_temperature!25!110", "x", False),
        ("check_nrpe_smtp!25", "SMTP", False),
        ("check_nrpe!check_smtp", "SMTP", False),
    ],
)
@pytest.mark.parametrize(
    "problem", ["hostgroup_name nowhere", "host_name nowhere", "use missing", "host_name looped"], ids=lambda text: text
)
def test_a_service_that_cannot_be_resolved_is_an_error_only_if_it_may_test_mail(
    problem: str, command: str, description: str, is_error: bool, tmp_path: Path
) -> None:
    looped = "define host{\nname loop\nuse loop\nhost_name looped\n}\n"
    text = f"define service{{\n{problem}\nservice_description {description}\ncheck_command {command}\n}}\n"
    translation = convert(tmp_path, HOST, looped, text)
    assert translation.counts == type(translation.counts)(rows=0, skipped=not is_error, errors=is_error)


# ── what else is in a folder ──

PROSE = {
    "README__md": "# Nagios\n\nPut this into nagios.cfg:\n\n    cfg_dir=/etc/nagios/objects\n\nand restart.\n",
    "README": "See nagios.cfg:\ncfg_dir=/etc/nagios/objects\n",
    "NOTES__txt": f"This is how we add a host.\nCopy this block into the file:\n{HOST}\nThen reload the server.\n",
    "setup__sh": "#!/bin/sh\ncfg_dir=/etc/nagios/objects\n",
    "howto": f"Add this:\n```\n{HOST}{HOST}{HOST}```\n",
    "mail__cfg__bak": f"{HOST}{service('check_smtp!-p 2525', 'old')}",
    "nrpe__cfg": "include_dir=/etc/nagios/nrpe.d/\ncommand[check_smtp]=/usr/lib/check_smtp -H localhost\n",
    "nagios__cfg-sample": "cfg_file=/usr/local/nagios/etc/objects/localhost.cfg\n",
}


@pytest.mark.parametrize("name", PROSE)
def test_a_text_about_a_configuration_does_not_change_its_result(name: str, tmp_path: Path) -> None:
    translation = convert(tmp_path, HOST, service("check_smtp"), **{name: PROSE[name]})
    assert rows(translation) == [("smtp", "mail01.example.org", "25")]
    assert (translation.counts.skipped, translation.counts.errors) == (1, 0)  # it is named


def test_a_damaged_line_is_still_an_error(tmp_path: Path) -> None:
    translation = convert(tmp_path, "<<<<<<< HEAD\n", HOST, service("check_smtp"), "Our second mail server:\n")
    assert (translation.counts.rows, translation.counts.errors) == (1, 2)


def test_any_macro_may_be_set_in_a_resource_file(tmp_path: Path) -> None:
    translation = convert(tmp_path, HOST, service("check_smtp"), paths__cfg="$NAGIOSPLUGINSDIR$=/usr/lib\n$USER1$=x\n")
    assert (translation.counts.rows, translation.counts.errors) == (1, 0)
