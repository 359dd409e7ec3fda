"""Render the pages, and serve their style sheet and script from memory.

In: the records of `views`. Out: HTML, and static files with an address that changes with their content, so that a
browser may keep them forever.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined

from bulkload import __version__
from bulkload.model import Status
from bulkload.reports.palette import PALETTE, Colours, css_class

STATIC = "/static/"
_CONTENT_TYPES = {"style.css": "text/css", "app.js": "text/javascript"}

# what rows are called in the page besides their statuses, with the status whose colours they have
_FURTHER_STATES = {
    "ready": Status.WILL_CREATE,
    "waiting": Status.NOT_ATTEMPTED,
    "left out": Status.NOT_ATTEMPTED,
    "not a row": Status.NOT_ATTEMPTED,
    "sending": Status.EXISTS,
    "in doubt": Status.UNKNOWN,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """A file below `/static/`."""

    body: bytes
    content_type: str
    digest: str  # of the content; the query of its address


def render(template: str, **context: object) -> str:
    """Render a page; `context` holds what the template names, and always `frame`."""
    return _environment().get_template(template).render(context)


@cache
def static_files() -> dict[str, StaticFile]:
    """The static files by name; the style sheet ends with the colours of the statuses."""
    folder = resources.files("bulkload.web") / "static"
    files = {}
    for name, content_type in _CONTENT_TYPES.items():
        body = (folder / name).read_bytes()
        if name == "style.css":
            body += colours().encode()
        digest = hashlib.sha256(body).hexdigest()[:16]
        files[name] = StaticFile(body=body, content_type=content_type, digest=digest)
    return files


def static_address(name: str) -> str:
    """The address of a static file, with the digest of its content."""
    return f"{STATIC}{name}?{static_files()[name].digest}"


def colours() -> str:
    """CSS with one class per status: the palette of the reports as custom properties."""
    states = {**{status.value: status for status in PALETTE}, **_FURTHER_STATES}
    light = [_rule(name, PALETTE[status]) for name, status in states.items()]
    dark = [_dark_rule(name, PALETTE[status]) for name, status in states.items()]
    return "\n".join([*light, "@media (prefers-color-scheme: dark) {", *dark, "}", ""])


def _rule(name: str, colours: Colours) -> str:
    return f".{css_class(name)} {{ --strong: {colours.strong}; --fill: {colours.fill}; --row-ink: {colours.ink}; }}"


def _dark_rule(name: str, colours: Colours) -> str:
    return f"  .{css_class(name)} {{ --fill: {colours.dark_fill}; --row-ink: {colours.dark_ink}; }}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("bulkload.web"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.globals["static"] = static_address
    environment.globals["version"] = __version__
    return environment
