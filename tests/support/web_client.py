"""A browser without a screen, for tests of the upload page: one cookie, forms with their token, no scripts.

In: the start link of a server. Out: answers, with what their HTML contains. It follows no redirect by itself, so that a
test sees each one.
"""

from __future__ import annotations

import http.client
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from html import unescape
from html.parser import HTMLParser
from typing import Self
from urllib.parse import urlencode, urlsplit

from tests.support.waiting import TIMEOUT, wait_until

CSV_HEADER = "type,name,hostname,billing_plancode"
Fields = Mapping[str, str] | Sequence[tuple[str, str]]


@dataclass(slots=True, kw_only=True)
class Answer:
    """An answer of the server."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode("utf-8")

    @property
    def location(self) -> str:
        """Where a redirect leads; empty if this is none."""
        return self.headers.get("Location", "")

    @property
    def html(self) -> Html:
        """What the page contains."""
        return Html.of(self.text)

    @property
    def shown(self) -> str:
        """The text of the page as a person reads it."""
        return self.html.text


@dataclass(slots=True)
class Form:
    """A form of a page."""

    method: str
    action: str
    fields: list[tuple[str, str]] = field(default_factory=list)  # those with a value, buttons left out
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Html(HTMLParser):
    """The tags, texts and forms of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.forms: list[Form] = []
        self._texts: list[str] = []
        self._form: Form | None = None
        self._textarea: list[str] | None = None
        self._options: list[tuple[bool, str]] = []  # of the select: is chosen, value
        self._open: Mapping[str, str] = {}  # attributes of the open select or textarea
        self._ids: dict[str, Form] = {}
        self._outside: list[tuple[str, bool, str, str]] = []  # form ID, is a button, name, value

    @classmethod
    def of(cls, text: str) -> Self:
        """Parse a page."""
        parser = cls()
        parser.feed(text)
        parser.close()
        for form_id, is_button, name, value in parser._outside:
            form = parser._ids[form_id]
            (form.buttons if is_button else form.fields).append((name, value))
        return parser

    @property
    def text(self) -> str:
        """The text, with single spaces."""
        return " ".join("".join(self._texts).split())

    def form(self, action: str) -> Form:
        """The first form that goes to an address ending like this."""
        return next(form for form in self.forms if form.action.endswith(action))

    def links(self) -> list[str]:
        """The addresses of all links."""
        return [attributes["href"] for tag, attributes in self.tags if tag == "a" and attributes.get("href")]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a tag."""
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        if tag == "form":
            self._form = Form(attributes.get("method", "get"), attributes.get("action", ""))
            self.forms.append(self._form)
            self._ids[attributes.get("id", "")] = self._form
        elif tag in ("textarea", "select"):
            self._open, self._options = attributes, []
            self._textarea = [] if tag == "textarea" else None
        elif tag == "option":
            self._options.append(("selected" in attributes, attributes.get("value", "")))
        elif tag == "input" and "name" in attributes:
            if attributes.get("type") not in ("radio", "checkbox", "file") or "checked" in attributes:
                self._add(attributes, is_button=False, value=attributes.get("value", ""))
        elif tag == "button" and "name" in attributes:
            self._add(attributes, is_button=True, value=attributes.get("value", ""))
        self._texts.append(" " if tag not in ("b", "i", "strong", "bdi", "span") else "")

    def handle_endtag(self, tag: str) -> None:
        """Note the end of a tag."""
        if tag == "form":
            self._form = None
        elif tag == "textarea" and self._textarea is not None:
            text = "".join(self._textarea).removeprefix("\n")
            self._add(self._open, is_button=False, value=text)
            self._textarea = None
        elif tag == "select" and self._options:
            self._add(self._open, is_button=False, value=max(self._options, key=lambda option: option[0])[1])
        self._texts.append(" " if tag not in ("b", "i", "strong", "bdi", "span") else "")

    def handle_data(self, data: str) -> None:
        """Note a text."""
        self._texts.append(data)
        if self._textarea is not None:
            self._textarea.append(data)

    def _add(self, attributes: Mapping[str, str], *, is_button: bool, value: str) -> None:
        name = attributes.get("name", "")
        if "form" in attributes:
            self._outside.append((attributes["form"], is_button, name, value))
        elif self._form is not None:
            (self._form.buttons if is_button else self._form.fields).append((name, value))


class Visitor:
    """One browser at one server."""

    def __init__(self, address: str) -> None:
        """Open the start link of a server."""
        parts = urlsplit(address)
        self.host, self.port = parts.hostname or "", parts.port or 80
        self.cookie = ""
        entered = self.get(f"{parts.path}?{parts.query}")
        self.cookie = entered.headers["Set-Cookie"].partition(";")[0]
        self.token = self._token()

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a request with the cookie and these headers."""
        own = {"Cookie": self.cookie} if self.cookie else {}
        with closing(http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT)) as connection:
            connection.request(method, path, body, {**own, **(headers or {})})
            response = connection.getresponse()
            return Answer(status=response.status, headers=response.headers, body=response.read())

    def get(self, path: str) -> Answer:
        """Load a page."""
        return self.request("GET", path)

    def post(self, path: str, fields: Fields = (), *, token: str | None = None) -> Answer:
        """Send a form; it has the form token unless another one is given."""
        pairs = [*(fields.items() if isinstance(fields, Mapping) else fields)]
        if all(name != "token" for name, _ in pairs):
            pairs.append(("token", self.token if token is None else token))
        body = urlencode(pairs).encode()
        return self.request("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def press(
        self, form: Form, button: tuple[str, str] | None = None, changed: Mapping[str, str] | None = None
    ) -> Answer:
        """Send a form of a page as it is, with some fields changed."""
        new = dict(changed or {})
        fields = [(name, new.pop(name, value)) for name, value in form.fields]
        assert not new, f"the form has no {', '.join(new)}"
        return self.post(form.action, [*fields, *([button] if button else [])])

    def upload(self, content: bytes, name: str = "hosts.csv", **fields: str) -> Answer:
        """Send a file."""
        body, content_type = multipart(
            [("token", None, self.token.encode()), *_encoded(fields), ("file", name, content)]
        )
        return self.request("POST", "/drafts", body, {"Content-Type": content_type})

    def draft(self, content: bytes, name: str = "hosts.csv", **fields: str) -> str:
        """Upload a file, and wait until it is read; returns the address of the draft."""
        sent = self.upload(content, name, **fields)
        assert sent.status == 303, sent.shown
        self.until(sent.location, lambda answer: "Reading the file" not in answer.text)
        return sent.location

    def choose_columns(self, draft: str, fields: Sequence[str]) -> Answer:
        """Say what the first columns mean; the others are not sent."""
        form = self.get(f"{draft}/columns").html.form("/columns")
        chosen = {name: "-" for name, _ in form.fields if name.startswith("column-")}
        return self.press(form, changed=chosen | {f"column-{index}": field for index, field in enumerate(fields)})

    def compared(self, draft: str, **choice: str) -> Answer:
        """Compare a draft with the account; returns the page with the buttons that begin a run."""
        sent = self.press(self.get(f"{draft}/start").html.form("/plan"), changed=choice)
        assert sent.status == 303, sent.shown
        return self.until(sent.location, lambda answer: f'action="{draft}/plan"' in answer.text)

    def begun(self, draft: str, first: str = "all") -> str:
        """Compare a draft, and begin its run; returns the address of its job."""
        return self.press(self.compared(draft).html.form("/start"), ("first", first)).location

    def run(self, draft: str, first: str = "all") -> str:
        """Compare a draft, and run it; returns the address of the run when it has ended."""
        job = self.begun(draft, first)
        self.until(job, lambda answer: "<h1" in answer.text and "Results<" in answer.text)
        return self.get(job).location

    def until(self, path: str, condition: object) -> Answer:
        """Load a page, following redirects, until the condition is true of it."""
        answers = [self.follow(path)]
        assert callable(condition)

        def is_true() -> bool:
            if condition(answers[-1]):
                return True
            answers.append(self.follow(path))
            return False

        wait_until(is_true)
        return answers[-1]

    def follow(self, path: str) -> Answer:
        """Load a page, and where it redirects to."""
        for _ in range(10):
            answer = self.get(path)
            if not answer.location:
                return answer
            path = answer.location
        raise AssertionError(f"redirected for ever: {path}")

    def _token(self) -> str:
        found = re.search('name="token" value="([0-9a-f]+)"', self.get("/").text)
        assert found, "the start page has no form token"
        return unescape(found[1])


def multipart(parts: Sequence[tuple[str, str | None, bytes]]) -> tuple[bytes, str]:
    """The body and content type of a form with name, file name and content of each part, as browsers write it."""
    boundary = f"----bulkload{secrets.token_hex(8)}"
    return b"".join(_pieces(parts, boundary)), f"multipart/form-data; boundary={boundary}"


def _pieces(parts: Sequence[tuple[str, str | None, bytes]], boundary: str) -> Iterator[bytes]:
    for name, filename, content in parts:
        shown = "" if filename is None else f'; filename="{_escaped(filename)}"'
        yield f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{shown}\r\n\r\n'.encode()
        yield content + b"\r\n"
    yield f"--{boundary}--\r\n".encode()


def _escaped(name: str) -> str:
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _encoded(fields: Mapping[str, str]) -> list[tuple[str, str | None, bytes]]:
    return [(name, None, value.encode()) for name, value in fields.items()]


def csv_of(rows: int, prefix: str = "m") -> bytes:
    """A file of valid rows."""
    lines = [f"imap,{prefix}{number},mx{number}.example.com,UBM - A/A" for number in range(rows)]
    return "\n".join([CSV_HEADER, *lines, ""]).encode()
