"""The warnings of one kind are replaced; everything else about the rows stays, and the store stays usable meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulkload.model import Issue, Status
from bulkload.store.row_records import NewRow
from bulkload.store.rows import WARNINGS_STORED_AT_ONCE
from bulkload.store.runs import Run, Store
from tests.support.stores import ACCOUNT, begin_run, context_of, new_row, stored_run

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def _issue(code: str, message: str = "m", **more: str) -> Issue:
    return Issue(code=code, message=message, severity="warning", **more)  # type: ignore[arg-type]


def _issues(store: Store, run: Run) -> list[tuple[Issue, ...]]:
    return [row.issues for row in store.report_rows(run)]


@given(
    before=st.lists(st.tuples(st.integers(0, 3), TEXTS, st.booleans()), max_size=6),
    after=st.lists(st.tuples(st.integers(0, 3), TEXTS), max_size=6),
)
def test_only_the_warnings_of_the_code_are_replaced(
    tmp_path_factory: pytest.TempPathFactory, before: list[tuple[int, str, bool]], after: list[tuple[int, str]]
) -> None:
    """Others keep their order and every character; a row without any warning has none, as before."""
    with Store(tmp_path_factory.mktemp("store")) as store:
        account_id = store.account_id(*ACCOUNT)
        read = [_issue("cell", "as read", value='"code":"account.near"')]
        rows: list[NewRow] = [new_row(0, issues=tuple(read)), *map(new_row, range(1, 4))]
        run = begin_run(store, account_id, rows)
        own = context_of(store, run, account_id).rows
        for position, text, is_replaced in before:
            code = "account.near" if is_replaced else f"account.other{text}"
            own.replace_warnings(code, [(position, _issue(code, text, column=text, value=text))])
        kept = [[issue for issue in issues if issue.code != "account.near"] for issues in _issues(store, run)]
        new = [(position, _issue("account.near", text, column=text)) for position, text in after]
        assert own.replace_warnings("account.near", iter(new)) == len(new)
        added = [[issue for position, issue in new if position == number] for number in range(4)]
        assert _issues(store, run) == [tuple(old + more) for old, more in zip(kept, added, strict=True)]
        assert own.replace_warnings("account.near", []) == 0
        assert _issues(store, run) == [tuple(old) for old in kept]


def test_the_issues_of_an_invalid_row_stay(tmp_path: Path) -> None:
    """They are compressed."""
    issue = Issue(code="port.range", message='"code":"account.near"')
    with stored_run(tmp_path, rows=0) as (store, run, context):
        row = new_row(0, state=Status.INVALID, error=issue.message, issues=(issue,))
        store.add(run, 0, [row])
        context.rows.replace_warnings("account.near", [])
        assert _issues(store, run) == [(issue,)]


def test_another_process_can_write_while_warnings_are_found(tmp_path: Path) -> None:
    """Finding them may take long; the store is locked only while they are stored, in parts."""
    count = WARNINGS_STORED_AT_ONCE + 1
    with stored_run(tmp_path, rows=count) as (_, run, context), Store(tmp_path) as other:
        other.db.execute("PRAGMA busy_timeout = 0")

        def find() -> Iterator[tuple[int, Issue]]:
            for number in range(count):
                if number in (0, 1, WARNINGS_STORED_AT_ONCE):
                    other.begin("run", f"{number}.csv", (), account_id=None, details={}, settings={})
                yield number, _issue("account.near", str(number))

        assert context.rows.replace_warnings("account.near", find()) == count
        assert [int(issue.message) for (issue,) in _issues(other, run)] == list(range(count))
