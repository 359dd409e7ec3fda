"""Jobs: worker processes, one at a time per output folder, and who watches them.

In: a `Task`. Out: a `Job` whose state changes until it has ended, for any number of readers. A draft or a run has at
most one job that waits or runs, so that two clicks start one run. All methods belong to one event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import bulkload
from bulkload.errors import ExitCode, UsageError
from bulkload.operations.draft_plan import account_name
from bulkload.settings import Account, Options
from bulkload.web.messages import STOP, Ended, Kind, PlannedLine, Progress, Task

MAX_WAITING = 50
MAX_ENDED = 50  # jobs that have ended and are still known
MAX_LINE = 1 << 20  # bytes of an event
MAX_STDERR = 10_000  # bytes that are kept
MAX_PLANNED = 2_000  # lines of a preview
HARD_SECONDS = 10.0  # after which a process is killed that was told a second time to stop
EXIT_SECONDS = 10.0  # after its last event, or the end of its output
CLOSE_SECONDS = 60.0  # for the running job to stop in order when the server ends; its requests may take 30
SECRET_VARIABLES = (Account.environment, Options.environment)  # prefixes

NAMES: Mapping[Kind, str] = {
    "plan": "the forecast of",
    "run": "the run of",
    "resume": "the run of",
    "undo_preview": "the preview of undoing",
    "undo": "the undo of",
}

Phase = Literal["waiting", "running", "stopping", "ended"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """A job at one moment."""

    id: str
    kind: Kind
    phase: Phase  # it waits for its turn, or its process for another one that has locked the store
    draft: str = ""
    run: str = ""  # empty: not known yet, or a plan
    name: str = ""  # of its file, for people
    user: str = ""
    waiting_for: str = ""  # "the run of hosts.xlsx"
    progress: Progress | None = None
    ended: Ended | None = None


class Job:
    """A job; `state` is replaced whenever something changes."""

    def __init__(self, task: Task) -> None:
        self.state = JobState(
            id=secrets.token_hex(8),
            kind=task.kind,
            phase="waiting",
            draft=task.draft,
            run=task.run,
            name=task.name,
            user=task.user,
        )
        self.folder = Path(os.path.realpath(task.options.output))
        self.purpose = _purpose(task)
        self._changed = asyncio.Event()
        self._task: Task | None = task  # with secrets, until it is handed over
        self._worker: _Worker | None = None
        self._stops = 0  # requests to stop
        self._runner: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        """Its ID, in addresses."""
        return self.state.id

    @property
    def title(self) -> str:
        """What it is, for people: "the run of hosts.xlsx"."""
        return f"{NAMES[self.state.kind]} {self.state.name or self.state.run or 'a file'}"

    def _set(self, state: JobState) -> None:
        if state != self.state:
            self.state = state
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()

    def _end(self, ended: Ended) -> None:
        self._task = None
        ended = replace(ended, run=ended.run or self.state.run)
        self._set(replace(self.state, phase="ended", waiting_for="", run=ended.run, ended=ended))


class InUse(UsageError):
    """A draft or a run has a job already, which does something else or uses another account."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"Nothing was done, because {job.title} is under way. Try again when it has ended.")
        self.job = job


