"""One sentence for many rows: it says what is wrong, and nothing that is true of one of them only."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pytest

from bulkload.model import Issue
from bulkload.settings import Options
from bulkload.store.draft_pages import DraftPages
from bulkload.web.kind_texts import kind_text
from bulkload.web.pages.row_table import TableQuery, draft_table
from tests.support.drafts import PLAN, again, locked_store, rows_of, upload, upload_text
from tests.support.paths import SAMPLES

HEADER = "type,name,hostname,port,interval,timeout,enabled,locations,home_location,note,mode,resolve_dns,email\n"
PAIRS = (  # two rows with the same mistake, and other texts
    ("imap,,a.example.com", "pop,,b.example.com"),
    (",n,a.example.com", ",m,b.example.com"),
    ("imap,n,", "pop,n,"),
    ("imap,n,mx1", "imap,n,post2"),
    ("imap,n,mx.example.com/x", "imap,n,other.example.org/y/z"),
    ("imap,n,a_b.example.com", "imap,n,c_d.example.org"),
    ("imap,n,https://one.example.com", "imap,n,http://two.example.com/x"),
    ("imap,n,a.example.com:993,143", "pop,n,b.example.com:110,995"),
    ("imap,n,smtps://a.example.com", "smtp,n,imaps://b.example.com"),
    ("imaps,n,a.example.com,143", "smtps,n,b.example.com,25"),
    ("imap,n,a.example.com,99999", "imap,n,b.example.com,70000"),
    ("imap,n,a.example.com,110", "pop,n,b.example.com,143"),
    ("imap,n,a.example.com,,15 min", "imap,n,b.example.com,,1 hour"),
    ("imap,n,a.example.com,,,,,10;20,30", "imap,n,b.example.com,,,,,26;27,31"),
    ("imap,n,192.0.2.1,,,,,,,,,yes", "imap,n,192.0.2.2,,,,,,,,,on"),
    ("imap,n,a.example.com,,,,,,,,,,x@example.com", "pop,n,b.example.com,,,,,,,,,,y@example.com"),
    ("imap,None,a.example.com", "imap,NULL,b.example.com"),
    ("imap,n,a.example.com,,,,,,,,x,,,more", "imap,n,b.example.com,,,,,,,,y,,,1,2,3"),
    ("imap,n\u200bx,a.example.com", "imap,n\u2060y,b.example.com"),
    ("imap,n\u00a0x,a.example.com", "imap,n\u2003y,b.example.com"),
    (f"imap,{'n' * 300},a.example.com", f"imap,{'m' * 400},b.example.com"),
)


def issues_by_kind(rows: list[tuple[Issue, ...]]) -> defaultdict[tuple[str, int | None, str], list[Issue]]:
    kinds: defaultdict[tuple[str, int | None, str], list[Issue]] = defaultdict(list)
    for issues in rows:
        for issue in issues:
            kinds[issue.code, issue.index, issue.severity].append(issue)
    return kinds


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0][:40])
def test_the_text_is_the_same_whichever_row_it_is_made_of(pair: tuple[str, str], tmp_path: Path) -> None:
    options = Options(output=tmp_path, set=PLAN)
    with locked_store(options) as store:
        draft = upload_text(store, HEADER + "".join(f"{line}\n" for line in pair), options)
        kinds = issues_by_kind([row.issues for row in rows_of(store, draft)])
    both = {key: issues for key, issues in kinds.items() if len(issues) == 2}
    assert both
    for issues in both.values():
        texts = {kind_text(issue) for issue in issues}
        assert len(texts) == 1, texts
        (text,) = texts
        assert text[0].isupper() or text.startswith(str(issues[0].field))
        assert text.endswith(".")
        assert "--" not in text


def test_no_text_quotes_a_cell(tmp_path: Path) -> None:
    options = Options(output=tmp_path, set=PLAN)
    with locked_store(options) as store:
        draft = upload(store, SAMPLES / "mistakes.csv", options)
        issues = [issue for row in rows_of(store, draft) for issue in row.issues]
    assert len({issue.code for issue in issues}) > 40
    usual = {"imap", "0", "30", "10;20", "IMAP", "probe", "192.0.2.10"}  # also in rules, as examples
    for issue in issues:
        if issue.value.strip() not in usual | {""}:
            assert issue.value not in kind_text(issue), issue


@pytest.mark.parametrize(
    ("issue", "text"),
    [
        (Issue(code="email.missing", field="email", message="email is missing; x."), "email: it is missing."),
        (Issue(code="email.missing", field="email", index=3, message="email is missing; x."), "It is missing."),
        (Issue(code="x.new", field="x", index=1, message="x is y; use z."), "Use z."),
        (Issue(code="x.new", field="x", index=1, message="x is not known."), "X is not known."),
        (Issue(code="row.duplicate", message="Repeats row 7."), "The row repeats an earlier one."),
        (Issue(code="note.length", index=2, message="note has 300 characters; at most 255 are allowed."),
         "It is too long; at most 255 characters are allowed."),
    ],
)  # fmt: skip
def test_texts(issue: Issue, text: str) -> None:
    assert kind_text(issue) == text


def test_the_kinds_of_a_table(tmp_path: Path) -> None:
    text = (
        "type,name,hostname,port,enabled\nimap,a,a.example.com,99999\nimap,b,b.example.com,70000\npop,c,,143,x,long\n"
    )
    options = Options(output=tmp_path, set=PLAN)
    with locked_store(options) as store:
        draft = upload_text(store, text, options)
        table = draft_table(DraftPages(store, again(store, draft)), TableQuery(path="/drafts/1"))
    kinds = [(kind.rows, kind.column, kind.text, kind.can_set, kind.can_accept) for kind in table.kinds]
    assert kinds == [
        ("2", "port", "A port is a whole number from 1 to 65535.", True, False),
        (
            "1",
            "enabled",
            "enabled is x; use true/false, yes/no, y/n, on/off, 1/0 or enabled/disabled.",
            True,
            False,
        ),
        ("1", "hostname", "hostname is missing; pop monitors need it.", True, False),
        ("1", "", "The row has 6 cells, but the header has 5 columns; the extra content is 'long'.", False, True),
    ]
