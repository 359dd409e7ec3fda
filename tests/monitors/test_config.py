"""A monitor's body is what the API documents, and its key says which monitors are the same."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bulkload.monitors.config import MonitorConfig
from bulkload.monitors.identity import differences, listed_key

SERVER: dict[str, Any] = {
    "type": "email-imap",
    "billing_plancode": "UBM - A/A",
    "name": "mx1",
    "hostname": "mx1.example.com",
}
ROUND_TRIP: dict[str, Any] = {
    "type": "email-round-trip",
    "billing_plancode": "UBM - A/A",
    "name": "loop",
    "smtp_hostname": "smtps://smtp.example.com:465",
    "pop3_hostname": "pop3s://pop.example.com:995",
    "email": "probe@example.com",
}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
ODD = JSON_VALUES | st.integers(min_value=10**5000, max_value=10**5001)


def server(**fields: Any) -> MonitorConfig:
    return MonitorConfig(**(SERVER | fields))


def test_the_body_holds_what_was_given_and_nothing_else() -> None:
    assert server().body() == {key: value for key, value in SERVER.items() if key != "type"}
    assert MonitorConfig(**ROUND_TRIP).body() == {key: value for key, value in ROUND_TRIP.items() if key != "type"}


def test_the_body_has_the_documented_shapes_and_json_types() -> None:
    body = server(
        port=993, enabled=False, locations=(10, 20), home_location=10, custom_properties=((28, 74),), api={"x": [1]}
    ).body()
    assert json.loads(json.dumps(body)) == {
        "billing_plancode": "UBM - A/A",
        "name": "mx1",
        "hostname": "mx1.example.com",
        "port": 993,
        "enabled": False,
        "locations": [{"id": 10}, {"id": 20}],
        "home_location": 10,
        "custom_properties": [{"id": 28, "value_id": 74}],
        "x": [1],
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"port": 0},
        {"port": 65536},
        {"port": "993"},
        {"port": True},
        {"enabled": 1},
        {"name": ""},
        {"name": "x" * 256},
        {"type": "imap"},
        {"mode": "primary"},
        {"hostname": None},
        {"email": "a@example.com"},
        {"colour": "red"},
        {"locations": (10,), "home_location": 20},
        {"locations": (10,), "monitor_location_count": 2},
    ],
)
def test_a_monitor_that_cannot_be_is_refused_by_the_model(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        server(**fields)


@pytest.mark.parametrize("field", ["smtp_hostname", "pop3_hostname", "email"])
def test_a_round_trip_needs_its_three_fields(field: str) -> None:
    with pytest.raises(ValidationError, match="round-trip monitors need it"):
        MonitorConfig(**(ROUND_TRIP | {field: None}))


@pytest.mark.parametrize(
    "item",
    [
        {"hostname": "mx1.example.com"},
        {"hostname": "MX1.Example.COM."},
        {"hostname": " mx1.example.com ", "name": " mx1\n"},
        {"port": 143},
        {"port": "143"},
        {"port": 143.0},
        {"port": ""},
        {"port": None},
        {"hostname": "mx1.example.com:143"},
        {"hostname": "imap://mx1.example.com"},
        {"id": 1, "interval": 5, "enabled": False},
    ],
)
def test_spellings_of_the_same_monitor_share_a_key(item: dict[str, object]) -> None:
    assert listed_key(SERVER | item) == server().key == server(port=143).key


@pytest.mark.parametrize(
    "item",
    [
        {"type": "email-pop"},
        {"name": "MX1"},
        {"name": "mx 1"},
        {"hostname": "mx2.example.com"},
        {"port": 993},
        {"port": "993"},
    ],
)
def test_type_name_host_and_port_tell_monitors_apart(item: dict[str, object]) -> None:
    assert listed_key(SERVER | item) != server().key


def test_a_host_in_unicode_and_in_a_labels_is_the_same() -> None:
    item = SERVER | {"hostname": "mail.MÜNCHEN.example"}
    assert listed_key(item) == server(hostname="mail.xn--mnchen-3ya.example").key


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"smtp_hostname": "smtps://SMTP.example.com"}, True),
        ({"email": "Probe@Example.com"}, True),
        ({"pop3_hostname": "pops://pop.example.com:995"}, True),
        ({"smtp_hostname": "smtp.example.com"}, False),
        ({"pop3_hostname": "pop3s://pop.example.com:1995"}, False),
        ({"email": "other@example.com"}, True),
    ],
)
def test_round_trips_are_the_same_by_their_servers_whatever_the_mailbox(changed: dict[str, str], same: bool) -> None:
    assert (listed_key(ROUND_TRIP | changed) == MonitorConfig(**ROUND_TRIP).key) is same


@pytest.mark.parametrize("kind", ["ping", "website", "", None, 7, ["email-imap"]])
def test_what_is_no_mail_monitor_has_no_key(kind: object) -> None:
    assert listed_key(SERVER | {"type": kind}) is None


@pytest.mark.parametrize(
    ("field", "new", "old"),
    [
        ("interval", 15, "15"),
        ("interval", 15, 15.0),
        ("enabled", True, "true"),
        ("enabled", False, 0),
        ("hostname", "mx1.example.com", "MX1.example.com."),
        ("port", 143, ""),
        ("name", "mx1", "mx1 "),
        ("mode", "Global Verify", "global verify"),
        ("note", "a\nb", "a\r\nb"),
        ("home_location", 10, "10"),
        ("locations", [{"id": 10}, {"id": 20}], [{"id": "20", "name": "Atlanta", "region": 1}, {"id": 10}]),
        ("custom_properties", [{"id": 28, "value_id": 74}], [{"id": 28, "value_id": "74", "name": "A"}, {"id": 1}]),
        ("some_list", ["1", {"a": 2}], [1, {"a": "2", "b": 3}]),
    ],
)
def test_what_the_api_spells_otherwise_is_no_difference(field: str, new: object, old: object) -> None:
    assert differences({field: new}, {"type": "email-imap", field: old}) == {}


@pytest.mark.parametrize(
    ("field", "new", "old"),
    [
        ("interval", 15, 5),
        ("interval", 15, ""),
        ("enabled", True, False),
        ("enabled", False, None),
        ("port", 993, ""),
        ("note", "x", None),
        ("name", "mx1", "mx2"),
        ("home_location", 10, 20),
        ("locations", [{"id": 10}], [{"id": 10}, {"id": 20}]),
        ("locations", [{"id": 10}], ""),
        ("custom_properties", [{"id": 28, "value_id": 74}], [{"id": 28, "value_id": 75}]),
        ("some_list", [1], [1, 2]),
        ("some_object", {}, []),
    ],
)
def test_what_is_otherwise_is_a_difference(field: str, new: object, old: object) -> None:
    assert differences({field: new}, {"type": "email-imap", field: old}) == {field: (old, new)}


def test_what_the_list_does_not_show_is_no_difference() -> None:
    assert differences(server(timeout=30).body(), {"type": "email-imap", "id": 1}) == {}


@given(st.dictionaries(st.sampled_from([*SERVER, *ROUND_TRIP, "port"]) | st.text(), ODD), st.booleans())
def test_no_listed_item_whatever_raises(item: dict[str, Any], is_mail: bool) -> None:
    item = item | {"type": "email-round-trip"} if is_mail else item
    key = listed_key(item)
    assert key is None or isinstance(key, str)
    asked = {field: item.get(field, 1) for field in ("port", "locations", "custom_properties", "hostname", "note")}
    assert set(differences(asked, item)) <= set(asked)
    assert set(differences(server(locations=(1,)).body(), item)) <= set(item)


@given(
    st.dictionaries(
        st.sampled_from(["locations", "custom_properties", "enabled", "interval", "note", "mode", "x"]), JSON_VALUES
    )
)
def test_a_monitor_as_it_was_sent_has_no_differences_to_itself(body: dict[str, object]) -> None:
    body = json.loads(json.dumps(body).replace("NaN", "1"))
    assert differences(body, body | {"type": "email-imap"}) == {}
