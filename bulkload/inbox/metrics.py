"""Metrics of a visit for node_exporter's textfile collector.

In: a `Visit` and a path. Out: the file, complete or unchanged; every metric has the folder's name as a label. The time
of the last success is read from the previous file, so that calls without success keep it.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path

from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from bulkload.errors import ExitCode, StoreError
from bulkload.files.atomic import atomic_write
from bulkload.inbox.messages import SUBFOLDER_LABELS, rows_by_status
from bulkload.inbox.records import Visit
from bulkload.model import Status

PREFIX = "bulkload_inbox_"
LAST_SUCCESS = f"{PREFIX}last_success_timestamp_seconds"

log = logging.getLogger(__name__)


def write_metrics(path: Path, visit: Visit) -> None:
    """Write the metrics file; log a warning if it cannot be written."""
    if path.suffix != ".prom":
        log.warning("the metrics file %s does not end in .prom, so node_exporter does not read it", path)
    folder = os.path.basename(os.path.abspath(visit.folder))  # noqa: PTH100, PTH119 - `.` has no name
    last_success = visit.started + visit.seconds if visit.exit_code is ExitCode.DONE else _last_success(path, folder)
    content = generate_latest(_registry(visit, folder, last_success))
    try:
        with atomic_write(path) as draft:
            draft.write_bytes(content)
    except StoreError as error:
        log.warning("the metrics file %s", error)


def _registry(visit: Visit, folder: str, last_success: float | None) -> CollectorRegistry:
    registry = CollectorRegistry()

    def gauge(name: str, help_text: str, *labels: str) -> Gauge:
        # The help is the same for every folder: node_exporter reads all files together, and wants it so
        return Gauge(f"{PREFIX}{name}", help_text, ("folder", *labels), registry=registry)

    rows = gauge("rows", "Rows of the last call, by status.", "status")
    counts = rows_by_status(visit)
    for status in Status:
        if " " not in status:  # statuses with a space occur only in plans
            rows.labels(folder, status.value).set(counts.get(status, 0))
    files = gauge("files", "Files of the last call, by the subfolder they are in now.", "fate")
    for subfolder in SUBFOLDER_LABELS:
        files.labels(folder, subfolder).set(sum(file.subfolder == subfolder for file in visit.files))
    requests = gauge("requests", "Requests of the last call, by kind.", "kind")
    for kind in ("sent", "throttled", "retried"):
        requests.labels(folder, kind).set(visit.requests.get(kind, 0))
    gauge("gone_rows", "Monitors that are no longer in a recurring file.").labels(folder).set(
        sum(file.dropped for file in visit.files)
    )
    gauge("unsettled_files", "Files that are still being written.").labels(folder).set(len(visit.incomplete))
    gauge("exit_code", "Exit code of the last call.").labels(folder).set(visit.exit_code)
    gauge("duration_seconds", "Duration of the last call.").labels(folder).set(visit.seconds)
    gauge("last_run_timestamp_seconds", "Time when the last call ended.").labels(folder).set(
        visit.started + visit.seconds
    )
    if last_success is not None:
        gauge(LAST_SUCCESS.removeprefix(PREFIX), "Time when a call last ended with exit code 0.").labels(folder).set(
            last_success
        )
    return registry


def _last_success(path: Path, folder: str) -> float | None:
    try:
        for family in text_string_to_metric_families(path.read_text("utf-8")):
            for sample in family.samples:
                if sample.name == LAST_SUCCESS and sample.labels.get("folder", folder) == folder:
                    return float(sample.value)
    except Exception:  # there is no file yet, it cannot be read, or its content is something else
        log.debug("no time of the last success in %s", path)
    return None
