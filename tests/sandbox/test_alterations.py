"""Each way to show monitors changes what the API answers, and nothing of what is stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.sandbox import Faults, Rule, SandboxOptions, wire
from bulkload.sandbox.alterations import DISPLAY_RULES, parse, shown_by, written
from tests.sandbox.test_command import served
from tests.support.command_line import CommandLine, imap
from tests.support.sandbox_client import IMAP, ROUND_TRIP, SandboxClient, run_sandbox

LONG = "ä" * 60
SHOWN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # way: (fields of an IMAP monitor as sent, the same as shown; ... stands for a missing key)
    "blanks": ({"name": "  a\t b\u00a0 c\n"}, {"name": "a b c"}),
    "cut": ({"name": LONG}, {"name": LONG[:50]}),
    "cut=3": ({"name": "a𝒳cd"}, {"name": "a𝒳c"}),
    "cut-bytes": ({"name": LONG}, {"name": LONG[:25]}),
    "cut-bytes=5": ({"name": "ab𝒳"}, {"name": "ab"}),
    "escapes": ({"name": "a&b <c> \"d\" 'e'"}, {"name": "a&amp;b &lt;c&gt; &quot;d&quot; &#x27;e&#x27;"}),
    "escapes-twice": ({"name": "a&b"}, {"name": "a&amp;amp;b"}),
    "upper-names": ({"name": "Mail straße"}, {"name": "MAIL STRASSE"}),
    "lower-names": ({"name": "MX1 Ä"}, {"name": "mx1 ä"}),
    "no-names": ({"name": "mx1"}, {"name": None}),
    "no-hosts": ({}, {"hostname": None}),
    "question-marks": ({"name": "é–𝒳e"}, {"name": "???e"}),
    "ascii-only": ({"name": "é–𝒳e"}, {"name": "e"}),
    "bmp-only": ({"name": "é–𝒳e"}, {"name": "é–?e"}),
    "decomposed": ({"name": "é"}, {"name": "e\u0301"}),
    "composed": ({"name": "e\u0301"}, {"name": "é"}),
    "compatible": ({"name": "ﬁx\u00a0①"}, {"name": "fix 1"}),
    "no-ports": ({"port": 993}, {"port": ...}),
    "empty-ports": ({"port": 993}, {"port": ""}),
    "null-ports": ({"port": 993}, {"port": None}),
    "default-ports": ({}, {"port": 143}),
    "number-texts": ({"port": 993}, {"id": "100001", "port": "993", "interval": "15", "enabled": True, "sla_id": None}),
    "upper-types": ({}, {"type": "EMAIL-IMAP"}),
    "short-types": ({}, {"type": "imap"}),
    "upper-hosts": ({}, {"hostname": "MX1.EXAMPLE.COM"}),
    "dotted-hosts": ({}, {"hostname": "mx1.example.com."}),
    "host-ports": ({"port": 993}, {"hostname": "mx1.example.com:993", "port": 993}),
}
COMBINED = [
    # ways, a name as sent, the same as shown
    (("cut=5", "escapes"), "a&bcdef", "a&amp;bcd"),
    (("escapes", "cut=5"), "a&bcdef", "a&amp"),
    (("decomposed", "ascii-only"), "é", "e"),
    (("ascii-only", "decomposed"), "é", ""),
    (("cut=3", "blanks"), " a b", "a"),
    (("no-names", "upper-names"), "a", None),
]


async def read(client: SandboxClient, query: str = "") -> dict[str, Any]:
    """The first monitor, which has to look the same in the list and alone."""
    status, listed = await client.request("GET", f"/monitors{query}")
    assert status == 200
    status, alone = await client.request("GET", f"/monitors/100001{query}")
    assert status == 200
    assert listed["results"][0] == alone
    shown: dict[str, Any] = alone
    return shown


def test_every_way_is_tried_in_this_file() -> None:
    assert {way.partition("=")[0] for way in SHOWN} == set(DISPLAY_RULES)


@pytest.mark.parametrize("way", SHOWN)
async def test_a_way_changes_what_is_read_and_nothing_that_is_stored(way: str) -> None:
    sent, shown = SHOWN[way]
    async with run_sandbox() as client:
        assert (await client.create(**sent))[0] == 200
        plain = await read(client)
        client.sandbox.set_faults(Faults(shows=(way,)))
        seen = await read(client)
        assert {key: seen.get(key, ...) for key in shown} == shown
        if way != "number-texts":
            assert {key: value for key, value in seen.items() if key not in shown} == {
                key: value for key, value in plain.items() if key not in shown
            }
        assert client.sandbox.monitors() == await client.control("GET", "monitors") == [plain]
        client.sandbox.set_faults(Faults())
        assert await read(client) == plain


@pytest.mark.parametrize(("ways", "sent", "shown"), COMBINED)
async def test_ways_apply_in_the_order_given(ways: tuple[str, ...], sent: str, shown: str | None) -> None:
    async with run_sandbox() as client:
        await client.create(sent)
        client.sandbox.set_faults(Faults(shows=ways))
        assert (await read(client))["name"] == shown


@pytest.mark.parametrize(
    ("way", "shown"),
    [
        ("no-hosts", (None, None)),
        ("upper-hosts", ("smtps://SMTP.EXAMPLE.COM:465", "pop3s://MAIL.EXAMPLE.COM:995")),
        ("dotted-hosts", ("smtps://smtp.example.com.:465", "pop3s://mail.example.com.:995")),
        *(
            (way, (ROUND_TRIP["smtp_hostname"], ROUND_TRIP["pop3_hostname"]))
            for way in DISPLAY_RULES
            if way.endswith("-ports")
        ),
    ],
)
async def test_a_round_trip_has_two_hosts_and_no_port(way: str, shown: tuple[str | None, str | None]) -> None:
    async with run_sandbox() as client:
        await client.request("POST", "/monitors/email-round-trip", ROUND_TRIP)
        client.sandbox.set_faults(Faults(shows=(way,)))
        seen = await read(client)
        assert (seen["smtp_hostname"], seen["pop3_hostname"]) == shown
        assert not {"port", "hostname"} & set(seen)


@pytest.mark.parametrize(("kind", "port"), [("email-imap", 143), ("email-pop", 110), ("email-smtp", 25)])
async def test_an_unset_port_is_shown_as_the_usual_one_of_the_type(kind: str, port: int) -> None:
    async with run_sandbox() as client:
        await client.request("POST", f"/monitors/{kind}", IMAP)
        await client.request("POST", f"/monitors/{kind}", {**IMAP, "port": 7})
        for ways in (("default-ports",), ("upper-types", "null-ports", "default-ports"), ("no-ports", "default-ports")):
            client.sandbox.set_faults(Faults(shows=ways))
            assert (await read(client))["port"] == port
        client.sandbox.set_faults(Faults(shows=("default-ports",)))
        assert (await client.request("GET", "/monitors/100002"))[1]["port"] == 7


@pytest.mark.parametrize(
    ("ways", "host", "shown"),
    [
        (("dotted-hosts",), "192.0.2.1", "192.0.2.1"),
        (("dotted-hosts",), "mx1.example.com.", "mx1.example.com."),
        (("upper-hosts",), "2001:db8::1", "2001:DB8::1"),
        (("host-ports",), "2001:db8::1", "[2001:db8::1]:993"),
        (("host-ports", "dotted-hosts"), "mx1.example.com", "mx1.example.com.:993"),
        (("no-ports", "host-ports"), "mx1.example.com", "mx1.example.com"),
        (("no-hosts", "host-ports", "upper-hosts"), "mx1.example.com", None),
    ],
)
def test_hosts_stay_hosts(ways: tuple[str, ...], host: str, shown: str | None) -> None:
    show = shown_by(ways)
    assert show is not None
    assert show({"hostname": host, "port": 993})["hostname"] == shown


async def test_the_type_of_the_filter_is_the_stored_one_and_select_picks_of_what_is_shown() -> None:
    async with run_sandbox(faults=Faults(shows=("short-types", "no-ports", "upper-names"))) as client:
        await client.create("mx1")
        _, found = await client.request("GET", "/monitors?type=email-imap")
        assert [monitor["type"] for monitor in found["results"]] == ["imap"]
        assert (await client.request("GET", "/monitors?type=imap"))[1]["results"] == []
        assert await read(client, "?select=id,name,port,type") == {"id": 100001, "name": "MX1", "type": "imap"}


async def test_pages_and_lists_in_pieces_are_shown_so_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "STREAMED_FROM", 2)
    async with run_sandbox(SandboxOptions(page_size=4), faults=Faults(shows=("upper-names",))) as client:
        for name in "abcdef":
            await client.create(name)
        assert await client.list_names() == ["A", "B", "C", "D"]
        _, answer = await client.request("GET", "/monitors?offset=4")
        assert [monitor["name"] for monitor in answer["results"]] == ["E", "F"]


async def test_a_false_list_is_shown_so_too_and_an_edit_goes_by_what_is_stored() -> None:
    faults = Faults(shows=("upper-names", "empty-ports"), rules=(Rule(fault="list-strings"),))
    async with run_sandbox(faults=faults) as client:
        await client.create("mx1", port=993)
        _, answer = await client.request("GET", "/monitors")
        assert [(monitor["id"], monitor["name"]) for monitor in answer["results"]] == [("100001", "MX1")]
        await client.request("PATCH", "/monitors/email-imap/100001", {"timeout": 45})
        stored = client.sandbox.monitors()[0]
        assert (stored["name"], stored["port"], stored["timeout"]) == ("mx1", 993, 45)


async def test_ways_can_be_changed_through_the_control_endpoint() -> None:
    faults = Faults(shows=("cut=2", "lower-names"))
    async with run_sandbox() as client:
        await client.create("MX1")
        await client.control("PUT", "faults", data=faults.to_json())
        assert Faults.from_json(json.dumps(await client.control("GET", "faults"))) == faults == client.sandbox.faults
        assert (await read(client))["name"] == "mx"
        refused = await client.control("PUT", "faults", json={"shows": ["sideways"]})
        assert "'sideways'" in refused["error"]
        assert "dotted-hosts" in refused["error"]
        assert client.sandbox.faults == faults


@pytest.mark.parametrize("way", ["", "sideways", "cut=", "cut=0", "cut=x", "cut=-1", "blanks=3", "cut 50", "CUT"])
def test_a_way_that_cannot_be_is_refused_in_one_sentence(way: str) -> None:
    with pytest.raises(ValueError, match=r"^Unknown display rule [^\n]+ cut=N, [^\n]+\.$"):
        Faults(shows=(way,))


@given(
    name=st.text(st.characters(codec=None)) | st.none() | st.integers(),
    host=st.text(st.characters(codec=None)) | st.none(),
    port=st.none() | st.just("") | st.integers(1, 65535),
    ways=st.lists(st.sampled_from([*DISPLAY_RULES, "cut=1", "cut-bytes=4"])),
)
def test_whatever_is_stored_can_be_shown_in_any_ways(name: object, host: object, port: object, ways: list[str]) -> None:
    """Lone surrogates too, which no UTF-8 can hold."""
    fields = {"id": 1, "name": name, "hostname": host, "port": port, "type": "email-imap"}
    before = dict(fields)
    show = shown_by(ways)
    assert (show is None) == (not ways)
    if show:
        assert json.loads(json.dumps(show(fields)))["type"]
    assert fields == before


def test_no_character_is_halved() -> None:
    way, _ = parse("cut-bytes")
    for most, left in ((1, "a"), (2, "a"), (3, "aé"), (5, "aé"), (6, "aé\ud800"), (9, "aé\ud800"), (10, "aé\ud800𝒳")):
        assert way.show({"name": "aé\ud800𝒳"}, most) == {"name": left}


def test_the_command_takes_ways_and_its_help_lists_them(cli: CommandLine) -> None:
    lines = [line.strip() for line in cli("sandbox", "--help").stdout.splitlines()]
    assert all(f"{written(name):<17} {way.about}" in lines for name, way in DISPLAY_RULES.items())
    result = cli("sandbox", "--show", "sideways")
    assert (result.exit_code, "sideways" in result.stderr) == (2, True)
    with served(cli, "--show", "cut=4", "--show", "upper-names"):
        assert cli("run", cli.write_csv("a.csv", [imap("abcdef")]), "--json").json["counts"] == {"created": 1}
        cli("export", "out.csv")
        assert "ABCD" in (cli.folder / "out.csv").read_text("utf-8-sig")
