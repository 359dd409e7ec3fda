"""Delete old files and rows, so that the folder and the store do not grow without limit.

In: the folder, the store, an age in days. Out: a folder and a store without anything older, except: a failed file
without a newer version, the newest version of every recurring file, and rows that are still needed (see
`store.old_runs`). Files that the inbox did not put there are never deleted.
"""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path

from bulkload.inbox.scan import FAILED, companion_names
from bulkload.store.arrivals import SECONDS_PER_DAY, Arrivals
from bulkload.store.calls import delete_old_calls
from bulkload.store.old_runs import delete_rows
from bulkload.store.runs import Store

log = logging.getLogger(__name__)


def delete_old(folder: Path, store: Store, arrivals: Arrivals, keep: float) -> None:
    """Delete what reached its destination more than `keep` days ago."""
    for arrival, has_newer in arrivals.moved_before(time.time() - keep * SECONDS_PER_DAY):
        if arrival.destination is not None and (has_newer or not arrival.destination.startswith(FAILED)):
            _delete_files(folder / arrival.destination)
        if not has_newer:
            continue
        run = arrivals.run_of(arrival)
        if run is None:
            arrivals.delete(arrival)
        elif not delete_rows(store, run):
            store.forget(run)
            arrivals.delete(arrival)
    delete_old_calls(store, time.time() - keep * SECONDS_PER_DAY)
    store.keep_counts()


def _delete_files(path: Path) -> None:
    for name in (path.name, *companion_names(path.name)):
        try:
            path.with_name(name).unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be deleted: %s", path.with_name(name), error.strerror)
    with contextlib.suppress(OSError):  # the folder is not empty, or no longer exists
        path.parent.rmdir()
