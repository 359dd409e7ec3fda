"""The inbox that keeps running, for containers: a visit whenever a file arrives, and at times without one.

In: a folder and what a visit does. Out: visits, until a signal. The system's file events say when to look; because
network folders have none, there is also a look every minute.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bulkload.errors import ExitCode, Interrupted
from bulkload.inbox.scan import has_candidates, is_candidate

TICK = 1.0  # seconds
LOOK_EVERY = 60.0  # seconds between looks without an event
RETRY_EVERY = 900.0  # seconds until unfinished files are resumed, or an account that stopped a run is tried again

log = logging.getLogger(__name__)


def watch(folder: Path, one_visit: Callable[[], ExitCode]) -> ExitCode:
    """Visit until a signal comes. A signal between visits is a good end; one during a visit ends it first."""
    has_candidates(folder)  # raises `UsageError` if there is no such folder, which no waiting would mend
    due = 0.0  # when a visit is due without a file, on the monotonic clock
    stopped = False
    try:
        for _ in _occasions(folder):
            if time.monotonic() < due and (stopped or not has_candidates(folder)):
                continue
            code = one_visit()
            if code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
                return code
            stopped = code in (ExitCode.USAGE, ExitCode.STOPPED)
            due = time.monotonic() + RETRY_EVERY
    except (Interrupted, KeyboardInterrupt):
        log.info("asked to stop")
    return ExitCode.DONE


def _occasions(folder: Path) -> Iterator[None]:
    """Once now, then at each event, and at least each minute; what comes during a visit is not missed."""
    import watchfiles

    def concerns_us(change: watchfiles.Change, path: str) -> bool:
        return change is not watchfiles.Change.deleted and is_candidate(Path(path).name)

    due = 0.0  # when to look without an event, on the monotonic clock
    try:
        for changes in watchfiles.watch(
            folder,
            watch_filter=concerns_us,
            recursive=False,
            rust_timeout=int(TICK * 1000),
            yield_on_timeout=True,  # also says that watching has begun, which the first look must not come before
        ):
            if changes or time.monotonic() >= due:
                due = time.monotonic() + LOOK_EVERY
                yield
    except OSError as error:  # no more watches to be had
        log.warning("file events cannot be used (%s); looking every %.0f seconds", error, LOOK_EVERY)
        while True:
            yield
            time.sleep(LOOK_EVERY)
