"""Notify other systems: ping a health check, post the summary to a webhook. Neither can fail or delay a run for long.

In: an address, which may contain a secret and is never logged in full. Out: a request; a failure is only logged.
"""

from __future__ import annotations

import asyncio
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

TIMEOUT = 10.0  # seconds for one request
MAX_BODY = 100_000  # bytes; Healthchecks stores no more

log = logging.getLogger(__name__)


def ping(address: SecretStr | None, event: Literal["start", "success", "fail"], text: str = "") -> None:
    """Ping a Healthchecks-style address: `<address>/start`, `<address>` or `<address>/fail`."""
    if address is not None:
        body = text.encode("utf-8", "replace")[:MAX_BODY]
        _post(_event_address(address.get_secret_value(), event), body, "text/plain; charset=utf-8", "ping")


def post_json(address: SecretStr | None, content: dict[str, object]) -> None:
    """Post a JSON object to a webhook."""
    if address is not None:
        _post(address.get_secret_value(), json.dumps(content).encode(), "application/json", "webhook")


def redacted(address: str) -> str:
    """An address without the parts that may be secret: user, path and parameters."""
    parts = urlsplit(address)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}/…"


def _event_address(address: str, event: str) -> str:
    """Append the event to the path, before the parameters."""
    if event == "success":
        return address
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{event}"))


def _post(address: str, body: bytes, content_type: str, name: str) -> None:
    import aiohttp

    async def send() -> int:
        timeout = aiohttp.ClientTimeout(total=TIMEOUT)
        async with (
            aiohttp.ClientSession(timeout=timeout, trust_env=True) as session,
            session.post(address, data=body, headers={"Content-Type": content_type}) as response,
        ):
            return response.status

    try:  # in its own thread, because a signal during an event loop would leave its tasks unfinished
        with ThreadPoolExecutor(1) as thread:
            status = thread.submit(lambda: asyncio.run(send())).result()
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        # Only the error's type: the message of some errors contains the whole address
        log.warning("the %s to %s failed: %s", name, redacted(address), type(error).__name__)
        return
    if status >= 400:
        log.warning("the %s to %s was answered with HTTP %d", name, redacted(address), status)
