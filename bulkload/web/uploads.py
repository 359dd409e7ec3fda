"""Receive an uploaded file or pasted text, and store it as a file of its own.

In: a multipart form. Out: an `Upload` with the path of the file, whose name is random, and the name that the browser
gave, which is only ever a text. Size, number and concurrency are limited.

The form has the fields `token` (first, or as the header X-Form-Token), `file` or `text`, and `no_header`. Its handler
is marked with `@checks_token_itself` and reads the upload inside the block, which keeps the file if it ends well:

    async with request.app[UPLOADS].receive(request) as upload:
        …
"""

from __future__ import annotations

import asyncio
import errno
import os
import re
import secrets
import unicodedata
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from bulkload.errors import StoreError
from bulkload.operations.pasted import prepare_pasted
from bulkload.web.access import TOKEN_FIELD, access_of
from bulkload.web.multipart import FormReader, Part
from bulkload.web.responses import RequestError

MAX_UPLOAD = 50 << 20  # bytes of a file; what it unpacks to is limited by its reader
MAX_TEXT = 5 << 20  # bytes of pasted text
MAX_FOLDER = 1 << 30  # bytes of all uploads
MAX_FILES = 500
MAX_AT_ONCE = 4  # uploads that are received or read at the same time
MAX_PARTS = 20  # of a form
MAX_FIELD = 4 << 10  # bytes of any other field
MAX_NAME = 200  # characters
LONGEST = 1800.0  # seconds that receiving one upload may take
BLOCK = 1 << 20  # bytes that are written at once

_SUFFIXES = (
    "csv tsv txt tab xlsx xlsm xltx xltm xls xlt xlsb ods ots parquet"
    " json jsonl ndjson yaml yml cfg conf xml toml ini html zip"
)
SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())  # that a stored file may have
PASTED_NAME = "Pasted rows"
PASTED_HOSTS_NAME = "Pasted hosts"

_STORED = re.compile(r"[0-9a-f]{32}(\.[a-z]+)?")  # name of a complete upload
_PARTIAL = ".part"  # suffix of a file that is not complete
_BIDI = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")  # would show a name in another order
_TOO_LARGE = f"The file is too large: at most {MAX_UPLOAD >> 20} MB are allowed. Split it into several files."
_TEXT_TOO_LARGE = f"The pasted text is too long: at most {MAX_TEXT >> 20} MB are allowed. Save it as a file instead."
_FIELD_TOO_LARGE = "A field of the form is too long. Load the page again."


@dataclass(slots=True, kw_only=True)
class Upload:
    """A stored upload."""

    path: Path
    name: str  # to be shown: as the browser gave it, without folders and invisible characters
    no_header: bool = False  # the user says that the first row is data
    is_host_list: bool = False  # made of a pasted list: each host is also the name of its monitor

    def renamed(self, message: str) -> str:
        """A message of a reader about the stored file, with the name that the user knows."""
        return message.replace(self.path.name, self.name)


@dataclass(slots=True)
class _Form:
    """What was received so far."""

    upload: Upload | None = None
    text: str = ""
    no_header: bool = False
    written: list[Path] = field(default_factory=list)


