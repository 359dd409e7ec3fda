"""The sandbox: a local stand-in for the AlertSite Management API v3, with faults on request.

    request ─▶ service (rate_window, schedule) ─▶ account (the documented API) ─▶ monitor_bodies (body to monitor)
                  │                                  ├─▶ state (SQLite)
                  │                                  └─▶ recipients (who is alerted, read-only)
                  ├─▶ alterations (monitors displayed differently from what was sent)
                  ├─▶ wire, endless_answers (the response: good, broken or without an end)
                  ├─▶ late_calls (what takes effect after its response)
                  └─▶ request_log (what was requested, answered and really done)

In: HTTP requests. Out: responses, and a log of what was really done. May import: nothing else of bulkload, so that the
client and the sandbox cannot share a mistake.

`SandboxOptions` describe the account, `Faults` what goes wrong in it. `Sandbox`, `running` and `serve` are in
`bulkload.sandbox.server`, which is not imported here because aiohttp takes time to start.
"""

from bulkload.sandbox.account_options import AlertRecipient, Location, RecipientGroup, SandboxError, SandboxOptions
from bulkload.sandbox.faults import KINDS, OPERATIONS, Faults, Rule

__all__ = [
    "KINDS",
    "OPERATIONS",
    "AlertRecipient",
    "Faults",
    "Location",
    "RecipientGroup",
    "Rule",
    "SandboxError",
    "SandboxOptions",
]