class Jobs:
    """All jobs of a server."""

    def __init__(self, *, close_seconds: float = CLOSE_SECONDS) -> None:
        self.readers = 0  # of `changes`
        self._jobs: dict[str, Job] = {}  # in the order of their submission
        self._close_seconds = close_seconds
        self._is_closing = False

    def submit(self, task: Task) -> Job:
        """Queue a job; returns the one that does the same already, if there is one.

        Raises `InUse` if the draft or run has another job that waits or runs, and `UsageError` if too many jobs wait or
        the server is stopping.
        """
        for job in self.active():
            if (task.draft and job.state.draft == task.draft) or (task.run and job.state.run == task.run):
                if job.purpose != _purpose(task):
                    raise InUse(job)
                return job
        if self._is_closing:
            raise UsageError("The server is stopping; try again when it runs again.")
        if len(self.active()) > MAX_WAITING:
            raise UsageError(f"{MAX_WAITING} jobs are waiting already; try again when some of them have ended.")
        job = Job(task)
        self._jobs[job.id] = job
        job._runner = asyncio.create_task(self._run(job), name=f"job {job.id}")
        self._forget_old()
        return job

    def get(self, job_id: str) -> Job | None:
        """A job by its ID; None if it is not known, or no more."""
        return self._jobs.get(job_id)

    def of_run(self, run_id: str) -> Job | None:
        """The newest job of a run: one that waits or runs, if there is one."""
        return self._newest(lambda state: bool(run_id) and state.run == run_id)

    def of_draft(self, draft_id: str) -> Job | None:
        """The newest job of a draft: one that waits or runs, if there is one."""
        return self._newest(lambda state: bool(draft_id) and state.draft == draft_id)

    def active(self) -> list[Job]:
        """The jobs that wait or run, in the order of their submission."""
        return [job for job in self._jobs.values() if job.state.ended is None]

    async def stop(self, job: Job) -> None:
        """Remove a job that waits. Tell one that runs to stop in order; at the second call, without delay."""
        if job.state.ended is not None:
            return
        job._stops += 1
        if job._worker is None:
            self._cancel(job, "Stopped on request, before anything was sent.")
            return
        job._set(replace(job.state, phase="stopping"))
        await job._worker.stop(hard=job._stops > 1)

    async def close(self) -> None:
        """End all jobs, because the server ends: those that wait at once, those that run in order if they can."""
        self._is_closing = True
        running = []
        for job in self.active():
            if job._worker is None:
                self._cancel(job, "The server was stopped before anything was sent.")
            else:
                running.append(job)
                if not job._stops:  # a second request would not wait for requests in flight
                    await self.stop(job)
        runners = [job._runner for job in running if job._runner is not None]
        if runners:
            await asyncio.wait(runners, timeout=self._close_seconds)
        for job in running:
            await self.stop(job)
        await asyncio.gather(*(job._runner for job in self._jobs.values() if job._runner), return_exceptions=True)

    async def changes(self, job: Job) -> AsyncGenerator[JobState, None]:
        """The state of a job now, and whenever it has changed, until it has ended; slow readers miss some."""
        self.readers += 1
        try:
            while True:
                changed, state = job._changed, job.state
                yield state
                if state.ended is not None:
                    return
                await changed.wait()
        finally:
            self.readers -= 1

    # ── the queue ─────────────────────────────────────────────────────────────────────────────────────────

    def _newest(self, condition: Callable[[JobState], bool]) -> Job | None:
        jobs = [job for job in self._jobs.values() if condition(job.state)]
        return max(reversed(jobs), key=lambda job: job.state.ended is None, default=None)

    def _forget_old(self) -> None:
        ended = [job for job in self._jobs.values() if job.state.ended is not None]
        for job in ended[: max(0, len(ended) - MAX_ENDED)]:
            del self._jobs[job.id]

    def _cancel(self, job: Job, reason: str) -> None:
        job._end(Ended(exit_code=ExitCode.INTERRUPTED, stopped=reason))
        if job._runner is not None:
            job._runner.cancel()

    def _before(self, job: Job) -> Job | None:
        """The job before this one in the queue of its folder."""
        earlier = [other for other in self.active() if other.folder == job.folder]
        index = earlier.index(job)
        return earlier[index - 1] if index else None

    async def _run(self, job: Job) -> None:
        while (before := self._before(job)) is not None:
            changed = before._changed
            first = next(other for other in self.active() if other.folder == job.folder)
            job._set(replace(job.state, waiting_for=first.title))
            await changed.wait()
        task, job._task = job._task, None
        assert task is not None
        job._worker = worker = _Worker(job)
        job._set(replace(job.state, phase="running", waiting_for=""))
        try:
            job._end(await worker.work(task))
        except OSError as error:
            job._end(Ended(exit_code=ExitCode.BUG, stopped=f"The process of this job cannot be started: {error}."))
        except Exception as error:
            log.error("the job %s failed", job.id, exc_info=True)
            job._end(Ended(exit_code=ExitCode.BUG, stopped=f"This is a bug in bulkload ({type(error).__name__})."))
        finally:
            job._worker = None


# ── one process ────────────────────────────────────────────────────────────────────────────────────────────────────


