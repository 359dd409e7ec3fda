"""Let in who knows the access key, and only requests that our own pages caused.

In: a request. Out: `access_of(request)` for its handler, or a page that asks for the key or says why it is refused.

The start link has the key, and leads to a cookie: a random nonce, signed with the key, so the server keeps no list of
sessions. Each form has a token made of the key and the nonce, against requests that other sites forge. The cookie is
not sent when a link on another site leads here; then a page of ours loads the same address again, once.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl, urlencode

from aiohttp import web

from bulkload.web.attempts import Attempts
from bulkload.web.origins import Origins, port_of
from bulkload.web.rendering import render
from bulkload.web.responses import RequestError, error_page, going_page
from bulkload.web.views import Frame, Message

KEY_BYTES = 32  # random bytes of a key that nobody chose
TOKEN_FIELD = "token"
TOKEN_HEADER = "X-Form-Token"
AGAIN = "again"  # query field of an address that a page of ours has loaded again
MAX_FIELDS = 20_000  # of a form
MAX_ADDRESS = 2000  # characters of an address to return to

_new_request_key: Any = getattr(web, "RequestKey", web.AppKey)  # aiohttp before 3.14 takes any key
_ACCESS = _new_request_key("access", object)
_FORM = _new_request_key("form", object)
_NONCE = re.compile(r"[A-Za-z0-9_-]{22}")
_SAFE_METHODS = ("GET", "HEAD")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
H = TypeVar("H", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What a handler knows of the browser that sent the request."""

    nonce: str  # of the session: of this browser, until it is closed or the key changes
    form_token: str  # for the hidden field "token" of each form, or the header X-Form-Token
    user: str = ""  # as a trusted proxy names them
    is_confirmed: bool = False  # the request has the form token, or needs none

    def has_token(self, token: str) -> bool:
        """True if this is the form token of the session."""
        return _equal(token, self.form_token)


def access_of(request: web.Request) -> Access:
    """The access of a request that has passed the guard."""
    return cast(Access, request[_ACCESS])


def checks_token_itself(handler: H) -> H:
    """Mark the handler of an upload: of a multipart form, the guard cannot read the token without storing the file."""
    handler.checks_token_itself = True  # type: ignore[attr-defined]
    return handler


def needs_no_key(handler: H) -> H:
    """Mark a handler that everybody may call: it reads nothing and does nothing."""
    handler.needs_no_key = True  # type: ignore[attr-defined]
    return handler


def new_key() -> str:
    """A random access key."""
    return secrets.token_urlsafe(KEY_BYTES)


