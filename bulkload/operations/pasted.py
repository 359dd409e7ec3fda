"""Make an input file's text of what somebody pasted: rows of a spreadsheet, or a bare list of hosts.

In: the pasted text. Out: the text to store. Rows are data and stay as they are; a list of hosts gets a header and a
name for each host, which is the host itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from bulkload.monitors.header import field_named

_NOT_IN_A_HOST = re.compile(r"[\s,;|\"'<>{}=]")
COMMENT = "#"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pasted:
    """The text to store, and its suffix."""

    text: str
    suffix: str
    is_host_list: bool


def prepare_pasted(text: str) -> Pasted:
    """Recognise a list of hosts; all other text is returned unchanged, with an end of its last line."""
    text = text.removeprefix("\ufeff")
    hosts = _hosts(text)
    if hosts:
        rows = "".join(f"{host}\t{host}\n" for host in hosts)
        return Pasted(text=f"name\thostname\n{rows}", suffix=".tsv", is_host_list=True)
    if not text.endswith(("\n", "\r")):
        text += "\n"  # nothing that was pasted is cut off, as a file that ends within a line may be
    # Spreadsheet programs copy cells with tabs between them, and commas may be part of any cell
    return Pasted(text=text, suffix=".tsv" if "\t" in text else ".txt", is_host_list=False)


def _hosts(text: str) -> list[str]:
    """The hosts of a list, one per line, without blank lines and comments; empty if the text is something else."""
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", text)]
    hosts = [line for line in lines if line and not line.startswith(COMMENT)]
    is_list = not any(_NOT_IN_A_HOST.search(host) for host in hosts)
    return hosts if hosts and is_list and field_named(hosts[0]) is None else []
