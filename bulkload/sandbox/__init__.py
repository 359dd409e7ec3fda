"""A local stand-in for the AlertSite Management API v3, with faults on request.

    request ─▶ service (rate limit, faults) ─▶ account (the documented API) ─▶ monitors (body to monitor)
                  │                                 └─▶ state (SQLite)
                  ├─▶ showing (monitors otherwise than they were sent)
                  ├─▶ wire, flood (the answer, good, broken or without an end)
                  ├─▶ late (what is carried out after its answer)
                  └─▶ journal (what was asked, answered and really done)

It is an island: nothing in here imports anything of bulkload outside this package, so that the client and the
stand-in cannot share a mistake. `Options` say what the account is like, `Faults` what goes wrong in it.
`Sandbox`, `running` and `serve` live in `bulkload.sandbox.server`, which is not imported here because aiohttp
costs start-up time.
"""

from bulkload.sandbox.account_options import Location, Options, SandboxError
from bulkload.sandbox.faults import KINDS, OPERATIONS, Faults, Rule

__all__ = ["KINDS", "OPERATIONS", "Faults", "Location", "Options", "Rule", "SandboxError"]