class AccessControl:
    """The guard of all requests, with the access key."""

    def __init__(self, key: str, origins: Origins) -> None:
        self.origins = origins
        self._key = key.encode()
        self._attempts = Attempts()

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Answer the request in place of its handler unless it is allowed. For `Application(middlewares=…)`."""
        if request.path != "/health" and not self.origins.is_own_host(request):
            return _foreign_host(request)
        if getattr(request.match_info.handler, "needs_no_key", False):
            return await handler(request)
        is_safe = request.method in _SAFE_METHODS
        if not is_safe and self.origins.is_from_other_site(request):
            return error_page(403, "This request came from another site, so it was refused. Nothing was done.")
        if is_safe and "key" in request.query:
            return await self._enter(request)
        if request.path == "/login" and request.method == "POST":
            return await self._log_in(request)
        access = self._access(request)
        if access is None:
            return self._ask(request)
        if is_safe and (AGAIN in request.query or request.path == "/login"):
            raise web.HTTPSeeOther(_address(request))
        if not is_safe:
            access = await self._confirmed(request, access)
            if access is None:
                return error_page(
                    403,
                    "This form is out of date. Go back, load the page again, and repeat the step. Nothing was done.",
                )
        request[_ACCESS] = replace(access, is_confirmed=True) if is_safe else access
        return await handler(request)

    def _access(self, request: web.Request) -> Access | None:
        """The access that the cookie gives; None without a valid one."""
        nonce, _, signature = request.cookies.get(_cookie_name(request), "").partition(".")
        if not _NONCE.fullmatch(nonce) or not _equal(signature, self._sign("cookie", nonce)):
            return None
        return Access(nonce=nonce, form_token=self._sign("form", nonce), user=self.origins.user(request))

    async def _confirmed(self, request: web.Request, access: Access) -> Access | None:
        """The access if the request has the form token, or its handler will check that; None otherwise."""
        token = request.headers.get(TOKEN_HEADER)
        if token is None:
            is_upload = getattr(request.match_info.handler, "checks_token_itself", False)
            if is_upload and request.content_type == "multipart/form-data":
                return access
            token = _text(await read_form(request), TOKEN_FIELD)
        return replace(access, is_confirmed=True) if access.has_token(token) else None

    async def _enter(self, request: web.Request) -> web.StreamResponse:
        """Answer a link with the key."""
        target = _address(request)
        if self._access(request) is not None:
            raise web.HTTPSeeOther(target)
        if (refused := await self._check_key(request, request.query["key"], target)) is not None:
            return refused
        # Not a redirect: after a link on another site, the browser would not send the cookie with it
        response = going_page(target)
        return self._with_cookie(request, response)

    async def _log_in(self, request: web.Request) -> web.StreamResponse:
        form = await read_form(request)
        target = local_address(_text(form, "next"))
        if (refused := await self._check_key(request, _text(form, "key"), target)) is not None:
            return refused
        return self._with_cookie(request, web.Response(status=303, headers={"Location": target}))

    async def _check_key(self, request: web.Request, key: str, target: str) -> web.Response | None:
        """None if the key is right, else the response."""
        client = self.origins.client(request)
        if not await self._attempts.wait(client):
            return _login_page(
                target, "Too many keys are being tried at this moment. Wait a minute, and try again.", status=429
            )
        if not _equal(key.strip(), self._key.decode()):
            return _login_page(target, "This is not the access key of this server." if key.strip() else "")
        self._attempts.succeeded(client)
        return None

    def _ask(self, request: web.Request) -> web.StreamResponse:
        """Answer a request without access: ask for the key, or load the address again with the cookie."""
        if request.method not in _SAFE_METHODS:
            return _login_page("/", "Your access has ended, so nothing was done.")
        target = _address(request)
        # Browsers leave this header out on a connection that they do not trust; then it may be either
        may_be_link = request.headers.get("Sec-Fetch-Site", "cross-site") == "cross-site"
        if may_be_link and AGAIN not in request.query:
            again = f"{target}{'&' if '?' in target else '?'}{AGAIN}=1"
            return going_page(again, status=401)
        return _login_page(target)

    def _with_cookie(self, request: web.Request, response: web.Response) -> web.Response:
        nonce = secrets.token_urlsafe(16)
        response.set_cookie(
            _cookie_name(request),
            f"{nonce}.{self._sign('cookie', nonce)}",
            path="/",
            httponly=True,
            samesite="Strict",
            secure=self.origins.is_https(request) or None,
        )
        return response

    def _sign(self, purpose: str, nonce: str) -> str:
        return hmac.digest(self._key, (purpose + nonce).encode(), "sha256").hex()


async def read_form(request: web.Request) -> Any:
    """The fields of a form, the first of each name. Raises `RequestError` if it is malformed.

    Not as aiohttp reads it: a page of a wide file has more fields than that allows.
    """
    if (known := request.get(_FORM)) is not None:
        return known
    if request.content_type == "application/x-www-form-urlencoded":
        try:
            pairs = parse_qsl(
                (await request.read()).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=MAX_FIELDS
            )
        except ValueError as error:
            raise RequestError(f"The form has more than {MAX_FIELDS:,} fields.", 413) from error
        fields = dict[str, str]()
        for name, value in pairs:
            fields.setdefault(name, value)
        request[_FORM] = fields
        return fields
    try:
        return await request.post()
    except (ValueError, LookupError, AssertionError, RuntimeError) as error:
        raise RequestError("The browser sent a form that cannot be read. Load the page again.") from error


def local_address(text: str) -> str:
    """The address of a page of this server, without key; of anything else, such as another site's, the start page."""
    path, _, query = text.partition("#")[0].partition("?")
    is_local = path.startswith("/") and not path.startswith("//") and path != "/login" and len(text) <= MAX_ADDRESS
    if not is_local or not text.isascii() or not text.isprintable() or "\\" in text or " " in text:
        return "/"
    fields = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name not in ("key", AGAIN)]
    return path + (f"?{urlencode(fields)}" if fields else "")


def _address(request: web.Request) -> str:
    return local_address(request.raw_path)


def _text(form: Any, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def _equal(given: str, right: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode())


def _cookie_name(request: web.Request) -> str:
    """Browsers share cookies between all ports of a host, so that each server needs a name of its own."""
    return f"bulkload-{port_of(request.headers.get('Host', '')) or 'web'}"


def _foreign_host(request: web.Request) -> web.Response:
    shown = request.headers.get("Host", "")[:100] or "(none)"
    return error_page(
        403,
        f"This server does not answer requests for the host {shown}. If that is its name, start it with --allowed-host"
        " and the name, without a port.",
    )


def _login_page(target: str, problem: str = "", status: int = 401) -> web.Response:
    message = Message(text=problem, is_problem=True) if problem else None
    return web.Response(
        text=render("login.html", frame=Frame(title="Access key needed", message=message), next=target),
        status=status,
        content_type="text/html",
        headers={"Retry-After": "60"} if status == 429 else None,
    )
