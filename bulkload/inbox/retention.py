"""Delete old files and rows, so that neither the folder nor the store grows forever.

In: the folder, the store, an age in days. Out: nothing older than that, except what can still matter: a failed file
that no newer version replaced, the newest version of every recurring file, rows in doubt, and rows whose monitor
can still be undone. Only files that the inbox itself filed are touched.
"""

from __future__ import annotations

import contextlib
import logging
import time
from pathlib import Path

from bulkload.inbox.scan import FAILED, beside
from bulkload.store.arrivals import SECONDS_A_DAY, Arrivals
from bulkload.store.runs import Store

log = logging.getLogger(__name__)


def clear_out(folder: Path, store: Store, arrivals: Arrivals, keep: float) -> None:
    """Take away what was filed more than `keep` days ago."""
    for arrival, has_newer in arrivals.filed_before(time.time() - keep * SECONDS_A_DAY):
        if arrival.place is not None and (has_newer or not arrival.place.startswith(FAILED)):
            _remove(folder / arrival.place)
        if not has_newer:
            continue
        run = arrivals.run_of(arrival)
        if run is None:
            arrivals.drop(arrival)
        elif not arrivals.tidy(run):
            store.forget(run)
            arrivals.drop(arrival)


def _remove(path: Path) -> None:
    for name in (path.name, *beside(path.name)):
        try:
            path.with_name(name).unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s cannot be removed: %s", path.with_name(name), error.strerror)
    with contextlib.suppress(OSError):  # not empty yet, or gone already
        path.parent.rmdir()
