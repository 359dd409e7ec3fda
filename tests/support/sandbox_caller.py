"""A plain caller of the stand-in, for its tests: logs in, sends JSON, returns status and JSON. Knows no retry."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from bulkload.sandbox import Faults, SandboxOptions
from bulkload.sandbox.server import Sandbox

USER = {"username": "sandbox@example.com", "password": "sandbox"}
MX1: dict[str, Any] = {"billing_plancode": "UBM - A/A", "name": "mx1 IMAP", "hostname": "mx1.example.com"}
BOUNCE: dict[str, Any] = {
    "billing_plancode": "UBM - A/A",
    "name": "bounce",
    "smtp_hostname": "smtps://smtp.example.com:465",
    "pop3_hostname": "pop3s://mail.example.com:995",
    "email": "probe@example.com",
}


@dataclass(slots=True)
class Caller:
    """One session with the stand-in."""

    sandbox: Sandbox
    session: aiohttp.ClientSession
    token: str = ""

    async def call(self, method: str, path: str, body: object = None, **more: Any) -> tuple[int, Any]:
        """Send one request below the base path; JSON is decoded, other text is not."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        url = self.sandbox.base_url + path
        more = {"headers": headers, "allow_redirects": False, **more}
        if body is not None:
            more["json"] = body
        async with self.session.request(method, url, **more) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(text) if is_json else text

    async def login(self) -> None:
        """Take a token for the calls to come."""
        status, answer = await self.call("POST", "/access-tokens", USER)
        assert status == 200, answer
        self.token = answer["access_token"]

    async def create(self, name: Any = "mx1 IMAP", **fields: Any) -> tuple[int, Any]:
        """Create an IMAP monitor."""
        return await self.call("POST", "/monitors/email-imap", {**MX1, "name": name, **fields})

    async def names(self) -> list[str]:
        """The names in the list."""
        status, answer = await self.call("GET", "/monitors")
        assert status == 200, answer
        return [monitor["name"] for monitor in answer["results"]]

    async def control(self, method: str, path: str, **more: Any) -> Any:
        """Use a control endpoint."""
        async with self.session.request(method, f"{self.sandbox.control_url}/{path}", **more) as response:
            return await response.json() if response.status != 204 else None


PATIENCE = 60.0  # seconds until the stand-in counts as stuck


@asynccontextmanager
async def calling(
    options: SandboxOptions | None = None,
    faults: Faults | None = None,
    *,
    login: bool = True,
    **more: Any,
) -> AsyncIterator[Caller]:
    """Start a stand-in and log in."""
    sandbox = Sandbox(options or SandboxOptions(), **more)
    async with sandbox, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE)) as session:
        caller = Caller(sandbox, session)
        if login:
            await caller.login()
        if faults:
            sandbox.set_faults(faults)  # after the login, so that it is not one of the requests counted
        yield caller
