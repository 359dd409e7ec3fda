"""The summary of a visit, as one line and as a JSON object.

In: a `Visit`. Out: one line for a mail from cron, or the object that `--json` prints and a webhook gets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bulkload.files.printable import one_line
from bulkload.inbox.records import FileOutcome, Visit
from bulkload.model import Status
from bulkload.reports.summary import run_json, status_counts

MOST_NAMED = 3  # files that the line names one by one


def line(visit: Visit) -> str:
    """Say in one line what happened to the files; what needs a person comes first."""
    files = sorted(visit.files, key=lambda file: -file.exit_code)
    named = files if len(files) <= MOST_NAMED else [file for file in files if file.exit_code][:MOST_NAMED]
    sentences = [visit.problem] if visit.problem else []
    if len(named) < len(files):
        places = Counter(str(file.place_name) for file in files)
        groups = ", ".join(f"{places[place]:,} {words}" for place, words in _PLACES.items() if places[place])
        sentences.append(f"{len(files):,} files: {groups}; {_counts(dict(counts(visit)))}.")
    sentences += [_sentence(visit, file) for file in named]
    sentences += [f"{name} has been incomplete for too long." for name in visit.overdue[:MOST_NAMED]]
    if waiting := len(set(visit.unsettled) - set(visit.overdue)):
        sentences.append(f"{waiting:,} {'file is' if waiting == 1 else 'files are'} still being written.")
    return one_line(" ".join(sentences)) or "Nothing to do."


def visit_json(visit: Visit) -> dict[str, object]:
    """Build the JSON object: the whole visit, and each run as `run --json` prints it."""
    found = counts(visit)
    return {
        "folder": str(visit.folder),
        "files": [_file_json(file) for file in visit.files],
        "still_being_written": list(visit.unsettled),
        "counts": {status.value: n for status, n in found.items()},
        "rows": sum(found.values()),
        "seconds": round(visit.seconds, 3),
        "requests": {kind: visit.requests.get(kind, 0) for kind in ("sent", "throttled", "retried")},
        "problem": visit.problem,
        "summary": line(visit),
        "exit_code": int(visit.exit_code),
    }


def counts(visit: Visit) -> dict[Status, int]:
    """Count the rows of all files by status, in the order of `Status`."""
    found: Counter[Status] = Counter()
    for file in visit.files:
        if file.info is not None:
            found.update(file.info.counts)
    return {status: found[status] for status in Status if found[status]}


_PLACES = {"done": "done", "failed": "failed", "working": "to be resumed"}


def _sentence(visit: Visit, file: FileOutcome) -> str:
    if file.info is None:
        first, *more = file.problem.removeprefix(f"{file.name}: ").splitlines()
        where = f"; see {file.path.parent.relative_to(visit.folder)}" if more else ""
        return f"{file.name} failed: {first.rstrip('.:')}{where}."
    what = "; ".join([_counts(dict(status_counts(file.info))), *_dropped(file)])
    if file.place_name == "working":
        sentence = f"{file.name} will be resumed: {what}."
    elif file.place_name == "failed":
        path = file.results if file.results is not None else file.path
        sentence = f"{file.name} needs attention: {what}; see {path.relative_to(visit.folder)}."
    else:
        sentence = f"{file.name}: {what}."
    return f"{sentence} {file.problem}"


def _dropped(file: FileOutcome) -> Iterator[str]:
    if file.dropped:
        deleted = f", {file.deleted:,} of them deleted" if file.deleted else ""
        yield f"{file.dropped:,} no longer in the file{deleted}"


def _counts(found: dict[Status, int]) -> str:
    return ", ".join(f"{n:,} {_words(status, n)}" for status, n in found.items()) or "no rows"


def _words(status: Status, count: int) -> str:
    if status is Status.EXISTS:
        return "already exists" if count == 1 else "already exist"
    return status.value.replace("_", " ")


def _file_json(file: FileOutcome) -> dict[str, object]:
    found: dict[str, object] = {"name": file.name, "fate": file.place_name, "file": str(file.path)}
    if file.info is not None:
        results = [file.results] if file.results is not None else []
        found |= run_json(file.info, results=results, exit_code=file.exit_code)
        found |= {"gone": file.dropped, "deleted": file.deleted}
    return found | {"problem": file.problem, "exit_code": int(file.exit_code)}
