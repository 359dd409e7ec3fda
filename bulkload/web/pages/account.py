"""The account: that of the server's settings, or one that somebody types for the session.

In: user name and password. Out: credentials in memory, for this session only.
"""

from __future__ import annotations

from aiohttp import web

from bulkload.errors import UsageError
from bulkload.settings import has_credentials
from bulkload.web.access import access_of, local_address, read_form
from bulkload.web.site import frame_of, go_to, page
from bulkload.web.state import ACCOUNT, CREDENTIALS, OPTIONS
from bulkload.web.views import AccountView

_LONGEST = 1000  # characters of a user name or password


async def show(request: web.Request) -> web.Response:
    """Show which account is used."""
    own, typed = request.app[ACCOUNT], request.app[CREDENTIALS].get(access_of(request).nonce)
    view = AccountView(
        own=(own.username or "access token") if has_credentials(own) else "",
        typed=typed.username if typed is not None else "",
        only_sandbox=request.app[OPTIONS].sandbox,
        next_href=local_address(request.query.get("next", "/account")),
    )
    return page(request, "account.html", frame_of(request, "Account", section="account"), account=view)


async def log_in(request: web.Request) -> web.Response:
    """Keep the credentials that were typed for this session, or forget them."""
    form, access = await read_form(request), access_of(request)
    credentials = request.app[CREDENTIALS]
    if request.app[OPTIONS].sandbox:
        raise UsageError("This server was started with --sandbox; it needs no account.")
    if form.get("forget"):
        credentials.forget(access.nonce)
        return go_to(request, "/account", "The login is forgotten.")
    username, password = str(form.get("username", "")).strip(), str(form.get("password", ""))
    target = local_address(str(form.get("next", "/account")))
    if not username or not password or len(username) > _LONGEST or len(password) > _LONGEST:
        return go_to(request, target, "Type both user name and password.", is_problem=True)
    credentials.set(access.nonce, request.app[ACCOUNT].logged_in_as(username, password))
    return go_to(request, target, f"Logged in as {username} for this session. The password is tried when it is needed.")
