"""A simple client of the sandbox, for its tests: logs in, sends JSON, returns status and JSON. It never retries."""

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
IMAP: dict[str, Any] = {"billing_plancode": "UBM - A/A", "name": "mx1 IMAP", "hostname": "mx1.example.com"}
ROUND_TRIP: dict[str, Any] = {
    "billing_plancode": "UBM - A/A",
    "name": "bounce",
    "smtp_hostname": "smtps://smtp.example.com:465",
    "pop3_hostname": "pop3s://mail.example.com:995",
    "email": "probe@example.com",
}


@dataclass(slots=True)
class SandboxClient:
    """A session with a running sandbox."""

    sandbox: Sandbox
    session: aiohttp.ClientSession
    token: str = ""

    async def request(self, method: str, path: str, body: object = None, **options: Any) -> tuple[int, Any]:
        """Send a request to a path below the base path; a JSON response is decoded."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        url = self.sandbox.base_url + path
        options = {"headers": headers, "allow_redirects": False, **options}
        if body is not None:
            options["json"] = body
        async with self.session.request(method, url, **options) as response:
            text = await response.text()
            is_json = response.content_type == "application/json"
            return response.status, json.loads(text) if is_json else text

    async def login(self) -> None:
        """Log in, and use the token in the following requests."""
        status, response = await self.request("POST", "/access-tokens", USER)
        assert status == 200, response
        self.token = response["access_token"]

    async def create(self, name: Any = "mx1 IMAP", **fields: Any) -> tuple[int, Any]:
        """Create an IMAP monitor; `fields` are added to its body."""
        return await self.request("POST", "/monitors/email-imap", {**IMAP, "name": name, **fields})

    async def list_names(self) -> list[str]:
        """The names of all listed monitors."""
        status, response = await self.request("GET", "/monitors")
        assert status == 200, response
        return [monitor["name"] for monitor in response["results"]]

    async def control(self, method: str, path: str, **options: Any) -> Any:
        """Send a request to a control endpoint."""
        async with self.session.request(method, f"{self.sandbox.control_url}/{path}", **options) as response:
            return await response.json() if response.status != 204 else None


TIMEOUT = 60.0  # seconds after which the sandbox counts as stuck


@asynccontextmanager
async def run_sandbox(
    options: SandboxOptions | None = None,
    faults: Faults | None = None,
    *,
    login: bool = True,
    **arguments: Any,
) -> AsyncIterator[SandboxClient]:
    """Run a sandbox during the block, with a client that has logged in."""
    sandbox = Sandbox(options or SandboxOptions(), **arguments)
    async with sandbox, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(TIMEOUT)) as session:
        client = SandboxClient(sandbox, session)
        if login:
            await client.login()
        if faults:
            sandbox.set_faults(faults)  # after the login, so that the rules do not count it
        yield client
