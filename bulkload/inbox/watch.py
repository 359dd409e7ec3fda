"""Watch the folder for `--watch`: visit it when a file arrives, and at intervals.

In: a folder, and a function that visits it. Out: visits, until a signal. File events of the operating system trigger a
check of the folder; network folders have no events, so it is also checked every minute.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from bulkload.errors import ExitCode, Interrupted
from bulkload.inbox.records import Visit
from bulkload.inbox.scan import has_candidates, is_candidate

EVENT_TIMEOUT = 1.0  # seconds to wait for an event before the time is checked
CHECK_INTERVAL = 60.0  # seconds between checks of the folder without an event
RETRY_INTERVAL = 900.0  # seconds until unfinished files are resumed, also after a run was stopped

log = logging.getLogger(__name__)


def watch(folder: Path, visit: Callable[[Visit | None], Visit]) -> ExitCode:
    """Visit the folder until a signal arrives; `visit` gets the result of the last visit.

    Returns `DONE` after a signal between visits; a signal during a visit ends it with its own exit code.
    """
    has_candidates(folder)  # raises `UsageError` if there is no such folder
    due = 0.0  # when the next visit is due even without a file, on the monotonic clock
    last: Visit | None = None
    try:
        for _ in _checks(folder):
            if (
                last is not None
                and time.monotonic() < due
                and (last.is_stopped or not has_candidates(folder, last.left))
            ):
                continue
            last = visit(last)
            if last.exit_code in (ExitCode.INTERRUPTED, ExitCode.TERMINATED):
                return last.exit_code
            due = time.monotonic() + RETRY_INTERVAL
    except (Interrupted, KeyboardInterrupt):
        log.info("stopped by a signal")
    return ExitCode.DONE


def _checks(folder: Path) -> Iterator[None]:
    """Yield when the folder has to be checked: now, at each event, and every minute. Events during a visit are kept."""
    import watchfiles

    def is_relevant(change: watchfiles.Change, path: str) -> bool:
        return change is not watchfiles.Change.deleted and is_candidate(Path(path).name)

    due = 0.0  # when the next check is due without an event, on the monotonic clock
    try:
        for changes in watchfiles.watch(
            folder,
            watch_filter=is_relevant,
            recursive=False,
            rust_timeout=int(EVENT_TIMEOUT * 1000),
            yield_on_timeout=True,  # the first one shows that watching has started; check only after that
        ):
            if changes or time.monotonic() >= due:
                due = time.monotonic() + CHECK_INTERVAL
                yield
    except OSError as error:  # such as too many watches
        log.warning("file events cannot be used (%s); checking every %.0f seconds", error, CHECK_INTERVAL)
        while True:
            yield
            time.sleep(CHECK_INTERVAL)
