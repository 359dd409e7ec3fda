"""Single values of other tools are parsed or rejected, never guessed."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.migration.parsing import UnreadableValue, as_address, as_bool, as_labels, as_port, as_seconds, as_text
from tests.support.migration_objects import SECRET


@pytest.mark.parametrize(
    ("text", "host", "port", "mail_type", "tls", "login"),
    [
        ("mx.example.com", "mx.example.com", None, None, "unknown", False),
        (" mx.example.com:587 ", "mx.example.com", 587, None, "unknown", False),
        ("https://mx.example.com/status?x=1", "mx.example.com", None, None, "unknown", False),
        ("smtp://mx.example.com", "mx.example.com", None, "smtp", "unknown", False),
        ("IMAPS://mx.example.com", "mx.example.com", 993, "imap", "implicit", False),
        ("pop3s://mx.example.com:9950/", "mx.example.com", 9950, "pop", "implicit", False),
        ("tls://mx.example.com:993", "mx.example.com", 993, None, "implicit", False),
        ("smtp://user:hunter2@mx.example.com:25", "mx.example.com", 25, "smtp", "unknown", True),
        ("user:hunter2@mx.example.com", "mx.example.com", None, None, "unknown", True),
        ("postmaster@example.com", "postmaster@example.com", None, None, "unknown", False),
        ("[2001:db8::1]:25", "2001:db8::1", 25, None, "unknown", False),
        ("2001:db8::1", "2001:db8::1", None, None, "unknown", False),
        ("", "", None, None, "unknown", False),
    ],
)
def test_addresses_are_split_into_parts(
    text: str, host: str, port: int | None, mail_type: str | None, tls: str, login: bool
) -> None:
    address = as_address(text)
    parts = (address.host, address.port, address.type, address.tls, address.has_login)
    assert parts == (host, port, mail_type, tls, login)


@given(
    scheme=st.sampled_from(["smtp", "imaps", "tcp", "https", ""]),
    user=st.text("abc", max_size=3),
    tail=st.sampled_from(["", ":25", ":no", "/path", ":99999", "/@x"]),
)
def test_a_password_in_an_address_is_not_in_the_host_or_the_message(scheme: str, user: str, tail: str) -> None:
    address = f"{scheme}://{user}:{SECRET}@mx.example.com{tail}" if scheme else f"{user}:{SECRET}@mx.example.com{tail}"
    try:
        output = repr(as_address(address))
    except UnreadableValue as error:
        output = str(error)
    assert SECRET not in output


@pytest.mark.parametrize("value", ["1_0", "٢٥", "0x19", "1e2", "nan", "Infinity", "25.5", "65536", "0", 0, True, [25]])
def test_an_invalid_port_is_rejected(value: object) -> None:
    with pytest.raises(UnreadableValue):
        as_port(value)


@pytest.mark.parametrize(
    ("value", "port"), [(25, 25), ("25", 25), (25.0, 25), (" 993 ", 993), ("", None), (None, None)]
)
def test_a_port_may_be_a_number_or_text(value: object, port: int | None) -> None:
    assert as_port(value) == port


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2))
def test_values_of_any_type_are_parsed_or_rejected(value: object) -> None:
    for parse in (
        lambda: as_text(value, "name"),
        lambda: as_port(value),
        lambda: as_seconds(value, "interval", unit=60),
        lambda: as_bool(value, "paused"),
        lambda: as_labels(value),
        lambda: as_address(value),
    ):
        with contextlib.suppress(UnreadableValue):
            parse()


@pytest.mark.parametrize(
    ("value", "labels"),
    [
        (["mail", "eu", "mail"], ("mail", "eu")),
        ([{"name": "tier", "value": "1"}, {"name": "mail", "value": ""}], ("tier=1", "mail")),
        ("mail, eu,,", ("mail", "eu")),
        ({"tier": 1}, ("tier=1",)),
        ([None, 5, [], {"x": 1}, True], ("5",)),
        (7, ()),
    ],
)
def test_tags_of_any_type_become_labels(value: object, labels: tuple[str, ...]) -> None:
    assert as_labels(value) == labels
