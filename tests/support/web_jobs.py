"""Jobs of the upload page in an empty folder, against a sandbox on a real socket, with real worker processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from bulkload.operations.drafts import draft_options
from bulkload.sandbox import Faults, Rule, SandboxOptions
from bulkload.sandbox.server import Sandbox, running
from bulkload.settings import Account, Options
from bulkload.store.runs import Store
from bulkload.web.jobs import Job, Jobs, JobState
from bulkload.web.messages import Ended, Kind, Task
from tests.support.command_line import PLAN
from tests.support.drafts import upload
from tests.support.waiting import TIMEOUT

PASSWORD = "Tr0ub4dor-and-3"
SLOW = Faults(rules=(Rule(fault="slow", seconds=0.25),))  # each create, so that a test can come between them
OPTIONS: dict[str, Any] = {"rate": "unlimited", "settle_grace": 0.2, "settle_after": 1, "settle_timeout": 0.5}


@dataclass(slots=True, kw_only=True)
class Site:
    """An account, a folder, and tasks for both."""

    sandbox: Sandbox
    folder: Path
    account: Account = field(repr=False)

    @property
    def output(self) -> Path:
        """Where the store and the results are."""
        return self.folder / "output"

    def write(self, rows: int, name: str = "hosts.csv", prefix: str = "m") -> Path:
        """Write an input file of valid rows."""
        path = self.folder / name
        lines = [f"imap,{prefix}{number},mx{number}.example.com,{PLAN}" for number in range(rows)]
        path.write_text("\n".join(["type,name,hostname,billing_plancode", *lines]) + "\n", encoding="utf-8")
        return path

    def task(
        self, kind: Kind, *, path: Path | None = None, options: dict[str, Any] | None = None, **fields: Any
    ) -> Task:
        """A task for this account; a file becomes a draft."""
        own = Options(**{**OPTIONS, "concurrency": 1, "output": self.output, **(options or {})})
        if path is not None:
            with Store(self.output) as store:
                draft = upload(store, path, own, name=str(fields.get("name", "")))
            own = draft_options(draft, own)
            fields |= {"draft": draft.id, "version": draft.version}
        return Task(kind=kind, account=self.account, options=own, **fields)

    def names(self) -> list[str]:
        """The names of the account's monitors, sorted."""
        return sorted(str(monitor["name"]) for monitor in self.sandbox.monitors())


@contextmanager
def site_in(folder: Path, faults: Faults | None = None) -> Iterator[Site]:
    """An empty account in a running sandbox."""
    with running(SandboxOptions(password=PASSWORD), faults or Faults()) as sandbox:
        account = Account(base_url=sandbox.base_url, username=sandbox.options.user, password=SecretStr(PASSWORD))
        yield Site(sandbox=sandbox, folder=folder, account=account)


@asynccontextmanager
async def open_jobs() -> AsyncIterator[Jobs]:
    """Jobs that are all ended at the end."""
    jobs = Jobs()
    try:
        yield jobs
    finally:
        await jobs.close()


async def until(jobs: Jobs, job: Job, condition: Callable[[JobState], object]) -> JobState:
    """The first state of a job for which the condition is true."""
    async with asyncio.timeout(TIMEOUT), aclosing(jobs.changes(job)) as states:
        async for state in states:
            if condition(state):
                return state
    raise AssertionError(f"never true: the job ended as {job.state}")


async def ended(jobs: Jobs, job: Job) -> Ended:
    """How a job ended."""
    state = await until(jobs, job, lambda state: state.ended)
    assert state.ended is not None
    return state.ended


async def until_true(condition: Callable[[], object]) -> None:
    """Return when the condition is true; fail after a while."""
    async with asyncio.timeout(TIMEOUT):
        while not condition():
            await asyncio.sleep(0.005)
