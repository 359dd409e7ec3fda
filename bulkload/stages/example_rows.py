"""Keep rows with reserved example hosts out of a real account.

In: checked rows. Out: the same rows; one that would create a monitor of an example host is invalid, or has a warning.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Literal

from bulkload.model import Issue, State, Status
from bulkload.monitors.example_hosts import EXAMPLE_MARK, is_marked, reserved_host
from bulkload.monitors.header import ColumnMapping
from bulkload.store.row_records import NewRow

Examples = Literal["allow", "warn", "refuse"]
_MARKED = re.compile(f"\t{EXAMPLE_MARK}")
_MAY_BE_RESERVED = re.compile("example|invalid|test", re.IGNORECASE)
_HOST_FIELDS = ("hostname", "smtp_hostname", "pop3_hostname")


def without_examples(rows: Iterable[NewRow], layout: ColumnMapping, examples: Examples) -> Iterator[NewRow]:
    """Refuse rows whose host is reserved for examples, or warn about those that are examples of the template."""
    is_candidate = _MARKED.search if examples == "warn" else _MAY_BE_RESERVED.search  # quick: most rows are none
    for row in rows:
        if row.key is not None and is_candidate(row.key) and row.state is State.PENDING and not row.finished_in_file:
            yield _checked(row, row.key, layout, examples)
        else:
            yield row


def _checked(row: NewRow, key: str, layout: ColumnMapping, examples: Examples) -> NewRow:
    if (examples == "warn" and not is_marked(key)) or (host := reserved_host(key)) is None:
        return row
    what = "is an example row of the template" if is_marked(key) else "has no real server"
    message = (
        f"{host} is a reserved example name, so the row {what}; enter your own host, or delete the row. "
        "Example hosts work only in the sandbox (--sandbox)."
    )
    indexes = [layout.fields.index(field) for field in _HOST_FIELDS if field in layout.fields]
    with_host = (index for index in indexes if index < len(row.cells) and host in row.cells[index].casefold())
    index = next(with_host, indexes[0] if indexes else None)
    column = None if index is None else layout.header[index]
    issue = Issue(
        code="hostname.example",
        message=message,
        field="hostname",
        column=column,
        index=index,
        value=host,
        severity="warning" if examples == "warn" else "error",
    )
    if examples == "warn":
        return row._replace(issues=(*row.issues, issue))
    return row._replace(
        state=Status.INVALID,
        type=None,
        key=None,
        body=None,
        error=message,
        error_columns=(column,) if column else (),
        issues=(issue, *row.issues),
    )