class Uploads:
    """The folder of the uploads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)

    def remove_partial(self) -> None:
        """Remove what an earlier server had not received completely when it was killed."""
        with suppress(OSError):
            for path in self.folder.glob(f"*{_PARTIAL}"):
                path.unlink()

    @asynccontextmanager
    async def receive(self, request: web.Request) -> AsyncIterator[Upload]:
        """Store the upload of a form; if the block raises, the file is removed again.

        Raises `RequestError`, `StoreError` or `BrowserLeft`. It waits while too many others are received or read.
        """
        expected = request.content_length
        if expected is not None and expected > MAX_UPLOAD + MAX_TEXT:
            raise RequestError(_TOO_LARGE, 413)
        async with self._slots:
            form = _Form()
            try:
                yield await self._received(request, form)
            except BaseException:
                with suppress(OSError):
                    for path in form.written:
                        path.unlink(missing_ok=True)
                raise

    async def _received(self, request: web.Request, form: _Form) -> Upload:
        try:
            async with asyncio.timeout(LONGEST):
                await self._take_all(request, form)
                return await self._finished(form)
        except TimeoutError as error:
            raise RequestError("The upload took too long. Try again over a faster connection.", 408) from error

    async def _take_all(self, request: web.Request, form: _Form) -> None:
        """Receive all parts of a form."""
        access = access_of(request)
        reader = FormReader(request, MAX_UPLOAD + MAX_TEXT + MAX_PARTS * MAX_FIELD, _TOO_LARGE)
        is_confirmed = access.is_confirmed
        for _ in range(MAX_PARTS):
            part = await reader.next_part()
            if part is None:
                return
            if part.name == TOKEN_FIELD:
                is_confirmed = is_confirmed or access.has_token(await part.text(MAX_FIELD, _FIELD_TOO_LARGE))
            if not is_confirmed:  # before anything is stored
                raise RequestError("This form is out of date. Load the page again, and repeat the step.", 403)
            await self._take(part, form)
        raise RequestError("The form has too many fields. Load the page again.")

    async def _take(self, part: Part, form: _Form) -> None:
        """Store what a part contains."""
        if part.name == "file":
            upload = await self._store_file(part, form)
            if upload is not None and form.upload is not None:
                raise RequestError("Choose one file at a time.")
            form.upload = form.upload or upload
        elif part.name == "text":
            form.text = await part.text(MAX_TEXT, _TEXT_TOO_LARGE)
        elif part.name == "no_header":
            form.no_header = await part.text(MAX_FIELD, _FIELD_TOO_LARGE) not in ("", "0", "false")

    async def _finished(self, form: _Form) -> Upload:
        """The upload of a complete form."""
        has_text = bool(form.text.strip().strip("\ufeff"))
        if form.upload is not None and has_text:
            raise RequestError("Choose a file or paste rows, but not both.")
        if has_text:
            pasted = prepare_pasted(form.text)
            form.upload = Upload(
                path=await self._store(_one(pasted.text.encode()), pasted.suffix, form),
                name=PASTED_HOSTS_NAME if pasted.is_host_list else PASTED_NAME,
                is_host_list=pasted.is_host_list,
            )
        if form.upload is None:
            raise RequestError("Choose a file, or paste rows, first.")
        form.upload.no_header = form.no_header
        return form.upload

    async def _store_file(self, part: Part, form: _Form) -> Upload | None:
        """Store the content of a part; None if no file was chosen."""
        pieces = part.pieces()
        first = await anext(pieces, b"")
        if not first and not part.filename:
            return None
        suffix = Path(_basename(part.filename or "")).suffix.lower()
        path = await self._store(_chain(first, pieces), suffix if suffix in SUFFIXES else "", form)
        return Upload(path=path, name=shown_name(part.filename or ""))

    async def _store(self, pieces: AsyncIterator[bytes], suffix: str, form: _Form) -> Path:
        """Store content in a new file; it has its name only once it is complete."""
        with _storing():
            path = self._new_path(suffix)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        form.written.append(path)
        try:
            size = 0
            block = bytearray()
            async for piece in pieces:
                block += piece
                size += len(piece)
                if size > MAX_UPLOAD:
                    raise RequestError(_TOO_LARGE, 413)
                if len(block) >= BLOCK:
                    await _in_thread(_write, file, bytes(block))
                    block.clear()
            await _in_thread(_write, file, bytes(block))
            await _in_thread(os.fsync, file)
        finally:
            os.close(file)
        complete = path.with_name(path.name.removesuffix(_PARTIAL))
        with _storing():
            path.rename(complete)
        form.written.append(complete)
        return complete

    def _new_path(self, suffix: str) -> Path:
        """The path of a new file. Raises `RequestError` if there are too many already."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.scandir(self.folder) as entries:
            sizes = [_reserved(entry) for entry in entries]
        if len(sizes) >= MAX_FILES or sum(sizes) + MAX_UPLOAD > MAX_FOLDER:
            raise RequestError(
                "There is no room for further uploads on this server. Delete drafts that are no longer needed.", 507
            )
        return self.folder / f"{secrets.token_hex(16)}{suffix}{_PARTIAL}"


def _reserved(entry: os.DirEntry[str]) -> int:
    """The bytes that a file takes, or may take while it is received."""
    if entry.name.endswith(_PARTIAL):
        return MAX_UPLOAD
    try:
        return entry.stat(follow_symlinks=False).st_size
    except FileNotFoundError:  # its draft was deleted at this moment
        return 0


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def _chain(first: bytes, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for piece in pieces:
        yield piece


async def _in_thread(function: Callable[[int, bytes], None] | Callable[[int], None], *arguments: Any) -> None:
    """Work on an open file in a thread. If it is cancelled, wait for the thread, which still uses the file."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *arguments))
    with _storing():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            with suppress(Exception):
                await task
            raise


def shown_name(name: str) -> str:
    """The name of an uploaded file, to be shown: without folders, control characters and changes of direction."""
    base = _basename(name)
    if len(base) > MAX_NAME:
        suffix = Path(base).suffix if Path(base).suffix.lower() in SUFFIXES else ""
        base = base[: MAX_NAME - len(suffix)] + suffix
    return base or "upload"


def _basename(name: str) -> str:
    text = "".join(character for character in _BIDI.sub("", name) if unicodedata.category(character) not in _CONTROL)
    return re.split(r"[/\\]", text)[-1].strip(" .") if text.strip(" ./\\") else ""


_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})  # categories of Unicode


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


@contextmanager
def _storing() -> Iterator[None]:
    """Turn errors of the operating system into a sentence for the user."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            message = "The disk of the server is full, so the upload was not stored. Free some space, and try again."
            raise RequestError(message, 507) from error
        raise StoreError(f"The upload cannot be stored: {error.strerror or error}.") from error
