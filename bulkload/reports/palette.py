"""One colour per status, the same in the workbook and on the page.

Nothing comes in; out comes `PALETTE`. Colour never stands alone: the status is always written beside it. The
strong colours follow the Okabe-Ito set, which stays distinguishable with the common kinds of colour blindness.
"""

from __future__ import annotations

from dataclasses import dataclass

from bulkload.model import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Colours:
    """How one status looks; `ink` is readable on `fill`, and `night_ink` on `night_fill`."""

    strong: str  # bars and marks
    fill: str
    ink: str
    night_fill: str
    night_ink: str


_GREEN = Colours(strong="#009E73", fill="#DDF3EB", ink="#00513B", night_fill="#0B3A2D", night_ink="#9BE3CB")
_SKY = Colours(strong="#56B4E9", fill="#DFF1FB", ink="#0B4A70", night_fill="#12394F", night_ink="#A9DBF7")
_BLUE = Colours(strong="#0072B2", fill="#D9E9F4", ink="#003E61", night_fill="#0A3148", night_ink="#9CCBEA")
_STONE = Colours(strong="#6B6B6B", fill="#E6E6E3", ink="#3A3A38", night_fill="#33332F", night_ink="#CFCFC9")
_RED = Colours(strong="#D55E00", fill="#FBE3D3", ink="#7A3300", night_fill="#4A2408", night_ink="#FFC29B")
_AMBER = Colours(strong="#E69F00", fill="#FDF0D2", ink="#684700", night_fill="#45340A", night_ink="#F8D68A")
_CRIMSON = Colours(strong="#A3193F", fill="#F8DCE3", ink="#741029", night_fill="#4B1122", night_ink="#F7B3C4")
_PINK = Colours(strong="#CC79A7", fill="#F8E4EF", ink="#6E2350", night_fill="#45203A", night_ink="#F1BFDB")
_VIOLET = Colours(strong="#6F4AA8", fill="#E9E1F5", ink="#43256F", night_fill="#33224F", night_ink="#D3C0F2")
_GREY = Colours(strong="#A8A8A8", fill="#F1F1F1", ink="#4A4A4A", night_fill="#2B2B2B", night_ink="#C4C4C4")

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
