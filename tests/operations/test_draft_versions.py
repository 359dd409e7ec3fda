"""Nobody runs rows that are others than those that were shown, and nobody runs the same rows twice by mistake."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from bulkload.errors import BulkloadError, UsageError
from bulkload.model import Status
from bulkload.operations import preview
from bulkload.operations.draft_columns import choose_columns
from bulkload.operations.draft_edits import DraftEditor
from bulkload.operations.draft_plan import account_name, forecast_of_draft, plan_draft
from bulkload.operations.drafts import draft_input, draft_options
from bulkload.operations.pipeline import begin
from bulkload.settings import Account
from bulkload.store import runs
from bulkload.store.draft_records import READY
from bulkload.store.drafts import Drafts
from bulkload.store.runs import Store
from tests.support.draft_workplace import Workplace
from tests.support.drafts import PLAN, again, editor, rows_of, statuses, upload_text

TEXT = "type,name,hostname,port\n" + "".join(f"imap,m{n},m{n}.example.com,143\n" for n in range(5))

Edit = Callable[[DraftEditor], int]
EDITS: dict[str, Edit] = {
    "a cell": lambda edits: edits.set_cells({(2, 3): "993"}, {}),
    "a column": lambda edits: edits.fill(3, "993", only_empty=False),
    "a row left out": lambda edits: edits.leave_out([3]),
    "a row accepted": lambda edits: edits.accept([3]),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_makes_what_was_shown_out_of_date(name: str, workplace: Workplace) -> None:
    store = workplace.store
    draft = workplace.plan(upload_text(store, TEXT, workplace.options))
    assert draft.is_plan_current
    EDITS[name](editor(store, draft))
    changed = again(store, draft)
    assert changed.version > draft.version
    assert not changed.is_plan_current
    with pytest.raises(UsageError, match="changed in the meantime, so nothing was sent"):
        draft_input(store, draft.id, version=draft.version)
    editor(store, draft).take_back()
    assert again(store, draft).version > changed.version
    with pytest.raises(UsageError, match="changed in the meantime"):
        draft_input(store, draft.id, version=draft.version)
    assert workplace.plan(draft).is_plan_current


def test_a_run_has_the_rows_that_were_shown_even_if_they_are_changed_while_it_reads_them(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page changes the store while the worker reads it."""
    store = workplace.store
    draft = upload_text(store, TEXT, workplace.options)
    source = draft_input(store, draft.id, version=draft.version)
    monkeypatch.setattr(runs, "CHUNK", 2)
    monkeypatch.setattr(runs, "BATCH", 2)
    insert = Store._insert
    inserted: list[int] = []

    def insert_and_edit(self: Store, values: Sequence[tuple[object, ...]]) -> None:
        insert(self, values)
        inserted.append(len(values))
        if len(inserted) == 1:
            with Store(workplace.options.output) as other:
                editor(other, draft).set_cells({(6, 3): "993"}, {})

    monkeypatch.setattr(Store, "_insert", insert_and_edit)
    run = begin(store, source, workplace.account, draft_options(draft, workplace.options)).run
    assert inserted == [2, 2, 1]
    assert [row.cells[3] for row in store.report_rows(run)] == ["143"] * 5
    assert rows_of(store, draft)[-1].cells[3] == "993"
    Drafts(store).set_run(draft.id, run.id, draft.version)
    assert not again(store, draft).is_run_current


