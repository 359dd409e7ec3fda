"""Ask before the first run that creates many monitors in an account.

In: a run that is planned. Out: nothing, or `Declined`. Nothing but a login and GET requests is sent yet.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bulkload.errors import Declined
from bulkload.stages.context import RunContext

MANY_CREATES = 25  # up to here, it is not asked

Agree = Callable[[int], Awaitable[bool]]  # gets the number of monitors to create


async def ask_before_many(context: RunContext, agree: Agree) -> None:
    """Ask if the store has never written to the account. Raises `Declined`; the run can be resumed."""
    creates = context.rows.count_creates()
    if creates > MANY_CREATES and not context.record.was_written_to() and not await agree(creates):
        raise Declined("Nothing was created, because the question was not answered with yes.")
