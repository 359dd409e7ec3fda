"""Gatus: endpoints, defaults, and configurations that are malicious or of other programs."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import read_documents
from bulkload.migration.rules import read_configuration
from bulkload.migration.tools import gatus
from bulkload.migration.tools.registry import recognise

SAMPLES = os.environ.get("BULKLOAD_MIGRATION_SAMPLES", "")


def read(folder: Path) -> list[Check | SkippedObject]:
    """Return the outcomes of all objects in a folder."""
    recognised = recognise(read_documents([folder]))
    assert recognised.reader.TITLE == "Gatus"
    return [*recognised.reader.translate(recognised.documents), *recognised.skipped_objects]


def read_endpoint(folder: Path, lines: str, *, key: str = "endpoints") -> Check | SkippedObject:
    """Return the outcome of one endpoint, written as lines of YAML."""
    body = "".join(f"    {line}\n" for line in lines.splitlines())
    (folder / "config.yaml").write_text(f'{key}:\n  - name: mx\n{body}    conditions: ["[CONNECTED] == true"]\n')
    (outcome,) = read(folder)
    return outcome


@pytest.mark.parametrize("key", ["endpoints", "services"])
def test_omitted_fields_have_the_defaults_of_gatus(key: str, tmp_path: Path) -> None:
    outcome = read_endpoint(tmp_path, "url: tcp://mx.example.com:25", key=key)
    assert isinstance(outcome, Check)
    assert (outcome.interval_seconds, outcome.timeout_seconds, outcome.enabled) == (60, 10, True)


@pytest.mark.parametrize(
    ("url", "mail_type", "host", "port", "tls"),
    [
        ("starttls://mx.example.com:587", "smtp", "mx.example.com", 587, "starttls"),
        ("tls://mx.example.com:993", None, "mx.example.com", 993, "implicit"),
        ("tcp://mx.example.com:143", None, "mx.example.com", 143, "unknown"),
        ("TCP://MX.example.com:143", None, "MX.example.com", 143, "unknown"),
    ],
)
def test_the_scheme_determines_protocol_and_tls(
    url: str, mail_type: str | None, host: str, port: int, tls: str, tmp_path: Path
) -> None:
    outcome = read_endpoint(tmp_path, f"url: {url}")
    assert isinstance(outcome, Check)
    assert (outcome.type, outcome.hostname, outcome.port, outcome.tls) == (mail_type, host, port, tls)


@pytest.mark.parametrize(
    "url", ["https://x.example.com", "icmp://x.example.com", "ssh://x.example.com:22", "udp://x:25"]
)
def test_other_protocols_are_skipped_with_their_name(url: str, tmp_path: Path) -> None:
    outcome = read_endpoint(tmp_path, f"url: {url}")
    assert isinstance(outcome, SkippedObject)
    assert not outcome.error
    assert url.partition(":")[0] in outcome.reason


@pytest.mark.parametrize("variable", ["${MX_HOST}", "$MX_HOST"])
@pytest.mark.parametrize(
    "lines",
    [
        "url: tcp://{}:25",
        "url: '{}'",
        "url: tcp://mx.example.com:{}",
        "url: tcp://mx.example.com:25\ninterval: '{}'",
        "url: tcp://mx.example.com:25\nclient:\n  timeout: '{}'",
    ],
)
def test_an_environment_variable_is_an_error_with_its_name(lines: str, variable: str, tmp_path: Path) -> None:
    outcome = read_endpoint(tmp_path, lines.replace("{}", variable))
    assert isinstance(outcome, SkippedObject)
    assert outcome.error
    assert "'MX_HOST'" in outcome.reason


def test_a_double_dollar_sign_is_a_literal_dollar_sign(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("endpoints:\n  - {name: $$5, url: 'tcp://mx.example.com:25', conditions: [x]}\n  ")
    (tmp_path / "d.yaml").write_text(
        "endpoints:\n  - name: $$5\n    url: tcp://mx.example.com:25\n    conditions: [x]\n"
    )
    names = {item.name for item in read(tmp_path) if isinstance(item, Check)}
    assert names == {"$5"}


@pytest.mark.parametrize("condition", ["[CONNECTED] == false", "[connected]==FALSE", "[CONNECTED] != true"])
def test_an_inverted_endpoint_is_skipped(condition: str, tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(
        f"endpoints:\n  - name: mx\n    url: tcp://mx.example.com:25\n    conditions:\n      - '{condition}'\n"
    )
    (outcome,) = read(tmp_path)
    assert isinstance(outcome, SkippedObject)
    assert "inverted" in outcome.reason


@pytest.mark.parametrize(
    "value", ["60", "1d", "soon", "-5m", "1h 30m", "[1]", "{a: 1}", "yes", "1e5s", "9" * 300 + "h"]
)
def test_an_invalid_duration_is_an_error_of_that_endpoint(value: str, tmp_path: Path) -> None:
    outcome = read_endpoint(tmp_path, f"url: tcp://mx.example.com:25\ninterval: {value}")
    assert isinstance(outcome, SkippedObject)
    assert outcome.error
    assert "interval" in outcome.reason


@pytest.mark.parametrize(("value", "enabled"), [("false", False), ("'no'", False), ("true", True), ("", True)])
def test_a_disabled_endpoint_stays_disabled(value: str, enabled: bool, tmp_path: Path) -> None:
    outcome = read_endpoint(tmp_path, f"url: tcp://mx.example.com:25\nenabled: {value}")
    assert isinstance(outcome, Check)
    assert outcome.enabled is enabled


@pytest.mark.parametrize(
    "text",
    [
        "services:\n  web:\n    image: nginx\n    ports: ['25:25']\n",
        "services:\n  - name: x\n",
        "scrape_configs: []\n",
        "endpoints: |\n  conditions: no list\n",
        "define host {\n  use conditions:\n}\n",
    ],
)
def test_other_text_is_not_recognised_as_gatus(text: str, tmp_path: Path) -> None:
    path = tmp_path / "other.yaml"
    path.write_text(text)
    (document,) = read_documents([path])
    assert not gatus.recognises(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("endpoints:\n  - conditions: [\n", "not valid YAML"),
        ("endpoints:\n{% for mx in hosts %}\n  - name: x\n    conditions: []\n{% endfor %}\n", "rendered"),
        ("endpoints:\n  - conditions: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        ("endpoints:\n  - conditions: " + "[" * 200 + "]" * 200, "levels deep"),
    ],
)
def test_a_malicious_or_incomplete_file_is_rejected_with_a_message(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        read(tmp_path)


def test_a_file_with_exponential_aliases_is_rejected(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    (tmp_path / "config.yaml").write_text("\n".join([*lines, "endpoints:", "  - conditions: *a8"]))
    with pytest.raises(InputError, match="expands"):
        read(tmp_path)


def test_every_entry_of_every_list_has_an_outcome(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(
        "endpoints: [null, 5, text, [], {}, {name: mx, url: 'tcp://mx.example.com:25', conditions: []}]\n"
        "external-endpoints: [{name: e, token: hunter2}, null]\nsuites: [{name: s, endpoints: []}]\n"
        "x:\n  - conditions: []\n"
    )
    items = read(tmp_path)
    assert len(items) == 9
    assert sum(isinstance(item, Check) for item in items) == 1
    assert "hunter2" not in repr(items)


YAML_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.dates()
    | st.binary(max_size=4)
    | st.sampled_from(["tcp://mx.example.com:25", "starttls://u:p@h:1", "1h", "$X", "[CONNECTED] == false", "0"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "url", "interval", "client", "timeout", "enabled", "conditions", "group", "dns"])
            | st.integers()
            | st.text(max_size=2),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@settings(max_examples=200)
@given(entries=st.lists(YAML_VALUES, max_size=4))
def test_every_entry_of_any_type_has_an_outcome(entries: list[object]) -> None:
    import yaml

    good = {"name": "mx", "url": "tcp://mx.example.com:25", "conditions": ["[CONNECTED] == true"]}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.yaml")
        path.write_text(yaml.safe_dump({"endpoints": [*entries, good]}, allow_unicode=True), encoding="utf-8")
        (document,) = read_documents([path])
        items = list(gatus.translate([document]))
    assert len({item.origin for item in items}) == len(entries) + 1
    assert isinstance(items[-1], Check)
    json.dumps([item.origin for item in items]).encode()


@pytest.mark.skipif(not SAMPLES, reason="BULKLOAD_MIGRATION_SAMPLES is not set to a folder of real files")
def test_the_real_sample_has_the_result_documented_in_its_readme() -> None:
    translation = read_configuration([Path(SAMPLES, "gatus")])
    (row,) = translation.rows
    fields = {"type": "smtp", "port": "587", "interval": "30", "timeout": "5"}
    assert {name: row.fields[name] for name in fields} == fields
    (skipped_object,) = translation.skipped_objects  # ldaps
    assert not skipped_object.error
