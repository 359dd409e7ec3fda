"""Delete old runs after a run, so that the store does not grow without limit.

In: the locked store, an age in days. Out: a store without older runs, except what is still needed; see
`store.old_runs`. The run that has just ended never fails because of it.
"""

from __future__ import annotations

import logging
import time

from bulkload.errors import StoreError
from bulkload.store.old_runs import delete_old_runs
from bulkload.store.runs import Store

_DAY = 86_400  # seconds

log = logging.getLogger(__name__)


def delete_older(store: Store, days: float, began: float) -> None:
    """Delete runs that ended more than `days` ago, but none that ended after `began`, in seconds since 1970."""
    try:
        if deleted := delete_old_runs(store, min(began, time.time() - days * _DAY)):
            store.keep_counts()
            log.info("%d runs that ended more than %g days ago were deleted", deleted, days)
    except StoreError as error:
        log.warning("old runs could not be deleted: %s", error)
