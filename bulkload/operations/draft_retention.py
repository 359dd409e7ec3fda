"""Delete drafts that nobody has changed for long, and uploads that no draft needs.

In: the store, and the folder of uploads, before a server begins. Out: both without what is old; runs and their results
stay.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from contextlib import suppress
from pathlib import Path

from bulkload.operations.draft_upload import READING
from bulkload.store.drafts import Drafts
from bulkload.store.runs import Store

KEPT_DAYS = 90
_DAY = 86_400  # seconds
_IS_UPLOAD = re.compile(r"[0-9a-f]{32}(?:\.[a-z0-9]+)?").fullmatch  # a name that `web.uploads` gives

log = logging.getLogger(__name__)


def delete_old_drafts(store: Store, uploads: Path, *, days: float = KEPT_DAYS) -> int:
    """Delete drafts that were last changed more than `days` ago, and the uploads of no draft; returns how many drafts.

    Only for a time in which nothing is uploaded.
    """
    drafts, oldest = Drafts(store), time.time() - days * _DAY
    old = [draft for draft in drafts.list() if draft.changed < oldest]
    for draft in old:
        drafts.delete(draft)
    if old:
        log.info("%d drafts that nobody had changed for %g days were deleted", len(old), days)
    needed = {draft.upload for draft in drafts.list()}
    with suppress(OSError):  # no upload yet
        for path in uploads.iterdir():
            if path.name.startswith(READING):
                shutil.rmtree(path, ignore_errors=True)  # of a server that was killed
            elif _IS_UPLOAD(path.name) and path.name not in needed:
                path.unlink(missing_ok=True)
    return len(old)
