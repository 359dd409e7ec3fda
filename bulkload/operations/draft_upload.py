"""Find the file of a draft, and have it read under the name that people know.

In: a draft that was uploaded. Out: its file, alone in a folder. The configuration of another tool can name further
files beside it, and some are recognised by their names; what others uploaded must not be found there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bulkload.errors import InputError
from bulkload.files.names import MAX_NAME, shorten
from bulkload.settings import Options
from bulkload.store.drafts import Draft

UPLOADS = "uploads"  # folder beside the store
READING = "reading-"  # prefix of a folder in it, for the time of reading


@contextmanager
def opened_upload(draft: Draft, options: Options) -> Iterator[Path]:
    """The path of the upload for the time of the block. Raises `InputError` if it is gone."""
    uploads = options.output / UPLOADS
    if not draft.upload or not (uploads / draft.upload).is_file():
        raise InputError(f"{draft.name}: the upload is no longer on this server; upload the file again.")
    with tempfile.TemporaryDirectory(prefix=READING, dir=uploads) as folder:
        path = Path(folder) / _name(draft)
        try:
            os.link(uploads / draft.upload, path)
        except OSError:  # a file system without links
            shutil.copyfile(uploads / draft.upload, path)
        yield path


def _name(draft: Draft) -> str:
    """The name that the file had; the suffix of a pasted text says what it is."""
    name, suffix = Path(draft.name), Path(draft.upload).suffix
    suffix = name.suffix or suffix
    return shorten(name.name.removesuffix(suffix), MAX_NAME - len(os.fsencode(suffix))) + suffix
