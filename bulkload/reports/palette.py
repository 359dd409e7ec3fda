"""Define one colour per status, for the workbook and the page.

In: nothing. Out: `PALETTE`, `css_class`. Colour never carries the status alone; its text is always there too. The
strong colours follow the Okabe-Ito set, which is distinguishable with the common kinds of colour blindness.
"""

from __future__ import annotations

from dataclasses import dataclass

from bulkload.model import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """The colours of one status; `ink` is readable on `fill`, and `dark_ink` on `dark_fill`."""

    strong: str  # bars and marks
    fill: str
    ink: str
    dark_fill: str
    dark_ink: str


_GREEN = Colours(strong="#009E73", fill="#DDF3EB", ink="#00513B", dark_fill="#0B3A2D", dark_ink="#9BE3CB")
_SKY = Colours(strong="#56B4E9", fill="#DFF1FB", ink="#0B4A70", dark_fill="#12394F", dark_ink="#A9DBF7")
_BLUE = Colours(strong="#0072B2", fill="#D9E9F4", ink="#003E61", dark_fill="#0A3148", dark_ink="#9CCBEA")
_STONE = Colours(strong="#6B6B6B", fill="#E6E6E3", ink="#3A3A38", dark_fill="#33332F", dark_ink="#CFCFC9")
_RED = Colours(strong="#D55E00", fill="#FBE3D3", ink="#7A3300", dark_fill="#4A2408", dark_ink="#FFC29B")
_AMBER = Colours(strong="#E69F00", fill="#FDF0D2", ink="#684700", dark_fill="#45340A", dark_ink="#F8D68A")
_CRIMSON = Colours(strong="#A3193F", fill="#F8DCE3", ink="#741029", dark_fill="#4B1122", dark_ink="#F7B3C4")
_PINK = Colours(strong="#CC79A7", fill="#F8E4EF", ink="#6E2350", dark_fill="#45203A", dark_ink="#F1BFDB")
_VIOLET = Colours(strong="#6F4AA8", fill="#E9E1F5", ink="#43256F", dark_fill="#33224F", dark_ink="#D3C0F2")
_GREY = Colours(strong="#A8A8A8", fill="#F1F1F1", ink="#4A4A4A", dark_fill="#2B2B2B", dark_ink="#C4C4C4")

PALETTE = {
    Status.CREATED: _GREEN,
    Status.UPDATED: _SKY,
    Status.EXISTS: _BLUE,
    Status.REMOVED: _STONE,
    Status.INVALID: _RED,
    Status.DUPLICATE: _AMBER,
    Status.REJECTED: _CRIMSON,
    Status.FAILED: _PINK,
    Status.UNKNOWN: _VIOLET,
    Status.NOT_ATTEMPTED: _GREY,
    Status.WILL_CREATE: _GREEN,
    Status.WILL_UPDATE: _SKY,
}


def css_class(status: str) -> str:
    """The CSS class of a status in pages."""
    return "s-" + status.replace(" ", "-").replace("_", "-")
