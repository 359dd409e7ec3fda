"""Record a call that could not begin a run, such as with a file that cannot be read.

In: what stopped it. Out: a line in the history.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from bulkload.errors import BulkloadError, ExitCode, InputError, StoreError
from bulkload.model import Input
from bulkload.store.runs import Store

SECONDS_PER_HOUR = 3600.0


def remember_failure(store: Store, source: Input, error: BulkloadError | KeyboardInterrupt) -> None:
    """Record why a file did not become a run, unless each visit of an inbox fails so, with every file.

    The failure itself is more important than an error in recording it.
    """
    if store.caller == "inbox" and not isinstance(error, InputError):
        return
    if isinstance(error, BulkloadError):
        exit_code, reason = error.exit_code, str(error)
    else:
        exit_code = ExitCode.after(*error.args) if error.args else ExitCode.INTERRUPTED
        reason = "Interrupted."
    with contextlib.suppress(StoreError):
        store.note_call(source.name, exit_code, reason)


def remember_visit(store: Store, folder: Path, error: BulkloadError) -> None:
    """Record why a visit of an inbox could not begin with any file; once an hour at most for the same reason."""
    with contextlib.suppress(StoreError):
        if not store.was_noted(str(folder), str(error), since=time.time() - SECONDS_PER_HOUR):
            store.note_call(str(folder), error.exit_code, str(error))
