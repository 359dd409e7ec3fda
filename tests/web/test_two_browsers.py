"""Two people at one draft: nothing is overwritten unseen, nothing is sent twice or as nobody saw it."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from bulkload.sandbox import Faults, Rule
from bulkload.sandbox.server import Sandbox
from tests.support.command_line import PLAN
from tests.support.served import Serve, Served
from tests.support.waiting import wait_until
from tests.support.web_client import Answer, Form, Visitor, csv_of

SLOW_LOGIN = Faults(rules=(Rule(fault="slow", seconds=2.0, on=("login",)),))
SLOW = Faults(rules=(Rule(fault="slow", seconds=0.2),))
BAD_HOSTS = b"type,name,hostname,billing_plancode\n" + b"".join(
    b"imap,m%d,https://mx%d.example.com/owa,%s\n" % (n, n, PLAN.encode()) for n in range(3)
)


@pytest.fixture
def server(serve: Serve) -> Served:
    return serve(BULKLOAD_CONCURRENCY="1")


@pytest.fixture
def ann(server: Served) -> Visitor:
    return Visitor(server.address)


@pytest.fixture
def bob(server: Served) -> Visitor:
    return Visitor(server.address)


def names(account: Sandbox) -> list[str]:
    return sorted(str(monitor["name"]) for monitor in account.monitors())


def has_ended(answer: Answer) -> bool:
    return "Results<" in answer.text


def test_the_second_change_of_a_cell_is_refused_and_that_of_another_is_kept(ann: Visitor, bob: Visitor) -> None:
    draft = ann.draft(BAD_HOSTS)
    seen_by_bob = bob.get(f"{draft}?edit=2").html
    ann.press(ann.get(f"{draft}?edit=2").html.form("/edit"), changed={"cell-2-2": "ann.example.com"})
    refused = bob.press(seen_by_bob.form("/edit"), changed={"cell-2-2": "bob.example.com", "cell-2-1": "by bob"})
    page = bob.follow(refused.location)
    assert "Row 2, hostname is ann.example.com by now: somebody else has changed it" in page.shown
    assert "by bob" not in page.shown  # all of a form or nothing
    use = next(button for button in seen_by_bob.form("/edit").buttons if button[1] == "2-2=mx0.example.com")
    assert "somebody else has changed it" in bob.follow(bob.press(seen_by_bob.form("/edit"), use).location).shown
    bob.press(seen_by_bob.form("/edit"), changed={"cell-2-1": "by bob", "cell-3-2": "bob.example.com"})
    cells = dict(ann.get(f"{draft}?edit=2").html.form("/edit").fields)
    assert (cells["cell-2-1"], cells["cell-2-2"]) == ("by bob", "ann.example.com")
    assert "bob.example.com" in ann.get(draft).shown


def test_changes_at_the_same_moment_are_all_kept(server: Served) -> None:
    ann = Visitor(server.address)
    draft = ann.draft(csv_of(8))
    visitors = [Visitor(server.address) for _ in range(8)]
    barrier = Barrier(len(visitors))

    def change(number: int) -> None:
        barrier.wait()
        visitors[number].post(
            f"{draft}/edit", {f"cell-{number + 2}-1": f"by {number}", f"was-{number + 2}-1": f"m{number}"}
        )

    with ThreadPoolExecutor(len(visitors)) as pool:
        list(pool.map(change, range(len(visitors))))
    page = ann.get(draft).shown
    assert [number for number in range(8) if f"by {number}" not in page] == []
    assert "8 rows are ready" in page


def test_only_the_edit_that_the_page_names_is_taken_back(ann: Visitor, bob: Visitor) -> None:
    draft = ann.draft(csv_of(2))
    ann.post(f"{draft}/edit", {"cell-2-1": "first", "was-2-1": "m0"})
    ann.post(f"{draft}/edit", {"cell-3-1": "second", "was-3-1": "m1"})
    seen_by_bob = bob.get(draft).html.form("/take-back")
    assert "Taken back: 1 row." in ann.follow(ann.press(ann.get(draft).html.form("/take-back")).location).shown
    page = bob.follow(bob.press(seen_by_bob).location)
    assert "nothing was taken back" in page.shown
    assert "first" in page.shown


def test_what_replaces_the_rows_needs_a_page_that_is_current(ann: Visitor, bob: Visitor) -> None:
    draft = ann.draft(csv_of(2))
    columns = bob.get(f"{draft}/columns").html
    deletion = bob.get(draft).html.form("/delete")
    ann.post(f"{draft}/edit", {"cell-2-1": "by ann", "was-2-1": "m0"})
    for form in (columns.form("/columns"), columns.form("/read"), deletion):
        page = bob.follow(bob.press(form).location)
        assert "changed in another window since this page was opened" in page.shown
    assert "by ann" in ann.get(draft).shown


@pytest.mark.parametrize("clicks", [2, 6])
def test_start_pressed_at_the_same_moment_is_one_run(
    server: Served, ann: Visitor, account: Sandbox, clicks: int
) -> None:
    draft = ann.draft(csv_of(4))
    form = ann.compared(draft).html.form("/start")
    visitors = [Visitor(server.address) for _ in range(clicks)]
    barrier = Barrier(clicks)

    def press(visitor: Visitor) -> str:
        barrier.wait()
        fields = [("token", visitor.token), *(pair for pair in form.fields if pair[0] != "token"), ("first", "all")]
        return visitor.post(form.action, fields).location

    with ThreadPoolExecutor(clicks) as pool:
        addresses = set(pool.map(press, visitors))
    assert len(addresses) == 1
    ann.until(addresses.pop(), has_ended)
    again = ann.follow(ann.press(form, ("first", "all")).location)
    assert "These rows were run already" in again.shown
    assert names(account) == ["m0", "m1", "m2", "m3"]
    assert (
        len({link for link in ann.get("/runs").html.links() if link.startswith("/runs/") and "undo" not in link}) == 1
    )


def test_rows_that_were_changed_while_their_run_waits_are_not_sent(
    ann: Visitor, bob: Visitor, account: Sandbox
) -> None:
    other, draft = ann.draft(csv_of(8, "other")), ann.draft(csv_of(2, "waiting"))
    form = ann.compared(draft).html.form("/start")
    account.set_faults(SLOW)
    first = ann.begun(other)
    wait_until(lambda: len(account.monitors()) > 0)
    second = ann.press(form, ("first", "all")).location
    bob.post(f"{draft}/edit", {"cell-2-1": "by bob", "was-2-1": "waiting0"})
    assert "The draft is in use" in bob.press(bob.get(draft).html.form("/delete")).shown
    page = ann.until(second, lambda answer: f'action="{draft}/plan"' in answer.text)
    assert "The rows were changed in the meantime, so nothing was sent." in page.shown
    assert "by bob" in ann.get(draft).shown
    ann.until(first, has_ended)
    assert names(account) == sorted(f"other{n}" for n in range(8))


def test_the_rows_to_fix_of_a_run_become_one_draft(server: Served, ann: Visitor, account: Sandbox) -> None:
    bad_row = b"imap,bad,not a host,%s\n" % PLAN.encode()
    run = ann.run(ann.draft(csv_of(1) + bad_row))
    form = ann.get(run).html.form("/fix")
    visitors = [Visitor(server.address) for _ in range(4)]
    barrier = Barrier(len(visitors))

    def press(visitor: Visitor) -> str:
        barrier.wait()
        return visitor.post(form.action).location

    with ThreadPoolExecutor(len(visitors)) as pool:
        (draft,) = set(pool.map(press, visitors))
    ann.post(f"{draft}/edit", {"cell-3-2": "mx9.example.com", "was-3-2": "not a host"})
    again = ann.post(form.action).location
    assert again == draft
    assert "These rows are being fixed already" in ann.get(draft).shown
    ann.run(draft)
    assert ann.post(form.action).location == draft
    assert names(account) == ["bad", "m0"]
    ann.press(ann.get(draft).html.form("/delete"))
    assert ann.post(form.action).location not in (draft, "")


@pytest.mark.parametrize("is_run", [False, True])
def test_a_draft_in_use_is_not_deleted(ann: Visitor, bob: Visitor, account: Sandbox, is_run: bool) -> None:
    draft = ann.draft(csv_of(4))
    page = ann.compared(draft).html
    account.set_faults(Faults(rules=(Rule(fault="slow", seconds=1.0, on=("list", "create")),)))
    job = (ann.press(page.form("/start"), ("first", "all")) if is_run else ann.press(page.form("/plan"))).location
    refused = bob.press(bob.get(draft).html.form("/delete"))
    assert (refused.status, "The draft is in use" in refused.shown) == (400, True)
    account.set_faults(Faults())
    ann.until(job, lambda answer: has_ended(answer) or f'action="{draft}/plan"' in answer.text)
    assert bob.follow(bob.press(bob.get(draft).html.form("/delete")).location).status == 200
    assert ann.get(draft).status == 404
    assert names(account) == (["m0", "m1", "m2", "m3"] if is_run else [])


def plan_form(visitor: Visitor, draft: str) -> Form:
    return visitor.get(f"{draft}/start").html.form("/plan")


def test_the_rows_of_a_draft_that_is_deleted_while_it_is_read_get_into_no_other(
    server: Served, ann: Visitor, bob: Visitor
) -> None:
    with ThreadPoolExecutor(1) as pool:
        upload = pool.submit(ann.upload, csv_of(100_000, "deleted"), "deleted.csv")
        page = bob.until("/", lambda answer: "deleted.csv" in answer.text)
        deleted = next(link for link in page.html.links() if link.startswith("/drafts/"))
        assert bob.post(f"{deleted}/delete").location == "/"
        draft = bob.draft(csv_of(3, "kept"))
        assert upload.result().location == deleted
    assert ann.get(deleted).status == 404
    assert "3 rows are ready" in bob.get(draft).shown
    assert "no rows" in bob.get(f"{draft}?q=deleted").shown
    with sqlite3.connect(server.folder / "output" / "bulkload.sqlite3") as database:
        assert database.execute("SELECT count(*) FROM draft_rows").fetchone() == (3,)
    database.close()


def test_a_file_that_is_read_again_while_it_is_read_has_each_row_once(ann: Visitor, bob: Visitor) -> None:
    draft = ann.upload(csv_of(30_000)).location
    for encoding in ("utf-8", "windows-1252"):
        page = ann.get(draft)
        form = {"encoding": encoding, "version": "0"}
        for version in range(6):
            bob.post(f"{draft}/read", form | {"version": str(version)})
        assert page.status == 200
    page = ann.until(draft, lambda answer: "Reading the file" not in answer.text)
    assert "30,000 rows are ready" in page.shown


def test_the_credentials_and_the_comparison_of_one_session_are_not_used_for_another(
    serve: Serve, account: Sandbox
) -> None:
    server = serve(ALERTSITE_USERNAME="", ALERTSITE_PASSWORD="")
    ann, bob = Visitor(server.address), Visitor(server.address)
    draft = ann.draft(csv_of(3))
    login = {"username": account.options.user, "password": account.options.password}
    assert "Log in to AlertSite" in ann.get(f"{draft}/start").shown
    ann.post("/account", login)
    form = ann.compared(draft).html.form("/start")

    page = bob.get(f"{draft}/start")
    assert "Log in to AlertSite" in page.shown
    assert account.options.user not in page.shown
    as_bob = [("token", bob.token), *(pair for pair in form.fields if pair[0] != "token"), ("first", "all")]
    assert "nothing was sent" in bob.follow(bob.post(form.action, as_bob).location).shown
    bob.post("/account", {"username": "bob@example.com", "password": "other"})
    assert "nothing was sent" in bob.follow(bob.post(form.action, as_bob).location).shown
    account.set_faults(SLOW_LOGIN)
    job = bob.press(plan_form(bob, draft)).location
    in_use = ann.press(plan_form(ann, draft))
    assert in_use.location == job
    assert "Nothing was done, because the forecast of hosts.csv is under way." in ann.follow(job).shown
    account.set_faults(Faults())
    refused = bob.until(job, lambda answer: f'action="{draft}/plan"' in answer.text)
    assert "login" in refused.shown
    run = ann.run(draft)
    assert names(account) == ["m0", "m1", "m2"]
    bob.post("/account", {"forget": "1"})
    undo = bob.follow(f"{run}/undo")
    assert "Log in as" in undo.shown
    assert names(account) == ["m0", "m1", "m2"]
