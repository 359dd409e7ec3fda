"""What a page says about a job while it waits and works.

In: the state of a job. Out: a `ProgressView`, and the same as HTML for the stream of events.
"""

from __future__ import annotations

import time
from datetime import datetime

from bulkload.files.printable import printable
from bulkload.operations.forecast_texts import Fact
from bulkload.reports.summary import duration, number_of
from bulkload.web.jobs import JobState
from bulkload.web.messages import Kind, Progress
from bulkload.web.pages.texts import bars_of
from bulkload.web.rendering import render
from bulkload.web.views import ProgressView

_DOING: dict[Kind, str] = {
    "plan": "Comparing with the account",
    "run": "Creating monitors",
    "resume": "Creating monitors",
    "undo_preview": "Looking which monitors of the run still exist",
    "undo": "Deleting monitors",
}
_SENDING = ("creating", "deleting")  # phases in which rows are counted


def progress_view(state: JobState) -> ProgressView:
    """A job at this moment."""
    progress = state.progress or Progress()
    counts = {status: count for status, count in progress.counts.items() if count}
    return ProgressView(
        headline=_headline(state, progress),
        bars=bars_of(counts) if state.kind in ("run", "resume") else (),
        done=progress.done,
        total=progress.total,
        facts=_facts(progress),
        last_errors=[printable(f"Row {error.row}: {error.message}") for error in progress.last_errors],
        can_stop=state.ended is None and state.phase != "stopping",
        stop_href=f"/jobs/{state.id}/stop",
        stop_help=_stop_help(state),
    )


def progress_html(state: JobState, token: str) -> str:
    """The panel of a job, for the stream of events."""
    return render("_progress.html", progress=progress_view(state), token=token)


def _stop_help(state: JobState) -> str:
    if state.phase == "waiting" and state.waiting_for:
        return "It has not begun yet."
    if state.kind in ("plan", "undo_preview"):
        return "It only reads the account, and changes nothing."
    if state.kind == "undo":
        return "Requests under way are finished; monitors that were not deleted yet are kept."
    return "Requests under way are finished; nothing is lost, and you can go on later."


def _headline(state: JobState, progress: Progress) -> str:
    if state.phase == "waiting":
        return f"Waiting for {printable(state.waiting_for)}" if state.waiting_for else "Waiting for its turn"
    if state.phase == "stopping":
        return "Stopping: requests under way are finished…"
    doing = _DOING[state.kind]
    if progress.total:
        unit = "monitor" if state.kind == "undo" else "row"
        doing = f"{doing}: {progress.done:,} of {number_of(progress.total, unit)}"
    if progress.phase and progress.phase not in _SENDING:
        doing = f"{doing} ({progress.phase})"
    return doing


def _facts(progress: Progress) -> list[Fact]:
    facts = []
    if progress.seconds_left is not None and progress.total > progress.done:
        facts.append(Fact(label="Time left", text=f"about {duration(progress.seconds_left)}"))
    if progress.rate:
        facts.append(Fact(label="Rate", text=f"{progress.rate:.1f} requests per second"))
    if progress.paused_until is not None and progress.paused_until > time.time():
        text = f"until {_clock(progress.paused_until)}"
        facts.append(Fact(label="Pause", text=text, detail=f"{_sentence(progress.pause_reason)}."))
    elif progress.pause_reason:
        facts.append(Fact(label="Slower", text=f"{_sentence(progress.pause_reason)}."))
    if progress.in_doubt:
        until = f"This is known at {_clock(progress.doubt_until)} at the latest." if progress.doubt_until else ""
        text = (
            f"{number_of(progress.in_doubt, 'row')}: the answer of the API did not say whether the monitor was created"
        )
        detail = f"bulkload looks for it in the account, and never sends a row twice. {until}".strip()
        facts.append(Fact(label="In doubt", text=text, detail=_sentence(detail)))
    return facts


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds).astimezone():%H:%M:%S}"