class _Worker:
    """The process of a job."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._process: asyncio.subprocess.Process | None = None
        self._killer: asyncio.TimerHandle | None = None
        self._stop_at_start = False
        self._ended: Ended | None = None
        self._planned: list[PlannedLine] = []

    async def work(self, task: Task) -> Ended:
        """Start the process, and follow it to its end."""
        process = self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "bulkload.web.worker"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=_environment(),
            start_new_session=True,  # Ctrl-C in the terminal is for the server, which stops it in order
            limit=MAX_LINE,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        stderr = asyncio.create_task(_last_of(process.stderr))
        try:
            self._write(task.encode() + (STOP if self._stop_at_start else b""))
            await self._follow(process.stdout)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), EXIT_SECONDS)
        finally:
            self.kill()
            status = await process.wait()
            with contextlib.suppress(OSError):
                process.stdin.close()
            if output := await stderr:
                log.debug("worker process %d wrote: %s", process.pid, output)
        if self._ended is None:
            log.error("worker process %d ended unexpectedly with status %d: %s", process.pid, status, output)
            self._ended = _unexpected_end(self._job)
        return self._ended

    async def stop(self, *, hard: bool) -> None:
        """Tell the process to stop in order; if it is told to again, it is killed if it has not ended soon."""
        if self._process is None:
            self._stop_at_start = True
            return
        self._write(STOP)
        if hard and self._killer is None:
            self._killer = asyncio.get_running_loop().call_later(HARD_SECONDS, self.kill)

    def kill(self) -> None:
        """Kill the process if it still runs."""
        if self._killer is not None:
            self._killer.cancel()
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    def _write(self, line: bytes) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with contextlib.suppress(OSError, RuntimeError):  # it has ended
            self._process.stdin.write(line)

    async def _follow(self, stdout: asyncio.StreamReader) -> None:
        """Take the events until there are no more."""
        while True:
            try:
                line = await stdout.readline()
            except ValueError:  # longer than `MAX_LINE`
                log.error("worker process: an event is too long")
                continue
            if not line:
                return
            try:
                event = json.loads(line) if line.strip() else {}
                self._take(event)
            except (ValueError, TypeError, KeyError):
                log.error("worker process: not an event: %r", line[:200])

    def _take(self, event: Mapping[str, Any]) -> None:
        job = self._job
        match event.get("event"):
            case "waiting":
                if job.state.phase == "running":
                    job._set(replace(job.state, phase="waiting", waiting_for=str(event["why"])))
            case "started":
                job._set(replace(job.state, run=str(event["run"]), waiting_for=""))
            case "progress":
                progress = Progress.of_event(event)
                is_stopping = progress.stopping or job.state.phase == "stopping"
                phase: Phase = "stopping" if is_stopping else "running"
                job._set(replace(job.state, phase=phase, waiting_for="", progress=progress))
            case "planned" if len(self._planned) < MAX_PLANNED:
                values = {name: value for name, value in event.items() if name != "event"}
                self._planned.append(PlannedLine(**values))
            case "log":
                logging.getLogger(str(event["logger"])).log(int(event["level"]), "%s", event["message"])
            case "ended":
                self._ended = Ended.of_event(event, tuple(self._planned))


def _purpose(task: Task) -> tuple[object, ...]:
    """What a job does, and in which account: a job for other credentials is not the one that was asked for."""
    account = account_name(task.account, task.options)
    return task.kind, account, task.include_edited


def _environment() -> dict[str, str]:
    """The environment of a worker: it finds the same modules as this process, and has no settings or secrets."""
    path = [*filter(None, sys.path), str(Path(bulkload.__file__).parents[1])]
    kept = {name: value for name, value in os.environ.items() if not name.startswith(SECRET_VARIABLES)}
    return kept | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(path))}


async def _last_of(stream: asyncio.StreamReader) -> str:
    """The last bytes of a stream, read to its end."""
    rest = b""
    while content := await stream.read(MAX_STDERR):
        rest = (rest + content)[-MAX_STDERR:]
    return rest.decode("utf-8", "replace")


def _unexpected_end(job: Job) -> Ended:
    """How a job ended whose process did not say it: it was killed, or memory ran out."""
    if job._stops:
        return Ended(exit_code=ExitCode.INTERRUPTED, stopped="Stopped on request, without delay. Nothing is lost.")
    kind, run = job.state.kind, job.state.run
    if kind in ("plan", "undo_preview"):
        advice = "Nothing was changed: start it again."
    elif kind == "undo":
        advice = "Nothing is lost: undo it again."
    elif run:
        advice = "Nothing is lost: resume it."
    else:
        advice = "Nothing was sent: start it again."
    subject = "this run" if kind in ("run", "resume") else "this job"
    return Ended(exit_code=ExitCode.STOPPED, stopped=f"The process of {subject} ended unexpectedly. {advice}")
