"""The summary of a visit, as one line and as a JSON object.

In: a `Visit`. Out: one line for cron mails and pings, or the object for `--json` and webhooks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice

from bulkload.files.printable import one_line
from bulkload.inbox.records import BadRow, FileOutcome, Visit
from bulkload.model import Status
from bulkload.reports.summary import run_json, status_counts

MAX_NAMED = 3  # files that the line names one by one
MAX_NAMED_TROUBLED = 10  # the same, if they need attention
SUBFOLDER_LABELS = {"done": "done", "failed": "failed", "working": "to be resumed", "waiting": "not taken"}


def summary_line(visit: Visit) -> str:
    """Summarise the visit in one line; files that need attention come first."""
    files = sorted(visit.files, key=lambda file: -file.exit_code)
    troubled = [file for file in files if file.exit_code or file.problem][:MAX_NAMED_TROUBLED]
    named = files if len(files) <= MAX_NAMED else troubled
    sentences = [visit.problem] if visit.problem else []
    if len(named) < len(files):
        sizes = Counter(str(file.subfolder) for file in files)
        groups = ", ".join(f"{sizes[name]:,} {label}" for name, label in SUBFOLDER_LABELS.items() if sizes[name])
        sentences.append(f"{len(files):,} files: {groups}; {_counts_text(rows_by_status(visit))}.")
    sentences += [_sentence(visit, file) for file in named]
    sentences += [
        f"{name} is open in a spreadsheet program (its lock file is {lock}), so it is left for the next call."
        for name, lock in islice(visit.locks.items(), MAX_NAMED)
    ]
    sentences += [f"{name} has been incomplete for too long." for name in visit.overdue[:MAX_NAMED]]
    if waiting := len({*visit.incomplete} - {*visit.overdue} - {*list(visit.locks)[:MAX_NAMED]}):
        sentences.append(f"{waiting:,} {'file is' if waiting == 1 else 'files are'} still being written.")
    return one_line(" ".join(sentences)) or "Nothing to do."


def visit_json(visit: Visit) -> dict[str, object]:
    """Build the JSON object: the whole visit, and each run as `run --json` prints it."""
    counts = rows_by_status(visit)
    return {
        "folder": str(visit.folder),
        "files": [_file_json(file) for file in visit.files],
        "still_being_written": list(visit.incomplete),
        "lock_files": dict(visit.locks),
        "counts": {status.value: n for status, n in counts.items()},
        "rows": sum(counts.values()),
        "seconds": round(visit.seconds, 3),
        "requests": {kind: visit.requests.get(kind, 0) for kind in ("sent", "throttled", "retried")},
        "problem": visit.problem,
        "summary": summary_line(visit),
        "exit_code": int(visit.exit_code),
    }


def rows_by_status(visit: Visit) -> dict[Status, int]:
    """Count the rows of all files by status, in the order of `Status`."""
    counts: Counter[Status] = Counter()
    for file in visit.files:
        if file.info is not None:
            counts.update(file.info.counts)
    return {status: counts[status] for status in Status if counts[status]}


def _sentence(visit: Visit, file: FileOutcome) -> str:
    if file.info is None:
        first, *more = file.problem.removeprefix(f"{file.name}: ").splitlines()
        location = f"; see {file.path.parent.relative_to(visit.folder)}" if more else ""
        verb = {"done": "", "failed": " failed"}.get(file.subfolder, " was not run")
        return f"{file.name}{verb}: {first.rstrip('.:')}{location}."
    rows = "; ".join([_counts_text(dict(status_counts(file.info))), *_dropped_text(file)])
    if file.subfolder == "working":
        sentence = f"{file.name} will be resumed: {rows}."
    elif file.subfolder == "failed":
        path = file.results if file.results is not None else file.path
        sentence = f"{file.name} needs attention: {rows}; see {path.relative_to(visit.folder)}."
    else:
        sentence = f"{file.name}: {rows}."
    return f"{sentence} {file.problem}"


def _dropped_text(file: FileOutcome) -> Iterator[str]:
    if file.dropped:
        noun = "monitor" if file.dropped == 1 else "monitors"
        deleted = f", {file.deleted:,} deleted" if file.deleted else ""
        yield f"{file.dropped:,} {noun} no longer in the file{deleted}"


def _counts_text(counts: dict[Status, int]) -> str:
    return ", ".join(f"{n:,} {_status_text(status, n)}" for status, n in counts.items()) or "no rows"


def _status_text(status: Status, count: int) -> str:
    if status is Status.EXISTS:
        return "already exists" if count == 1 else "already exist"
    return status.value.replace("_", " ")


def _file_json(file: FileOutcome) -> dict[str, object]:
    result: dict[str, object] = {"name": file.name, "fate": file.subfolder, "file": str(file.path)}
    if file.info is not None:
        results = [file.results] if file.results is not None else []
        result |= run_json(file.info, results=results, exit_code=file.exit_code)
        result |= {"gone": file.dropped, "deleted": file.deleted}
        result |= {"bad_rows": [_bad_row_json(row) for row in file.bad_rows]}
    return result | {"problem": file.problem, "exit_code": int(file.exit_code)}


def _bad_row_json(row: BadRow) -> dict[str, object]:
    errors = [{"column": column or None, "message": message} for column, message in row.errors]
    return {"row": row.row, "status": row.status.value, "errors": errors}
