"""The forms of a draft as a browser sends them: column names, values of the server, columns that nobody can change."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from bulkload.store.draft_pages import DraftPages
from bulkload.store.drafts import Draft, Drafts, DraftState
from bulkload.store.runs import Store
from tests.support.drafts import statuses
from tests.support.upload_page import MULTIPART, Answer, UploadPage, multipart, upload_page
from tests.support.waiting import wait_until

PLAN = {"billing_plancode": "UBM - A/A"}


class Browser:
    """A browser with one draft."""

    def __init__(self, page: UploadPage) -> None:
        self._page = page
        self.path = ""

    def upload(self, text: str, name: str = "hosts.csv") -> Answer:
        """Upload a file, and show where the browser is sent."""
        form = multipart(("token", None, self._page.token.encode()), ("file", name, text.encode()))
        answer = self._page.ask("POST", "/drafts", form, Content_Type=MULTIPART)
        self.path = answer.headers["Location"].partition("?")[0]
        return self.show()

    def show(self, path: str = "") -> Answer:
        """The page of the draft, once its file is read; redirects are followed."""
        wait_until(lambda: self.draft().state not in (DraftState.READING, DraftState.CHECKING))
        answer = self._page.ask("GET", self.path + path)
        while answer.status == 303:
            answer = self._page.ask("GET", answer.headers["Location"])
        return answer

    def post(self, path: str, **fields: str) -> Answer:
        """Send a form, and show where the browser is sent."""
        form = {"token": self._page.token, "version": str(self.draft().version), **fields}
        answer = self._page.ask("POST", self.path + path, form)
        return self.show() if answer.status == 303 else answer

    def draft(self) -> Draft:
        """The draft as it is in the store."""
        with Store(self._page.output) as store:
            return Drafts(store).get(self.path.rpartition("/")[2])

    def statuses(self) -> dict[int, str]:
        """The status of each row."""
        with Store(self._page.output) as store:
            return statuses(store, self.draft())


@contextmanager
def browsing(folder: Path, defaults: Mapping[str, str] = PLAN) -> Iterator[Browser]:
    with upload_page(folder, set=dict(defaults)) as page:
        yield Browser(page)


def test_rows_without_column_names_and_back(tmp_path: Path) -> None:
    with browsing(tmp_path) as browser:
        page = browser.upload("imap,a,a.example.com\nimap,b,b.example.com,yes\n")
        assert "These rows have no column names" in page.text
        page = browser.post("/columns", headerless="1")
        assert "The first row has column names" in page.text
        assert browser.draft().header == ("Column A", "Column B", "Column C", "Column D")
        browser.post("/columns", headerless="0")
        assert browser.draft().header == ("imap", "a", "a.example.com")
        browser.post("/columns", headerless="1")
        fields = {f"column-{n}": value for n, value in enumerate(("type", "name", "hostname", "enabled"))}
        browser.post("/columns", **fields, **{"default-billing_plancode": "UBM - A/A"})
        assert browser.statuses() == {1: "ready", 2: "ready"}


def test_values_of_the_server_are_shown_with_their_problems(tmp_path: Path) -> None:
    """The server starts with them; an unknown one is dropped once a person has seen the page and goes on."""
    with browsing(tmp_path, {"plan": "UBM - A/A", "interval": "0", "intervaal": "5", "hostname": "x y"}) as browser:
        page = browser.upload("type,name,hostname\nimap,a,a.example.com\n")
        assert browser.draft().state is DraftState.COLUMNS
        field = re.search(r'id="default-interval-why">([^<]*)<', page.text)
        assert field is not None
        assert "interval is 0" in field[1]
        assert 'value="UBM - A/A"' in page.text
        alert = re.search(r'role="alert">(.*?)</div>', page.text, re.DOTALL)
        assert alert is not None
        assert "intervaal" in alert[1]
        assert "The default of hostname" in alert[1]
        assert "interval is 0" not in alert[1]
        columns = {f"column-{n}": value for n, value in enumerate(("type", "name", "hostname"))}
        page = browser.post("/columns", **columns, **{"default-interval": "0"})
        assert (page.status, browser.draft().state) == (422, DraftState.COLUMNS)
        assert "The default of hostname" in page.text


def test_an_unknown_value_of_the_server_does_not_stop_a_person(tmp_path: Path) -> None:
    with browsing(tmp_path, {"plan": "UBM - A/A", "intervaal": "5"}) as browser:
        browser.upload("type,name,hostname\nimap,a,a.example.com\n")
        columns = {f"column-{n}": value for n, value in enumerate(("type", "name", "hostname"))}
        browser.post("/columns", **columns)
        assert browser.statuses() == {2: "ready"}
        assert dict(browser.draft().defaults) == {"billing_plancode": "UBM - A/A"}


def test_columns_are_remembered_visibly(tmp_path: Path) -> None:
    text = "Sorte,Titulierung,Maschine\nimap,a,a.example.com\n"
    fields = {f"column-{n}": value for n, value in enumerate(("type", "name", "hostname"))}
    with browsing(tmp_path) as browser:
        assert "as somebody chose them" not in browser.upload(text).text
        browser.post("/columns", **fields)
        page = browser.upload(text)
        assert browser.statuses() == {2: "ready"}
        assert "chosen by a person" in page.text
        page = browser.show("/columns")
        assert '<option value="hostname" selected>' in page.text


RESULTS = (
    "type,name,hostname,status,monitor_id,error,error_columns,next_step,attempts,source_row,run_id\n"
    "imap,a,a.example.com,invalid,x,,,,0,2,r\n"
)


def test_what_an_earlier_run_did_cannot_be_changed(tmp_path: Path) -> None:
    with browsing(tmp_path) as browser:
        browser.upload(RESULTS)
        page = browser.show("?edit=2")
        assert set(re.findall(r'name="cell-2-(\d+)"', page.text)) == {"0", "1", "2", "4"}
        assert set(re.findall(r'data-cell="2-(\d+)"', page.text)) == {"0", "1", "2", "4"}
        fill = page.text.partition('id="fill-column"')[2].partition("</select>")[0]
        assert set(re.findall(r'option value="(\d+)"', fill)) == {"0", "1", "2", "4"}
        page = browser.post("/edit", **{"cell-2-3": "created", "was-2-3": "invalid"})
        assert "earlier run" in page.text
        browser.post("/edit", **{"cell-2-4": "", "was-2-4": "x"})
        assert browser.statuses() == {2: "ready"}


def test_rows_of_a_kind_are_taken_as_shown(tmp_path: Path) -> None:
    with browsing(tmp_path) as browser:
        page = browser.upload("type,name,hostname\n" + "".join(f"imap,m{n},m{n}.example.com,x\n" for n in range(3)))
        assert "Take these 3 rows as shown" in page.text
        page = browser.post("/fix", kind="row.long:", how="accept")
        assert browser.statuses() == {2: "ready", 3: "ready", 4: "ready"}
        assert "Take back: 3 rows taken as shown" in page.text


def test_old_drafts_are_deleted_when_the_server_starts(tmp_path: Path) -> None:
    with browsing(tmp_path) as browser:
        browser.upload("type,name,hostname\nimap,a,a.example.com\n", "old.csv")
        old = browser.draft()
        browser.upload("type,name,hostname\nimap,a,a.example.com\n", "new.csv")
        new = browser.draft()
    with Store(tmp_path) as store:
        store.db.execute("UPDATE drafts SET changed = ? WHERE id = ?", (time.time() - 91 * 86_400, old.id))
    with browsing(tmp_path), Store(tmp_path) as store:
        assert [draft.name for draft in Drafts(store).list()] == ["new.csv"]
        assert [path.name for path in (tmp_path / "uploads").iterdir()] == [new.upload]


@pytest.mark.parametrize("was", ["checking", "changed"])
def test_what_was_not_checked_is_checked_when_the_server_starts(was: str, tmp_path: Path) -> None:
    with browsing(tmp_path) as browser:
        browser.upload("type,name,hostname,port\nimap,a,a.example.com,143\n")
        draft = browser.draft()
    with Store(tmp_path) as store:  # as if the server had been killed
        store.db.execute("UPDATE draft_rows SET cells = replace(cells, '143', 'x'), rank = -1, original = cells")
        if was == "checking":
            store.db.execute("UPDATE drafts SET state = 'checking' WHERE id = ?", (draft.id,))
            store.db.execute("UPDATE draft_rows SET rank = 3, state = 'not a row'")
    with browsing(tmp_path) as browser:
        browser.path = f"/drafts/{draft.id}"
        browser.show()
        assert browser.statuses() == {2: "invalid"}
        with Store(tmp_path) as store:
            assert [kind.code for kind in DraftPages(store, browser.draft()).kinds()] == ["port.number"]
