"""The program: `bulkload`, and `python -m bulkload`.

In: the arguments of the process. Out: its exit code. Ctrl-C ends it without a traceback at any moment, also while its
modules are imported.
"""

from __future__ import annotations

import gc
import os
import sys

INTERRUPTED = 130  # `errors.ExitCode.INTERRUPTED`, which may not be imported yet


def entry() -> None:
    """Run the program and end the process with its exit code."""
    gc.set_threshold(20_000, 20, 100)  # rows make few cycles, and the default threshold costs a tenth of a run
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # or it looks for them in every installed package
    try:
        from bulkload.cli.main import run_process

        exit_code = run_process()
    except KeyboardInterrupt:  # before the commands handle signals
        sys.stderr.write("bulkload: Interrupted before anything was done.\n")
        exit_code = INTERRUPTED
    gc.freeze()  # Python would look for cycles among all objects before the process ends
    sys.exit(exit_code)


if __name__ == "__main__":
    entry()
