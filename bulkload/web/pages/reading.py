"""Read uploads in the background.

In: a draft whose file is to be read. Out: the same draft with its rows, or with the reason why it has none.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from bulkload.operations.draft_check import check_interrupted
from bulkload.operations.drafts import read_draft
from bulkload.settings import Options
from bulkload.store.drafts import Draft, DraftChanged, Drafts, DraftState
from bulkload.store.runs import Store
from bulkload.web.site import Site

log = logging.getLogger(__name__)


def begin_reading(site: Site, options: Options, draft: Draft) -> asyncio.Task[None]:
    """Read the file of a draft in the background; the draft says when it is done."""

    async def read() -> None:
        try:
            await site.store.long(read_draft, draft, options)
        except Exception as error:
            log.error("the draft %s could not be read", draft.id, exc_info=True)
            problem = f"The file could not be read because of a bug in bulkload ({type(error).__name__})."
            with suppress(DraftChanged):
                await site.store(lambda store: Drafts(store).set_problem(Drafts(store).get(draft.id), problem))

    task = asyncio.create_task(read(), name=f"reading {draft.id}")
    site.reading.add(task)
    task.add_done_callback(site.reading.discard)
    return task


async def read_interrupted(site: Site, options: Options) -> None:
    """Read the files again, and check the rows, with which an earlier server was not done when it ended."""
    await site.store(check_interrupted)
    for draft in await site.store(lambda store: Drafts(store).list()):
        if draft.state is DraftState.READING:
            await site.store(_clear, draft)
            begin_reading(site, options, draft)


def _clear(store: Store, draft: Draft) -> None:
    """Delete what was read before the server ended."""
    Drafts(store).set_reading(draft, draft.reading)
