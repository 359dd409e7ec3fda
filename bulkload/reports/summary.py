"""Summarise a run for the terminal, for programs, and for the workbook and the page.

In: a `RunInfo`. Out: a plain-text table, the object of `--json`, or sections of facts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType

from bulkload.files.printable import one_line
from bulkload.model import RunInfo, Status, Translated
from bulkload.reports.settings_words import label_of, settings_in_words

REQUEST_KINDS = ("sent", "throttled", "retried")
_PLANNED = (Status.WILL_CREATE, Status.WILL_UPDATE)
TO_FIX = (Status.INVALID, Status.DUPLICATE, Status.REJECTED)
TO_REPEAT = (Status.FAILED, Status.UNKNOWN, Status.NOT_ATTEMPTED)
_SEE_CONVERT = "bulkload convert lists them with the reason."
_SECONDS_PER_MINUTE = 60
_SECONDS_PER_HOUR = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Facts about the run under one heading."""

    title: str
    facts: tuple[tuple[str, str], ...]  # label, text


def summary_table(
    run: RunInfo,
    results: Sequence[Path] = (),
    *,
    names_run: bool = False,
    words: Mapping[Status, str] = MappingProxyType({}),
) -> str:
    """The table that a run ends with: rows by status with the next step, time, requests, and results files.

    `words` replace the names of statuses.
    """
    rows = [(words.get(status, status.value), f"{n:,}", status.next_step) for status, n in status_counts(run)]
    total = ("rows", f"{run.rows:,}", f"in {duration(run.seconds)}{_requests(run.requests)}")
    label_width = max(len(row[0]) for row in [*rows, total])
    number_width = max(len(row[1]) for row in [*rows, total])

    def line(row: tuple[str, str, str]) -> str:
        return f"{row[0]:<{label_width}}  {row[1]:>{number_width}}  {row[2]}".rstrip()

    rule = "─" * (label_width + 2 + number_width)
    lines = [*map(line, rows), *([rule] if rows else []), line(total)]
    if run.stopped:
        lines += ["", f"Stopped early: {one_line(run.stopped)}"]
    facts = [("Run", run.run_id)] if names_run else []
    facts += [("Results", one_line(str(path))) for path in results]
    if facts:
        lines += ["", *(f"{label + ':':<9}{text}" for label, text in facts)]
    return "\n".join(lines)


def run_json(run: RunInfo, *, results: Sequence[Path] = (), exit_code: int = 0) -> dict[str, object]:
    """The object that `--json` prints."""
    return {
        "run_id": run.run_id,
        "input": run.input,
        "results": [str(path) for path in results],
        "counts": {status.value: n for status, n in status_counts(run)},
        "rows": run.rows,
        "seconds": round(run.seconds, 3),
        "requests": {kind: run.requests.get(kind, 0) for kind in REQUEST_KINDS},
        "exit_code": int(exit_code),
        "stopped": run.stopped or None,
        "read_as": dict(run.details),
    } | ({"source": source_json(run.translated)} if run.translated else {})


def source_json(translated: Translated) -> dict[str, object]:
    """What became of another tool's objects, as JSON: what is missing is named only if there is something."""
    counts = {"objects": translated.objects} | asdict(translated)
    return counts if translated.missing else {key: value for key, value in counts.items() if key != "missing"}


def status_counts(run: RunInfo) -> list[tuple[Status, int]]:
    """The statuses that occur, with their numbers of rows, in the order of `Status`."""
    return [(status, run.counts[status]) for status in Status if run.counts.get(status)]


def headline(run: RunInfo) -> str:
    """One sentence about how the run ended."""
    untranslated_sentence = untranslated(run)
    if not run.rows:
        return untranslated_sentence or "The input has no rows."

    def count(statuses: Sequence[Status]) -> int:
        return sum(run.counts.get(status, 0) for status in statuses)

    done = count([status for status in Status if status.done])
    if done == run.rows and not untranslated_sentence:
        return f"All {run.rows:,} rows are done." if run.rows > 1 else "The only row is done."
    parts = [
        (count(_PLANNED), "to be sent"),
        (done, "done" if not count(_PLANNED) else "already done"),
        (count(TO_FIX), "to fix"),
        (count(TO_REPEAT), "to run again"),
        (count([Status.REMOVED]), "removed"),
    ]
    phrases = ", ".join(f"{n:,} {phrase}" for n, phrase in parts if n)
    return f"Of {run.rows:,} {'rows' if run.rows > 1 else 'row'}: {phrases}. {untranslated_sentence}".rstrip()


def untranslated(run: RunInfo) -> str:
    """Sentences about what another tool's configuration has and no row was made of, if it needs attention; else empty.

    Pages that the source says it has come first, since they may contain any number of objects.
    """
    source = run.translated
    if source is None or source.good:
        return ""
    name = Path(run.input).name
    sentences = [sentence.removeprefix(f"{name}: ") for sentence in source.missing]
    errors, objects = source.errors - len(source.missing), source.objects
    if errors:
        sentences.append(f"{errors:,} of the source's {objects:,} objects could not be translated; {_SEE_CONVERT}")
    elif not source.rows and not source.missing:
        sentences.append(f"None of the source's {objects:,} objects became a row; {_SEE_CONVERT}")
    return " ".join(sentences)


def sections(run: RunInfo) -> list[Section]:
    """The facts about the run by heading, without empty facts and sections."""
    all_sections = [
        Section(
            title="Run",
            facts=(
                ("Run", run.run_id),
                ("Input", run.input),
                ("Rows", f"{run.rows:,}"),
                ("Account", run.account),
                ("Address", run.base_url),
                ("Started", moment(run.started)),
                ("Finished", moment(run.finished)),
                ("Duration", duration(run.seconds) if run.seconds else ""),
            ),
        ),
        Section(title="Requests", facts=tuple((label_of(kind), f"{n:,}") for kind, n in run.requests.items())),
        Section(title="How the input was read", facts=tuple(_labelled(run.details))),
        Section(title="Settings", facts=tuple(settings_in_words(run.settings))),
    ]
    filled = [
        Section(title=section.title, facts=tuple((label, text) for label, text in section.facts if text))
        for section in all_sections
    ]
    return [section for section in filled if section.facts]


def moment(text: str) -> str:
    """Format an ISO 8601 time as UTC, to the second; any other text is returned unchanged."""
    try:
        parsed = datetime.fromisoformat(text)
        if parsed.tzinfo is None:
            parsed = parsed.replace(tzinfo=UTC)
        return parsed.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError):
        return text


def duration(seconds: float) -> str:
    """Format a number of seconds: 0.4 s, 12 s, 3 min 5 s, 2 h 10 min."""
    if round(seconds, 1) < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _SECONDS_PER_MINUTE:
        return f"{whole} s"
    if whole < _SECONDS_PER_HOUR:
        return f"{whole // _SECONDS_PER_MINUTE} min {whole % _SECONDS_PER_MINUTE} s"
    minutes = round(seconds / _SECONDS_PER_MINUTE)
    return f"{minutes // 60:,} h {minutes % 60} min"


def number_of(count: int, noun: str) -> str:
    """Format a count with its noun: "1 row", "1,200 rows"."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _requests(requests: Mapping[str, int]) -> str:
    if not requests.get("sent"):
        return ""
    extras = [f"{requests[kind]:,} {kind}" for kind in REQUEST_KINDS[1:] if requests.get(kind)]
    noun = "request" if requests["sent"] == 1 else "requests"
    return f", {requests['sent']:,} {noun}" + (f" ({', '.join(extras)})" if extras else "")


def _labelled(facts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    return ((label_of(key), value) for key, value in facts.items())
