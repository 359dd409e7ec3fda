"""systemd, cron and Kubernetes accept the samples for unattended use, and cron runs its sample."""

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
PATIENCE = 300.0  # seconds; cron starts jobs at full minutes, and the machine may be busy
CRON = shutil.which("cron", path="/usr/sbin:/usr/bin:/sbin:/bin")

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def commands(sample: str) -> list[list[str]]:
    """The arguments with which a sample calls bulkload inbox."""
    text = re.sub(r"^\s*#.*$", "", (SAMPLES / sample).read_text("utf-8"), flags=re.MULTILINE)
    lines = [line for line in text.splitlines() if re.search(r"bulkload\"? inbox|args: \[inbox", line)]
    return [re.findall(r"[^\s\[\],\"]+", line.partition("inbox")[2]) for line in lines]


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units, with the path of the program on this machine."""
    paths = []
    for unit in sorted((SAMPLES / "systemd").iterdir()):
        text = unit.read_text("utf-8").replace(INSTALLED, str(PROGRAM))
        (tmp_path / unit.name).write_text(text, "utf-8")
        paths.append(str(tmp_path / unit.name))
    return paths


@needs_systemd
def test_systemd_accepts_the_units(units: list[str]) -> None:
    assert len(units) == 2
    ended = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@needs_systemd
def test_systemd_rejects_a_unit_with_a_mistake(units: list[str]) -> None:
    """Otherwise, the test above would prove nothing."""
    service = Path(units[0])
    service.write_text(service.read_text("utf-8").replace("DynamicUser=yes", "DynamicUser=perhaps"), "utf-8")
    ended = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    assert "perhaps" in ended.stderr


@needs_systemd
def test_the_service_is_hardened(units: list[str]) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", units[0]]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if "unrecognized option" in ended.stderr:
        pytest.skip("this systemd-analyze cannot judge a unit that is not loaded")
    assert ended.returncode == 0, ended.stdout


def test_the_service_has_its_own_user_and_reads_the_password_as_a_credential() -> None:
    text = (SAMPLES / "systemd" / "bulkload.service").read_text("utf-8")
    for line in ("DynamicUser=yes", "ProtectSystem=strict", "StateDirectory=bulkload"):
        assert f"\n{line}\n" in text
    assert re.search(r"^LoadCredential=alertsite-password:/", text, re.MULTILINE)
    assert not re.search(r"^Environment=.*PASSWORD", text, re.MULTILINE)


def test_the_kubernetes_job_protects_the_password_and_never_runs_twice_at_once() -> None:
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
    assert container["args"][:2] == ["inbox", "/inbox"]  # of the image's entry point
    assert pod["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["restartPolicy"] == "Never"


@pytest.mark.parametrize("sample", ["crontab", "systemd/bulkload.service", "kubernetes.yaml"])
def test_three_lines_install_each_sample_and_its_command_exists(sample: str, tmp_path: Path) -> None:
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
def test_the_sample_calls_the_program_where_it_installs_it(sample: str) -> None:
    text = (SAMPLES / sample).read_text("utf-8")
    installed = re.findall(r"venv (\S+) && sudo (\S+)/pip install \.$", text, re.MULTILINE)
    called = re.findall(r"^[^#\n]*?(/\S+) inbox", text, re.MULTILINE)
    assert (installed, called) == ([("/opt/bulkload", "/opt/bulkload/bin")], [INSTALLED])


@pytest.mark.skipif(not os.environ.get("BULKLOAD_ALL_TESTS"), reason="installs everything: set BULKLOAD_ALL_TESTS=1")
def test_the_image_copies_all_files_of_the_package(tmp_path: Path) -> None:
    source, target = tmp_path / "src", tmp_path / "installed"
    source.mkdir()
    for line in re.findall(r"^COPY (?!--from)(.+)$", (SAMPLES / "Dockerfile").read_text("utf-8"), re.MULTILINE):
        *names, _ = line.split()
        for name in names:
            path = SAMPLES.parent / name
            if path.is_dir():
                shutil.copytree(path, source / name, ignore=shutil.ignore_patterns("__pycache__", "README.md"))
            else:
                shutil.copy(path, source)
    install = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(target), str(source)]
    subprocess.run(install, check=True)
    copied = {path.relative_to(source) for path in (source / "bulkload").rglob("*")}
    assert copied <= {path.relative_to(target) for path in target.rglob("*")}


@contextmanager
def crontab_of_root(text: str) -> Iterator[None]:
    """Replace root's crontab by this text while the block runs."""
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
@pytest.mark.skipif(Path("/run/crond.pid").exists(), reason="cron already runs on this machine")
@pytest.mark.skipif(not os.environ.get("BULKLOAD_ALL_TESTS"), reason="takes up to a minute: set BULKLOAD_ALL_TESTS=1")
def test_a_real_cron_runs_the_crontab_line(tmp_path: Path) -> None:
    """The sample unchanged, except for the time of day, the home directory and the account."""
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
