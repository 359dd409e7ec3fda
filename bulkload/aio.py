"""The functions of `bulkload` as coroutines, for programs whose event loop is running.

In and out: as there. The work is done in a thread of its own, so that the loop is never blocked. If the task is
cancelled, it ends when the requests in flight are answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar, Unpack

from bulkload.python import undoing, work
from bulkload.python.background import Background
from bulkload.python.calls import STORE
from bulkload.python.options import (
    Account,
    CommonOptions,
    CompareOptions,
    InputOptions,
    ResumeOptions,
    RunOptions,
    StrPath,
    UndoOptions,
)
from bulkload.python.progress import Progress, reporting
from bulkload.python.result import Result

if TYPE_CHECKING:
    import pandas

    from bulkload.python.inputs import Data

__all__ = ["check", "compare", "export", "plan", "resume", "run", "runs", "undo"]

T = TypeVar("T")


async def check(data: Data, **options: Unpack[InputOptions]) -> Result:
    """As `bulkload.check`."""
    return await _wait(work.check(data, options))


async def plan(
    data: Data, *, account: Account | None = None, store: StrPath = STORE, **options: Unpack[RunOptions]
) -> Result:
    """As `bulkload.plan`."""
    return await _wait(work.plan(data, account, store, options))


async def run(
    data: Data,
    *,
    account: Account | None = None,
    store: StrPath = STORE,
    progress: Progress = False,
    label: str | None = None,
    raise_for_rows: bool = False,
    **options: Unpack[RunOptions],
) -> Result:
    """As `bulkload.run`."""
    result = await _wait(work.run(data, account, store, label, options), progress)
    if raise_for_rows:
        result.raise_for_rows()
    return result


async def resume(
    run_id: str | Result | None = None,
    *,
    account: Account | None = None,
    store: StrPath = STORE,
    progress: Progress = False,
    raise_for_rows: bool = False,
    **options: Unpack[ResumeOptions],
) -> Result:
    """As `bulkload.resume`."""
    result = await _wait(work.resume(run_id, account, store, options), progress)
    if raise_for_rows:
        result.raise_for_rows()
    return result


async def undo(
    run_id: str | Result,
    *,
    dry_run: bool = True,
    include_edited: bool = False,
    rows: Iterable[int] | None = None,
    account: Account | None = None,
    store: StrPath = STORE,
    progress: Progress = False,
    **options: Unpack[UndoOptions],
) -> Result:
    """As `bulkload.undo`."""
    work_of_undo = undoing.undo(
        run_id, account, store, options, dry_run=dry_run, include_edited=include_edited, rows=rows
    )
    return await _wait(work_of_undo, progress)


async def export(*, account: Account | None = None, store: StrPath = STORE, **options: Unpack[CommonOptions]) -> Result:
    """As `bulkload.export`."""
    return await _wait(work.export(account, store, options))


async def runs(store: StrPath = STORE) -> pandas.DataFrame:
    """As `bulkload.runs`."""
    return await asyncio.to_thread(work.runs, store)


async def compare(
    old: Data | Account, new: Data, *, store: StrPath = STORE, **options: Unpack[CompareOptions]
) -> pandas.DataFrame:
    """As `bulkload.compare`."""
    return await _wait(work.compare(old, new, store, options))


async def _wait(background: Background[T], progress: Progress = False) -> T:
    with reporting(progress) as on_tick:
        return await background.wait_async(on_tick)
