"""The samples for unattended use are accepted, and really run, by the programs that they are for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from bulkload.cli.main import cli
from bulkload.sandbox.server import running
from tests.support.paths import SAMPLES

PROGRAM = Path(sys.executable).parent / "bulkload"
INSTALLED = "/opt/bulkload/bin/bulkload"  # where the samples put it
MOST_EXPOSED = 20  # tenths; systemd calls up to 2.0 "OK", and starts "MEDIUM" at 5.0
PATIENCE = 90.0  # seconds; cron starts its jobs at full minutes
CRON = shutil.which("cron", path="/usr/sbin:/usr/bin:/sbin:/bin")

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def commands(sample: str) -> list[list[str]]:
    """How a sample calls bulkload: the arguments behind the program's name."""
    text = re.sub(r"^\s*#.*$", "", (SAMPLES / sample).read_text("utf-8"), flags=re.MULTILINE)
    found = [line for line in text.splitlines() if re.search(r"bulkload\"?,? inbox", line)]
    return [re.findall(r"[^\s\[\],\"]+", line.partition("inbox")[2]) for line in found]


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units, with the program where it is on this machine."""
    found = []
    for unit in sorted((SAMPLES / "systemd").iterdir()):
        text = unit.read_text("utf-8").replace(INSTALLED, str(PROGRAM))
        (tmp_path / unit.name).write_text(text, "utf-8")
        found.append(str(tmp_path / unit.name))
    return found


@needs_systemd
def test_systemd_has_nothing_to_object_to_in_the_units(units: list[str]) -> None:
    assert len(units) == 2
    ended = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@needs_systemd
def test_systemd_objects_to_a_unit_with_a_mistake(units: list[str]) -> None:
    """Or the test above would show nothing."""
    service = Path(units[0])
    service.write_text(service.read_text("utf-8").replace("DynamicUser=yes", "DynamicUser=perhaps"), "utf-8")
    ended = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert "perhaps" in ended.stderr


@needs_systemd
def test_the_service_is_hardly_exposed(units: list[str]) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", units[0]]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in ended.stderr:
        pytest.skip("this systemd-analyze cannot judge a unit that is not loaded")
    assert ended.returncode == 0, ended.stdout


def test_the_service_is_what_it_promises() -> None:
    text = (SAMPLES / "systemd" / "bulkload.service").read_text("utf-8")
    for line in ("DynamicUser=yes", "ProtectSystem=strict", "StateDirectory=bulkload"):
        assert f"\n{line}\n" in text
    assert re.search(r"^LoadCredential=alertsite-password:/", text, re.MULTILINE)
    assert not re.search(r"^Environment=.*PASSWORD", text, re.MULTILINE)


def test_the_cron_job_keeps_the_password_a_secret_and_one_job_at_a_time() -> None:
    documents: list[dict[str, Any]] = list(yaml.safe_load_all((SAMPLES / "kubernetes.yaml").read_text("utf-8")))
    claim, job = documents
    assert (claim["kind"], job["kind"], job["spec"]["concurrencyPolicy"]) == (
        "PersistentVolumeClaim",
        "CronJob",
        "Forbid",
    )
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    mounts = {mount["mountPath"]: volumes[mount["name"]] for mount in container["volumeMounts"]}
    variables = {variable["name"]: variable for variable in container["env"]}
    secret = mounts[os.path.dirname(variables["ALERTSITE_PASSWORD_FILE"]["value"])]["secret"]  # noqa: PTH120
    assert secret["defaultMode"] == 0o400
    assert mounts["/inbox"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert container["args"][:3] == ["bulkload", "inbox", "/inbox"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["restartPolicy"] == "Never"


@pytest.mark.parametrize("sample", ["crontab", "systemd/bulkload.service", "kubernetes.yaml"])
def test_every_sample_is_installed_by_three_lines_and_calls_what_there_is(sample: str, tmp_path: Path) -> None:
    lines = (SAMPLES / sample).read_text("utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if "these three lines" in line) + 1
    steps = [line for line in lines[start : start + 4] if line.startswith("#   ")]
    assert len(steps) == 3
    for path in re.findall(r"samples/\S+?(?=[\s;)]|$)", " ".join(steps)):
        assert list(SAMPLES.parent.glob(path))
    (arguments,) = commands(sample)
    ended = CliRunner().invoke(cli, ["inbox", str(tmp_path), *arguments[1:], "--help"])
    assert ended.exit_code == 0


@pytest.mark.parametrize("sample", ["crontab", "systemd/bulkload.service"])
def test_the_program_is_called_where_the_sample_installs_it(sample: str) -> None:
    text = (SAMPLES / sample).read_text("utf-8")
    made = re.findall(r"venv (\S+) && sudo (\S+)/pip install \.$", text, re.MULTILINE)
    called = re.findall(r"^[^#\n]*?(/\S+) inbox", text, re.MULTILINE)
    assert (made, called) == ([("/opt/bulkload", "/opt/bulkload/bin")], [INSTALLED])


@pytest.mark.skipif(not os.environ.get("BULKLOAD_ALL_TESTS"), reason="installs everything: set BULKLOAD_ALL_TESTS=1")
def test_what_the_image_copies_is_enough_to_install(tmp_path: Path) -> None:
    source, where = tmp_path / "src", tmp_path / "installed"
    source.mkdir()
    for line in re.findall(r"^COPY (.+)$", (SAMPLES / "Dockerfile").read_text("utf-8"), re.MULTILINE):
        *names, _ = line.split()
        for name in names:
            path = SAMPLES.parent / name
            if path.is_dir():
                shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__", "README.md"))
            else:
                shutil.copy(path, source)
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(where), str(source)]
    subprocess.run(install, check=True)
    copied = {path.relative_to(source) for path in (source / "bulkload").rglob("*")}
    assert copied <= {path.relative_to(where) for path in where.rglob("*")}


@contextmanager
def crontab_of_root(text: str) -> Iterator[None]:
    """Root's crontab is this text for a while."""
    before = subprocess.run(["crontab", "-u", "root", "-l"], capture_output=True, text=True, check=False)
    subprocess.run(["crontab", "-u", "root", "-"], input=text, text=True, check=True)
    try:
        yield
    finally:
        if before.returncode == 0:
            subprocess.run(["crontab", "-u", "root", "-"], input=before.stdout, text=True, check=True)
        else:
            subprocess.run(["crontab", "-u", "root", "-r"], check=True)


