"""Create SmartBear AlertSite mail monitors in bulk from a spreadsheet, or from a program:

    import bulkload as bl
    result = bl.run(frame, set={"billing_plancode": "UBM - A/A"})
    result.failed  # the rows to correct

What is here and in `bulkload.aio` is the public interface; every other module may change at any time. Everything is
imported when it is first used, so that `import bulkload` costs next to nothing.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bulkload import aio as aio
    from bulkload.errors import ApiDown as ApiDown
    from bulkload.errors import ApiUnreliable as ApiUnreliable
    from bulkload.errors import BulkloadError as BulkloadError
    from bulkload.errors import InputError as InputError
    from bulkload.errors import Interrupted as Interrupted
    from bulkload.errors import Locked as Locked
    from bulkload.errors import LoginRefused as LoginRefused
    from bulkload.errors import RowsFailed as RowsFailed
    from bulkload.errors import RunStopped as RunStopped
    from bulkload.errors import StoreError as StoreError
    from bulkload.errors import TooManyErrors as TooManyErrors
    from bulkload.errors import UsageError as UsageError
    from bulkload.python.calls import check as check
    from bulkload.python.calls import compare as compare
    from bulkload.python.calls import export as export
    from bulkload.python.calls import plan as plan
    from bulkload.python.calls import resume as resume
    from bulkload.python.calls import run as run
    from bulkload.python.calls import runs as runs
    from bulkload.python.calls import undo as undo
    from bulkload.python.options import Account as Account
    from bulkload.python.result import Result as Result

__version__ = "1.0.0"

_HOMES = {
    **dict.fromkeys(("check", "compare", "export", "plan", "resume", "run", "runs", "undo"), "bulkload.python.calls"),
    "Account": "bulkload.python.options",
    "Result": "bulkload.python.result",
    **dict.fromkeys(
        (
            *("ApiDown", "ApiUnreliable", "BulkloadError", "InputError", "Interrupted", "Locked", "LoginRefused"),
            *("RowsFailed", "RunStopped", "StoreError", "TooManyErrors", "UsageError"),
        ),
        "bulkload.errors",
    ),
}
__all__ = ["__version__", "aio", *sorted(_HOMES)]

logging.getLogger(__name__).addHandler(logging.NullHandler())  # whoever imports this decides what is logged


if not TYPE_CHECKING:  # which knows the names, and finds those that are misspelled

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        if name == "aio":
            return import_module("bulkload.aio")
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return __all__