def test_a_comparison_with_rows_that_were_changed_meanwhile_says_nothing_of_them(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = workplace.store
    draft = upload_text(store, TEXT, workplace.options)
    outcome_of = preview._outcome

    def edited_outcome(*arguments: object, **more: object) -> object:
        with Store(workplace.options.output) as other:
            editor(other, draft).set_cells({(2, 3): "x"}, {})
        return outcome_of(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(preview, "_outcome", edited_outcome)
    now = workplace.plan(draft)
    assert not now.is_plan_current
    assert {row.planned for row in rows_of(store, draft)} == {None}
    assert statuses(store, draft) == {2: "invalid", 3: READY, 4: READY, 5: READY, 6: READY}


def test_what_a_comparison_says(workplace: Workplace) -> None:
    store = workplace.store
    workplace.run(upload_text(store, "type,name,hostname\nimap,m0,m0.example.com\n", workplace.options))
    draft = upload_text(store, TEXT + "imap,m1,m1.example.com,143\nimap,x,x,\n", workplace.options)
    editor(store, draft).leave_out([6])
    draft = workplace.plan(draft)
    assert statuses(store, draft) == {
        2: "exists", 3: "will create", 4: "will create", 5: "will create", 6: "left out", 7: "duplicate", 8: "invalid",
    }  # fmt: skip
    forecast = forecast_of_draft(draft)
    assert forecast is not None
    assert (forecast.creates, forecast.updates, forecast.stopped) == (3, 0, "")
    assert forecast.counts == {"will create": 3, "exists": 1, "invalid": 1, "duplicate": 1}
    assert forecast.account == account_name(workplace.account, workplace.options)
    assert forecast.account != account_name(Account(username="else@example.com"), workplace.options)
    assert workplace.names() == {"m0": 1}
    (row,) = [row for row in rows_of(store, draft) if row.number == 2]
    assert row.planned_id == str(workplace.sandbox.monitors()[0]["id"])
    editor(store, draft).set_cells({(3, 1): "m0", (3, 2): "m0.example.com"}, {})  # row 2 is compared with it
    assert {row.number: row.planned for row in rows_of(store, draft)} == {
        2: None, 3: None, 4: "will create", 5: "will create", 6: None, 7: None, 8: None,
    }  # fmt: skip
    assert statuses(store, draft)[3] == "duplicate"


@pytest.mark.parametrize(
    "target",
    [
        {"is_rehearsal": True},
        {"on_existing": "update"},
        {"trust_list": True},
        {"create_lookalikes": True},
    ],
)
def test_another_target_makes_the_comparison_out_of_date(target: dict[str, object], workplace: Workplace) -> None:
    store = workplace.store
    draft = workplace.plan(upload_text(store, TEXT, workplace.options))
    chosen: dict[str, object] = {
        "is_rehearsal": False,
        "on_existing": "skip",
        "trust_list": False,
        "create_lookalikes": False,
    }
    Drafts(store).set_target(draft, **chosen | target)  # type: ignore[arg-type]
    changed = again(store, draft)
    assert not changed.is_plan_current
    assert {name: getattr(changed, name) for name in chosen} == chosen | target
    assert {row.planned for row in rows_of(store, draft)} == {None}
    with pytest.raises(UsageError, match="changed in the meantime"):
        draft_input(store, draft.id, version=draft.version)


def test_an_account_that_cannot_be_read_says_nothing_of_the_rows(workplace: Workplace) -> None:
    store = workplace.store
    draft = workplace.plan(upload_text(store, TEXT, workplace.options))
    assert set(statuses(store, draft).values()) == {"will create"}
    wrong = workplace.account.logged_in_as(workplace.account.username, "wrong")
    plan_draft(store, draft.id, wrong, draft_options(draft, workplace.options), version=draft.version)
    assert set(statuses(store, draft).values()) == {READY}
    forecast = forecast_of_draft(again(store, draft))
    assert forecast is not None
    assert (forecast.creates, bool(forecast.stopped), forecast.facts) == (0, True, [])


def test_the_same_rows_are_recognised(workplace: Workplace) -> None:
    store = workplace.store
    draft = upload_text(store, TEXT, workplace.options)
    assert (draft.run_id, draft.is_run_current) == (None, False)
    run = workplace.run(draft)
    assert (again(store, draft).run_id, again(store, draft).is_run_current) == (run.id, True)
    workplace.plan(draft)
    assert again(store, draft).is_run_current
    editor(store, draft).set_cells({(2, 1): "other"}, {})
    assert (again(store, draft).run_id, again(store, draft).is_run_current) == (run.id, False)
    editor(store, draft).take_back()
    assert not again(store, draft).is_run_current


def test_rows_that_are_changed_after_a_run_read_them_are_others(workplace: Workplace) -> None:
    """The run is noted only after its rows were read; an edit in between is not in it."""
    store = workplace.store
    draft = upload_text(store, TEXT, workplace.options)
    version = draft.version
    context = begin(
        store, draft_input(store, draft.id, version=version), workplace.account, draft_options(draft, workplace.options)
    )
    editor(store, draft).set_cells({(2, 1): "other"}, {})
    Drafts(store).set_run(draft.id, context.run.id, version)
    assert not again(store, draft).is_run_current


def test_a_part_of_the_rows_and_then_the_rest(workplace: Workplace) -> None:
    store = workplace.store
    draft = upload_text(store, TEXT, workplace.options)
    first = workplace.run(draft, first=2)
    assert sorted(workplace.names()) == ["m0", "m1"]
    rest = workplace.run(draft)
    assert store.counts(rest) == {Status.CREATED: 3, Status.EXISTS: 2}
    assert store.counts(first)[Status.NOT_ATTEMPTED] == 3
    assert set(workplace.names().values()) == {1}


def test_rows_whose_columns_are_not_chosen_cannot_be_run(workplace: Workplace) -> None:
    draft = upload_text(workplace.store, "a,b,c\nimap,m,m.example.com\n", workplace.options)
    with pytest.raises(UsageError, match="not chosen"):
        draft_input(workplace.store, draft.id, version=draft.version)
    with pytest.raises(UsageError, match="no such draft"):
        draft_input(workplace.store, "nothing")


def test_two_people_at_once(workplace: Workplace, tmp_path: Path) -> None:
    """Each edit is of the draft as it is then; a choice of columns and an edit do not mix."""
    store = workplace.store
    draft = upload_text(store, TEXT, workplace.options)
    with Store(workplace.options.output) as other:
        mine, theirs = editor(store, draft), editor(other, draft)
        assert mine.set_cells({(2, 1): "mine"}, {(2, 1): "m0"}) == 1
        assert theirs.set_cells({(3, 1): "theirs"}, {(3, 1): "m1"}) == 1
        with suppress(BulkloadError):
            theirs.set_cells({(2, 1): "theirs"}, {(2, 1): "m0"})
        assert [row.cells[1] for row in rows_of(store, draft)][:2] == ["mine", "theirs"]
        assert theirs.take_back() == 1
        assert [row.cells[1] for row in rows_of(store, draft)][:2] == ["mine", "m1"]
        assert choose_columns(other, again(other, draft), ("type", "name", "hostname", None), PLAN) == []
        assert set(statuses(store, draft).values()) == {READY}
