"""Others are told: a health check is pinged, a webhook gets the summary. Neither can fail or hold up a run.

In: an address, which may hold a secret in its path and is never logged whole. Out: nothing; trouble is a warning.
"""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

LONGEST_WAIT = 10.0  # seconds that a ping may take in all
LONGEST_BODY = 100_000  # bytes; what Healthchecks keeps

log = logging.getLogger(__name__)


def ping(address: SecretStr | None, what: Literal["start", "success", "fail"], text: str = "") -> None:
    """Tell a Healthchecks-style address how things stand: `<address>/start`, `<address>`, `<address>/fail`."""
    if address is not None:
        body = text.encode("utf-8", "replace")[:LONGEST_BODY]
        _post(_below(address.get_secret_value(), what), body, "text/plain; charset=utf-8", "ping")


def post_json(address: SecretStr | None, found: dict[str, object]) -> None:
    """Post an object to a webhook."""
    if address is not None:
        _post(address.get_secret_value(), json.dumps(found).encode(), "application/json", "webhook")


def shown(address: str) -> str:
    """An address without what may be secret in it."""
    parts = urlsplit(address)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}/…"


def _below(address: str, what: str) -> str:
    """Put a word behind the path and before the parameters."""
    if what == "success":
        return address
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{what}"))


def _post(address: str, body: bytes, kind: str, name: str) -> None:
    import aiohttp

    async def send() -> int:
        timeout = aiohttp.ClientTimeout(total=LONGEST_WAIT)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.post(address, data=body, headers={"Content-Type": kind}) as answer,
        ):
            return answer.status

    try:  # in a thread of its own, since a signal that strikes inside of an event loop leaves its tasks in pieces
        with ThreadPoolExecutor(1) as thread:
            status = thread.submit(lambda: asyncio.run(send())).result()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        # Only the kind of trouble: the text of some errors holds the whole address
        log.warning("the %s to %s failed: %s", name, shown(address), type(error).__name__)
        return
    if status >= 400:
        log.warning("the %s to %s was answered with HTTP %d", name, shown(address), status)
