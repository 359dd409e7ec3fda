"""A store with drafts beside an account in which their rows are created, as in the worker of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from bulkload.model import Input
from bulkload.operations.draft_plan import plan_draft
from bulkload.operations.drafts import draft_input, draft_options
from bulkload.operations.pipeline import begin, carry_out
from bulkload.sandbox import SandboxOptions
from bulkload.sandbox.server import Sandbox, running
from bulkload.settings import Account, Options
from bulkload.store.drafts import Draft, Drafts
from bulkload.store.runs import Run, Store
from tests.support.drafts import PLAN, again, locked_store


@dataclass(frozen=True, slots=True, kw_only=True)
class Workplace:
    """A locked store, and an account that knows one plan only."""

    store: Store
    sandbox: Sandbox
    account: Account
    options: Options

    def run(self, source: Draft | Path, **settings: object) -> Run:
        """Run a draft or a file."""
        options = self.options.model_copy(update=settings)
        if isinstance(source, Path):
            context = begin(self.store, Input.at(source), self.account, options)
        else:
            draft = again(self.store, source)
            rows = draft_input(self.store, draft.id, version=draft.version)
            context = begin(self.store, rows, self.account, draft_options(draft, options))
            Drafts(self.store).set_run(draft.id, context.run.id, draft.version)
        carry_out(context, [], lambda total: lambda count: None)
        return context.run

    def plan(self, draft: Draft) -> Draft:
        """The draft after a comparison with the account."""
        now = again(self.store, draft)
        plan_draft(self.store, now.id, self.account, draft_options(now, self.options), version=now.version)
        return again(self.store, draft)

    def outcome(self, run: Run) -> dict[int, str]:
        """The status of each row."""
        return {row.source_row: row.status.value for row in self.store.report_rows(run)}

    def names(self) -> Counter[str]:
        """The names of the account's monitors."""
        return Counter(str(monitor["name"]) for monitor in self.sandbox.monitors())


@contextmanager
def workplace_in(folder: Path) -> Iterator[Workplace]:
    folder.mkdir()
    options = Options(output=folder, set=PLAN).model_copy(update={"rate": 0.0})
    with running(SandboxOptions(plans=("UBM - A/A", "UBM - B/B"))) as sandbox, locked_store(options) as store:
        password = SecretStr(sandbox.options.password)
        account = Account(base_url=sandbox.base_url, username=sandbox.options.user, password=password)
        yield Workplace(store=store, sandbox=sandbox, account=account, options=options)
