"""Write the rows of a draft as a workbook with the errors marked, to be corrected elsewhere and brought back.

In: a draft whose rows are checked. Out: the workbook that `check --results` writes of a file with these rows. Rows that
were left out are not in it: brought back, they would count again. A note in it names them.
"""

from __future__ import annotations

from pathlib import Path

from bulkload.operations.drafts import draft_input, draft_options
from bulkload.operations.preview import check_file
from bulkload.settings import Options
from bulkload.store.drafts import Draft
from bulkload.store.runs import Store


def write_marked(store: Store, draft: Draft, path: Path, options: Options) -> None:
    """Write the marked workbook. What the account has for the rows is not in it: the account may be another one."""
    options = draft_options(draft, options).model_copy(update={"results": [path]})
    check_file(draft_input(store, draft.id), options, lambda row: None)