@pytest.mark.skipif(CRON is None or shutil.which("crontab") is None, reason="cron is not installed")
@pytest.mark.skipif(os.geteuid() != 0, reason="cron can only be started by root")
@pytest.mark.skipif(Path("/run/crond.pid").exists(), reason="cron is at work on this machine already")
@pytest.mark.skipif(not os.environ.get("BULKLOAD_ALL_TESTS"), reason="takes up to a minute: set BULKLOAD_ALL_TESTS=1")
def test_a_real_cron_runs_the_crontab_line(tmp_path: Path) -> None:
    """The sample as it stands, but for the time of day, the home directory and the account's address."""
    (tmp_path / "monitors").mkdir()
    shutil.copy(SAMPLES / "mail-hosts.csv", tmp_path / "monitors")
    secret = tmp_path / ".alertsite-password"
    secret.touch(mode=0o600)
    secret.write_text("sandbox\n", "utf-8")
    text = (SAMPLES / "crontab").read_text("utf-8")
    with running() as sandbox:
        text = (
            text.replace(INSTALLED, str(PROGRAM))
            .replace("you@example.com", "sandbox@example.com")
            .replace("MAILTO=sandbox@example.com", 'MAILTO=""')
        )
        settings = f"HOME={tmp_path}\nALERTSITE_BASE_URL={sandbox.base_url}\nBULKLOAD_RATE=unlimited\n"
        text, changed = re.subn(r"^15 2 ", "* * ", settings + text, flags=re.MULTILINE)
        assert changed == 1
        assert CRON is not None
        with crontab_of_root(text), subprocess.Popen([CRON, "-f"]) as daemon:
            try:
                deadline = time.monotonic() + PATIENCE
                while not list(tmp_path.rglob("done/*/mail-hosts.csv")):
                    assert time.monotonic() < deadline, "cron did not run the line"
                    assert daemon.poll() is None, "cron ended"
                    time.sleep(0.2)
            finally:
                daemon.terminate()
                daemon.wait(PATIENCE)
                Path("/run/crond.pid").unlink(missing_ok=True)
        assert len(sandbox.monitors()) == 42
