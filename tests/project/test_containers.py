"""The Dockerfile and the Kubernetes sample are sound, as far as that can be tested without Docker."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bulkload import __version__
from tests.support.paths import ROOT, SAMPLES

FIELDS = {  # of the objects in batch/v1 and core/v1 that the sample uses; the API server ignores or rejects others
    "job": {"apiVersion", "kind", "metadata", "spec"},
    "cron": {
        *("schedule", "timeZone", "concurrencyPolicy", "startingDeadlineSeconds", "suspend", "jobTemplate"),
        *("successfulJobsHistoryLimit", "failedJobsHistoryLimit"),
    },
    "job spec": {"backoffLimit", "activeDeadlineSeconds", "template", "ttlSecondsAfterFinished"},
    "pod": {
        *("restartPolicy", "automountServiceAccountToken", "terminationGracePeriodSeconds", "securityContext"),
        *("initContainers", "containers", "volumes"),
    },
    "container": {"name", "image", "args", "workingDir", "env", "securityContext", "resources", "volumeMounts"},
}


def instructions() -> list[list[tuple[str, str]]]:
    """The instructions of the Dockerfile by stage."""
    text = re.sub(r"^#.*\n", "", (SAMPLES / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
    stages: list[list[tuple[str, str]]] = []
    for line in re.sub(r"\\\n\s*", "", text).splitlines():
        if line:
            name, _, value = line.partition(" ")
            if name == "FROM":
                stages.append([])
            stages[-1].append((name, value))
    return stages


def test_the_last_stage_has_no_build_tools_no_root_and_gets_signals() -> None:
    build, install, final = instructions()
    steps = dict(final)
    assert {value.split()[0] for stage in (build, install, final) for name, value in stage if name == "FROM"} == {
        "python:3.12-slim"
    }
    assert not any("pip" in value for name, value in final if name == "RUN")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", steps["USER"])
    assert json.loads(steps["ENTRYPOINT"]) == ["bulkload"]  # a list: no shell that would keep the signal
    assert steps["STOPSIGNAL"] == "SIGTERM"
    assert steps["WORKDIR"] == "/data"
    assert json.loads(steps["VOLUME"]) == ["/data"]
    labels = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]+)"', steps["LABEL"]))
    assert labels.keys() >= {"title", "description", "version"}
    assert labels["version"] == __version__
    assert [name for name, _ in final].index("USER") > [name for name, _ in final].index("RUN")


def test_no_stage_gets_secrets_or_more_than_the_package() -> None:
    copied = {
        name
        for stage in instructions()
        for instruction, value in stage
        if instruction == "COPY" and not value.startswith("--from")
        for name in value.split()[:-1]
    }
    assert copied == {"pyproject.toml", "README.md", "bulkload", "samples"}
    names = [name for stage in instructions() for name, value in stage if re.search("(?i)password|token", value)]
    assert names == []


@pytest.mark.skipif(not os.environ.get("BULKLOAD_ALL_TESTS"), reason="installs everything: set BULKLOAD_ALL_TESTS=1")
def test_the_commands_of_each_stage_work_outside_of_docker(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("bulkload", "samples"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for stage in instructions()[:2]:
        (command,) = [value for name, value in stage if name == "RUN"]
        for path in ("/wheels", "/opt/bulkload"):
            command = command.replace(path, f"{tmp_path}{path}")
        command = re.sub(r"^(pip|python) ", lambda m: f"{sys.executable} {'-m pip ' if m[1] == 'pip' else ''}", command)
        subprocess.run(["/bin/sh", "-c", command], cwd=tmp_path, check=True, timeout=600)
    program = tmp_path / "opt" / "bulkload" / "bin" / "bulkload"
    done = subprocess.run([program, "--version"], cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert __version__ in done.stdout


def test_the_cron_job_has_only_fields_of_the_api_and_those_that_limit_it() -> None:
    _, job = yaml.safe_load_all((SAMPLES / "kubernetes.yaml").read_text("utf-8"))
    cron: dict[str, Any] = job["spec"]
    job_spec = cron["jobTemplate"]["spec"]
    pod = job_spec["template"]["spec"]
    (container,) = pod["containers"]
    found = {"job": job, "cron": cron, "job spec": job_spec, "pod": pod, "container": container}
    assert {name: value.keys() - FIELDS[name] for name, value in found.items()} == {name: set() for name in FIELDS}
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    assert cron["timeZone"] == "Etc/UTC"
    assert 3600 <= job_spec["activeDeadlineSeconds"] < 24 * 3600
    security = pod["securityContext"]
    user = dict(instructions()[2])["USER"].partition(":")
    assert (str(security["runAsUser"]), str(security["fsGroup"])) == (user[0], user[2])
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["image"].endswith(f":{__version__}")


def test_the_init_container_in_the_comments_is_valid() -> None:
    text = (SAMPLES / "kubernetes.yaml").read_text("utf-8")
    block = re.findall(r"^          # (initContainers:\n(?:          # .*\n)+)", text, re.MULTILINE)
    parsed = yaml.safe_load(block[0].replace("          # ", ""))
    (container,) = parsed["initContainers"]
    assert container.keys() <= FIELDS["container"]
    assert container["volumeMounts"] == [{"name": "inbox", "mountPath": "/inbox"}]
