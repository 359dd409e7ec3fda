"""The lines of the README complete commands in a real bash, zsh and fish without any settings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

LINES = dict(
    re.findall(r"^\| (bash|zsh|fish)\b[^|]*\| `[^`]+` \| `(.+)` \|$", (ROOT / "README.md").read_text("utf-8"), re.M)
)
SHELLS = {  # shell → options without settings, and commands that print what completes `bulkload sa`
    "bash": (
        ["--norc", "-c"],
        'COMP_WORDS=(bulkload sa); COMP_CWORD=1; _bulkload_completion bulkload; printf "%s\\n" "${COMPREPLY[@]}"',
    ),
    "zsh": (
        ["-f", "-c"],
        "whence -w $_comps[bulkload]; COMP_WORDS='bulkload sa' COMP_CWORD=1 _BULKLOAD_COMPLETE=zsh_complete bulkload",
    ),
    "fish": (["--no-config", "-c"], "complete -C 'bulkload sa'"),
}


@pytest.mark.parametrize("shell", SHELLS)
def test_the_line_of_the_readme_completes_commands(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    program = tmp_path / "bin" / "bulkload"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bulkload "$@"\n')
    program.chmod(0o755)
    options, commands = SHELLS[shell]
    line = LINES[shell].replace("\\|", "|").replace("compinit;", "compinit -u;")  # -u: the folders of root are fine
    done = subprocess.run(
        [shell, *options, f"{line}\n{commands}"],
        env={"PATH": f"{program.parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert {"samples", "sandbox"} <= set(re.findall(r"\w+", done.stdout))
    if shell == "zsh":
        assert "_bulkload_completion: function" in done.stdout
