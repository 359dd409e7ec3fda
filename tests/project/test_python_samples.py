"""The sample notebook runs in a real Jupyter kernel, and the sample DAG in real Airflow where that is installed."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import bulkload as bl
from bulkload.sandbox.server import Sandbox, running
from tests.support.paths import ROOT, SAMPLES
from tests.support.waiting import TIMEOUT

AIRFLOW = os.environ.get("BULKLOAD_AIRFLOW_PYTHON", "")  # a Python with Airflow and bulkload
RUN_TASK = """
import json, sys
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(sys.argv[1])
assert not bag.import_errors, bag.import_errors
(task,) = bag.dags["mail_monitors"].tasks
assert task.retries == 6
try:
    print(json.dumps(task.python_callable()))
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the samples, without any settings."""
    shutil.copytree(SAMPLES, tmp_path / "samples")
    for name in os.environ:
        if name.startswith(("ALERTSITE_", "BULKLOAD_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    return tmp_path / "samples"


def executed(folder: Path) -> Any:
    """The sample notebook after all of its cells were run by a kernel with this Python."""
    notebook = nbformat.read(folder / "notebook.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(notebook, timeout=TIMEOUT, resources={"metadata": {"path": str(folder)}})
    return client.execute()


def test_the_notebook_runs_in_a_kernel(folder: Path) -> None:
    cells = executed(folder).cells
    outputs = [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"] == []
    cards = [html for output in outputs if "<svg" in (html := output.get("data", {}).get("text/html", ""))]
    assert len(cards) == 4
    assert "created 40" in cards[0]
    assert "invalid 2" in cards[0]
    texts = [output["data"]["text/plain"] for output in outputs if "data" in output]
    assert "{'deleted': 2}" in texts


def test_the_notebook_is_committed_without_outputs() -> None:
    notebook = json.loads((SAMPLES / "notebook.ipynb").read_text("utf-8"))
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell for cell in code if cell["outputs"] or cell["execution_count"]] == []


def test_the_dag_is_python_and_uses_names_that_exist() -> None:
    tree = ast.parse((SAMPLES / "airflow_dag.py").read_text("utf-8"))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "bl"
    }
    assert used == {"run", "BulkloadError"}
    assert all(hasattr(bl, name) for name in used)


@pytest.mark.skipif(not AIRFLOW, reason="BULKLOAD_AIRFLOW_PYTHON is not set to a Python with Airflow")
def test_the_dag_runs_in_airflow(folder: Path) -> None:
    with running() as server:
        hosts = folder / "mail-hosts.csv"
        assert run_task(folder, server, hosts) == {"created": 42}
        assert run_task(folder, server, hosts) == {"exists": 42}
        assert (folder / "store" / "nightly-hosts-results.xlsx").is_file()
        hosts.write_text(hosts.read_text("utf-8").replace(",993,", ",99999,", 1), "utf-8")
        kind, message = run_task(folder, server, hosts)
        assert (kind, "port is 99999" in message) == ("AirflowFailException", True)
        with locked(folder / "store"):
            assert run_task(folder, server, hosts)[0] == "Locked"  # Airflow tries again
        assert len(server.monitors()) == 42


def locked(store: Path) -> Any:
    from bulkload.operations.pipeline import locked_store
    from bulkload.settings import Options

    return locked_store(Options(output=store))


def run_task(folder: Path, server: Sandbox, hosts: Path) -> Any:
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(folder),
        "AIRFLOW_HOME": str(folder / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "MAIL_MONITORS_STORE": str(folder / "store"),
        "MAIL_MONITORS_HOSTS": str(hosts),
        "ALERTSITE_BASE_URL": server.base_url,
        "ALERTSITE_USERNAME": server.options.user,
        "ALERTSITE_PASSWORD": server.options.password,
        "BULKLOAD_RATE": "unlimited",
    }
    done = subprocess.run(
        [AIRFLOW, "-c", RUN_TASK, str(folder / "airflow_dag.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])
