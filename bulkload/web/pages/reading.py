"""Read uploads in the background.

In: a draft whose file is to be read. Out: the same draft with its rows, or with the reason why it has none.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging

from bulkload.errors import UsageError
from bulkload.operations.draft_check import check_interrupted
from bulkload.operations.drafts import read_draft
from bulkload.reports.summary import number_of
from bulkload.settings import Options
from bulkload.store.drafts import Draft, DraftChanged, Drafts, DraftState
from bulkload.store.runs import Store
from bulkload.web.site import Site

log = logging.getLogger(__name__)


class _ServerStops(Exception):
    """The file is read when the server runs again."""


def begin_reading(site: Site, options: Options, draft: Draft) -> asyncio.Task[None]:
    """Read the file of a draft in the background; the draft says when it is done."""

    def on_rows(done: str, rows: int) -> None:
        if site.ends_reading.is_set():
            raise _ServerStops
        site.rows_read[draft.id] = f"{number_of(rows, 'row')} {'is' if rows == 1 else 'are'} {done}."

    def work(store: Store) -> None:
        on_rows("read", 0)
        read_draft(store, draft, options, on_rows)

    async def read() -> None:
        try:
            await site.store.read(work)
        except (DraftChanged, _ServerStops):
            log.debug("the draft %s is not read any further", draft.id)
        except Exception as error:
            log.error("the draft %s could not be read", draft.id, exc_info=True)
            problem = f"The file could not be read because of a bug in bulkload ({type(error).__name__})."
            await site.store(_set_problem, draft.id, problem)
        finally:
            site.rows_read.pop(draft.id, None)

    task = asyncio.create_task(read(), name=f"reading {draft.id}")
    site.reading.add(task)
    task.add_done_callback(site.reading.discard)
    return task


async def finish_interrupted(site: Site, options: Options) -> None:
    """Finish what an earlier server was doing when it ended: files that it read, edits that it did not check."""
    await site.store.long(check_interrupted)
    for draft in await site.store(lambda store: Drafts(store).list()):
        if draft.state is DraftState.READING and not draft.upload:
            await site.store(_delete, draft)  # of a run, but not with all of its rows yet
        elif draft.state is DraftState.READING:
            begin_reading(site, options, await site.store(_clear, draft))


def _clear(store: Store, draft: Draft) -> Draft:
    """Delete what was read before the server ended."""
    Drafts(store).set_reading(draft, draft.reading)
    return Drafts(store).get(draft.id)


def _delete(store: Store, draft: Draft) -> None:
    Drafts(store).delete(draft)


def _set_problem(store: Store, draft_id: str, problem: str) -> None:
    with contextlib.suppress(UsageError):  # it was deleted
        Drafts(store).set_problem(Drafts(store).get(draft_id), problem)
