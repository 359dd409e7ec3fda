"""Configurations that their tool reads as YAML are read the same if they are written as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import yaml

from bulkload.errors import InputError
from bulkload.migration.checks import Check, SkippedObject
from bulkload.migration.documents import read_documents
from bulkload.migration.tools.registry import recognise
from tests.support.migration_golden import FIXTURES
from tests.support.migration_objects import read_folder

YAML_FIXTURES = [FIXTURES / "gatus" / "folder", *sorted((FIXTURES / "prometheus").glob("*/"))]
GATUS = {"endpoints": [{"name": "mx", "url": "starttls://mx1.example.com:587", "conditions": ["[CONNECTED] == true"]}]}
JOB = {
    "job_name": "mail",
    "metrics_path": "/probe",
    "params": {"module": ["smtp_starttls"]},
    "static_configs": [{"targets": ["mx1.example.com:587"]}],
}
MODULE = {"prober": "tcp", "tcp": {"query_response": [{"expect": "^220"}, {"starttls": True}]}}
PROBE = {
    "kind": "Probe",
    "metadata": {"name": "mail"},
    "spec": {"module": "smtp", "targets": {"staticConfig": {"static": ["mx1.example.com:587"]}}},
}


def tool_of(folder: Path) -> str:
    return recognise(read_documents([folder])).reader.NAME


def as_json(source: Path, folder: Path) -> Path:
    """Write the YAML files of a folder as JSON, under the same names, since other files refer to them."""
    for path in filter(Path.is_file, source.rglob("*")):
        documents = list(yaml.safe_load_all(path.read_text("utf-8")))
        copy = folder / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_text(json.dumps(documents[0] if len(documents) == 1 else documents, indent=1), "utf-8")
    return folder


@pytest.mark.parametrize("case", [case for case in YAML_FIXTURES if case.is_dir()], ids=lambda case: case.name)
def test_json_gives_the_same_checks_as_yaml(case: Path, tmp_path: Path) -> None:
    copy = as_json(case, tmp_path)
    assert tool_of(copy) == case.parent.name
    assert read_folder(copy) == read_folder(case)


@pytest.mark.parametrize(
    ("tool", "files"),
    [
        ("gatus", [GATUS]),
        ("gatus", [{"services": GATUS["endpoints"], "metrics": True}]),
        ("prometheus", [{"global": {"scrape_interval": "30s"}, "scrape_configs": [JOB]}]),
        ("prometheus", [{"scrape_configs": [JOB]}, {"modules": {"smtp_starttls": MODULE}}]),
        ("prometheus", [PROBE]),
        ("prometheus", [{"kind": "List", "items": [PROBE]}]),
        ("prometheus", [{"kind": "ProbeList", "items": [PROBE], "metadata": {"resourceVersion": "7"}}]),
    ],
)
@pytest.mark.parametrize(
    "write",
    [
        json.dumps,
        partial(json.dumps, indent=2),
        yaml.safe_dump,
        lambda content: f"# comment\n{yaml.safe_dump(content, default_flow_style=True)}",
    ],
    ids=["JSON", "indented JSON", "YAML", "YAML in braces"],
)
def test_every_way_of_writing_it_gives_the_same_check(
    tool: str, files: list[object], write: Callable[[object], str], tmp_path: Path
) -> None:
    for number, content in enumerate(files):
        (tmp_path / f"{number}.yaml").write_text(write(content), "utf-8")
    assert tool_of(tmp_path) == tool
    (check,) = read_folder(tmp_path)
    assert isinstance(check, Check)
    assert (check.type, check.hostname, check.port) == ("smtp", "mx1.example.com", 587)


def test_resources_of_a_cluster_that_continue_are_not_the_whole_list(tmp_path: Path) -> None:
    listing = {"kind": "List", "items": [PROBE], "metadata": {"continue": "eyJ2", "remainingItemCount": 4}}
    (tmp_path / "probes.json").write_text(json.dumps(listing), "utf-8")
    (rest,) = (item for item in read_folder(tmp_path) if isinstance(item, SkippedObject))
    assert "(1 of 5 resources), so 4 are missing" in rest.reason
    assert rest.is_rest


@pytest.mark.parametrize(
    "text", ["[main]\nendpoints = conditions\n", "{scrape_configs", "[conditions, [endpoints]]\n", '{"endpoints": []}']
)
def test_other_text_in_brackets_is_not_recognised(text: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(text, "utf-8")
    with pytest.raises(InputError, match="x is not a supported configuration"):
        tool_of(tmp_path)
