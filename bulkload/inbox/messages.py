"""What a visit came to, in words and as an object.

In: a `Visit`. Out: one line that reads well in a mail from cron, or what `--json` prints and a webhook gets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from bulkload.files.printable import one_line
from bulkload.inbox.records import Filed, Visit
from bulkload.model import Status
from bulkload.reports.summary import outcomes, run_json

MOST_NAMED = 3  # files that the line speaks of one by one


def line(visit: Visit) -> str:
    """Say in one line what became of the files; what needs a person comes first."""
    files = sorted(visit.files, key=lambda file: -file.exit_code)
    shown = files if len(files) <= MOST_NAMED else [file for file in files if file.exit_code][:MOST_NAMED]
    parts = [visit.problem] if visit.problem else []
    if len(shown) < len(files):
        fates = Counter(str(file.fate) for file in files)
        said = ", ".join(f"{fates[fate]:,} {word}" for fate, word in _FATES.items() if fates[fate])
        parts.append(f"{len(files):,} files: {said}; {_counts(dict(counts(visit)))}.")
    parts += [_sentence(visit, file) for file in shown]
    parts += [f"{name} has been half written for too long." for name in visit.overdue[:MOST_NAMED]]
    if waiting := len(set(visit.unsettled) - set(visit.overdue)):
        parts.append(f"{waiting:,} {'file is' if waiting == 1 else 'files are'} still being written.")
    return one_line(" ".join(parts)) or "Nothing to do."


def visit_json(visit: Visit) -> dict[str, object]:
    """Build the object that machines get: the whole visit, and each run as `run --json` prints it."""
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
    """Count the rows of all files by status, in the order in which people read them."""
    found: Counter[Status] = Counter()
    for file in visit.files:
        if file.info is not None:
            found.update(file.info.counts)
    return {status: found[status] for status in Status if found[status]}


_FATES = {"done": "done", "failed": "failed", "working": "to be gone on with"}


def _sentence(visit: Visit, file: Filed) -> str:
    if file.info is None:
        first, *more = file.problem.removeprefix(f"{file.name}: ").splitlines()
        where = f"; see {file.place.parent.relative_to(visit.folder)}" if more else ""
        return f"{file.name} failed: {first.rstrip('.:')}{where}."
    said = "; ".join([_counts(dict(outcomes(file.info))), *_gone(file)])
    if file.fate == "working":
        sentence = f"{file.name} will be gone on with: {said}."
    elif file.fate == "failed":
        place = file.results if file.results is not None else file.place
        sentence = f"{file.name} needs a look: {said}; see {place.relative_to(visit.folder)}."
    else:
        sentence = f"{file.name} is done: {said}."
    return f"{sentence} {file.problem}"


def _gone(file: Filed) -> Iterator[str]:
    if file.gone:
        deleted = f", {file.deleted:,} of them deleted" if file.deleted else ""
        yield f"{file.gone:,} gone from the sheet{deleted}"


def _counts(found: dict[Status, int]) -> str:
    return ", ".join(f"{n:,} {status.value.replace('_', ' ')}" for status, n in found.items()) or "no rows"


def _file_json(file: Filed) -> dict[str, object]:
    found: dict[str, object] = {"name": file.name, "fate": file.fate, "file": str(file.place)}
    if file.info is not None:
        results = [file.results] if file.results is not None else []
        found |= run_json(file.info, results=results, exit_code=file.exit_code)
        found |= {"gone": file.gone, "deleted": file.deleted}
    return found | {"problem": file.problem, "exit_code": int(file.exit_code)}
