"""The functions of the Python API, as `import bulkload` publishes them; those of `aio` take the same arguments.

In: a DataFrame, rows as mappings, or the path of a file; options as on the command line. Out: a `Result`, or a frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar, Unpack

from bulkload.python import undoing, work
from bulkload.python.background import Background
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

T = TypeVar("T")
STORE = "output"


def check(data: Data, **options: Unpack[InputOptions]) -> Result:
    """Check every row offline; nothing is sent or stored. Statuses are `will create`, `invalid` and `duplicate`.

    Options about the input: `set` (field → value of its empty cells), `map` (column → field), `ignore_unknown`,
    `results` (files to write), `config`; for files also `sheet`, `header_row`, `skip_hidden`, `encoding`, `from_`,
    `skip_private`.

    Raises `InputError` if the data cannot be read at all, and `UsageError` for wrong options.
    """
    return _wait(work.check(data, options))


def plan(
    data: Data, *, account: Account | None = None, store: StrPath = STORE, **options: Unpack[RunOptions]
) -> Result:
    """Say what `run` would do in the account now; sends only a login and GET requests. How long it takes is in `notes`.

    Takes the options of `run`, and raises as `run` does.
    """
    return _wait(work.plan(data, account, store, options))


def run(
    data: Data,
    *,
    account: Account | None = None,
    store: StrPath = STORE,
    progress: Progress = False,
    label: str | None = None,
    raise_for_rows: bool = False,
    **options: Unpack[RunOptions],
) -> Result:
    """Create one monitor per row; the same row again creates nothing.

    `account` is that of the environment if it is None. `store` is the folder of the run store, which knows what was
    created: keep it. `progress` is True for a bar, or a callable that gets `{"done": …, "total": …}`. `label` names the
    input in the history. What ends the run early is in `Result.stopped`, with the rows so far; `raise_for_rows` raises
    it, or `RowsFailed`.

    Options besides those of `check`: `rate` (requests per second, or "300/min", "unlimited"), `concurrency`,
    `on_existing` ("skip", "update" or "fail"), `first`, `strict`, `max_errors`, `verify`, `wait`, `trust_list`,
    `create_lookalikes`, `request_timeout`, `settle_grace`, `settle_after`, `settle_timeout` (seconds), `sandbox`,
    `keep` (days after which old runs are deleted from the store, 90 by default, or "forever").

    Ctrl-C lets the requests in flight finish, and raises `KeyboardInterrupt`, whose `result` has the rows so far.
    Raises `Locked` if another run uses the store, `InputError` if the data cannot be read at all, `UsageError` for
    wrong options or missing credentials, and `StoreError` if the store cannot be written.
    """
    result = _wait(work.run(data, account, store, label, options), progress)
    if raise_for_rows:
        result.raise_for_rows()
    return result


def resume(
    run_id: str | Result | None = None,
    *,
    account: Account | None = None,
    store: StrPath = STORE,
    progress: Progress = False,
    raise_for_rows: bool = False,
    **options: Unpack[ResumeOptions],
) -> Result:
    """Resume an interrupted run, without its data; without an ID, the newest run with rows to run again.

    Raises `UsageError` if there is none.

    The rows are those in the store: texts, without the index of the frame that they came from. Options and exceptions
    are those of `run`, but for those about the input.
    """
    result = _wait(work.resume(run_id, account, store, options), progress)
    if raise_for_rows:
        result.raise_for_rows()
    return result


def undo(
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
    """Delete the monitors that a run created, unless they were edited since; `dry_run=False` deletes.

    `rows` are the only rows whose monitors are deleted, by their `source_row`. `Result.removals` counts the monitors;
    in a dry run, the column `undo` says what would become of each. Options: `rate`, `concurrency`, `trust_list`,
    `request_timeout`, `results`, `sandbox`, `config`.
    """
    work_of_undo = undoing.undo(
        run_id, account, store, options, dry_run=dry_run, include_edited=include_edited, rows=rows
    )
    return _wait(work_of_undo, progress)


def export(*, account: Account | None = None, store: StrPath = STORE, **options: Unpack[CommonOptions]) -> Result:
    """The account's mail monitors; `Result.frame` is accepted by `run`. Raises what stops it.

    Options: `rate`, `request_timeout`, `sandbox`, `config`.
    """
    return _wait(work.export(account, store, options))


def compare(
    old: Data | Account, new: Data, *, store: StrPath = STORE, **options: Unpack[CompareOptions]
) -> pandas.DataFrame:
    """How two inputs differ, as lines of row, change, field, old and new.

    Monitors are the same by the ID that both give, else by type, name, hostname and port. `change` is `new`, `gone`,
    `changed` (with a line per field) or `not compared` (a row, or a field that `new` has no column for). `row` is the
    index of the row in a frame, or its row in a file; of what is gone, in `old`. `old` can be an `Account`: the account
    as it is now, where an empty cell of `new` is no difference, and the `row` of what is gone is its monitor ID.
    Options: those of `check`; with an account also `rate`, `request_timeout`, `trust_list`, `sandbox`.
    """
    return _wait(work.compare(old, new, store, options))


def runs(store: StrPath = STORE) -> pandas.DataFrame:
    """The runs in a store, the newest first: one line each, with the number of rows by status.

    Raises `UsageError` if the folder has no store.
    """
    return work.runs(store)


def _wait(background: Background[T], progress: Progress = False) -> T:
    with reporting(progress) as on_tick:
        return background.wait(on_tick)
