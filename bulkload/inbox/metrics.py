"""Numbers of a visit for node_exporter's textfile collector.

In: a `Visit` and a file. Out: the file, whole or as it was. When the last success was is taken from the file itself, so
that it survives nights without one.
"""

from __future__ import annotations

import logging
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, write_to_textfile
from prometheus_client.parser import text_string_to_metric_families

from bulkload.errors import ExitCode
from bulkload.inbox.messages import counts
from bulkload.inbox.records import Visit
from bulkload.model import Status

LAST_SUCCESS = "bulkload_inbox_last_success_timestamp_seconds"

log = logging.getLogger(__name__)


def write_metrics(path: Path, visit: Visit) -> None:
    """Write the file; if that is not possible, a warning has to do."""
    if path.suffix != ".prom":
        log.warning("the metrics file %s does not end in .prom; node_exporter reads no other", path)
    try:
        succeeded = visit.started + visit.seconds if visit.exit_code is ExitCode.DONE else _last_success(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_to_textfile(str(path), _registry(visit, succeeded))
    except OSError as error:
        log.warning("the metrics file %s cannot be written: %s", path, error.strerror)


def _registry(visit: Visit, succeeded: float | None) -> CollectorRegistry:
    registry = CollectorRegistry()

    def gauge(name: str, help_text: str, *labels: str) -> Gauge:
        return Gauge(f"bulkload_inbox_{name}", help_text, labels, registry=registry)

    rows = gauge("rows", "Rows of the last call, by status.", "status")
    found = counts(visit)
    for status in Status:
        if " " not in status:  # those with a space are of plans
            rows.labels(status.value).set(found.get(status, 0))
    files = gauge("files", "Files of the last call, by what became of them.", "fate")
    for fate in ("done", "failed", "working"):
        files.labels(fate).set(sum(file.place_name == fate for file in visit.files))
    requests = gauge("requests", "Requests of the last call, by kind.", "kind")
    for kind in ("sent", "throttled", "retried"):
        requests.labels(kind).set(visit.requests.get(kind, 0))
    gauge("gone_rows", "Monitors that are no longer in their files.").set(sum(file.dropped for file in visit.files))
    gauge("unsettled_files", "Files that are still being written.").set(len(visit.unsettled))
    gauge("exit_code", "Exit code of the last call.").set(visit.exit_code)
    gauge("duration_seconds", "How long the last call took.").set(visit.seconds)
    gauge("last_run_timestamp_seconds", "When the last call ended.").set(visit.started + visit.seconds)
    if succeeded is not None:
        Gauge(LAST_SUCCESS, "When a call last ended well.", registry=registry).set(succeeded)
    return registry


def _last_success(path: Path) -> float | None:
    try:
        for family in text_string_to_metric_families(path.read_text("utf-8")):
            for sample in family.samples:
                if sample.name == LAST_SUCCESS:
                    return float(sample.value)
    except (FileNotFoundError, ValueError):  # none yet, or not a metrics file
        pass
    return None
