"""How much memory is free, as Linux and its cgroups say it, and what a workbook may take of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bulkload.readers.free_memory import free_memory
from bulkload.readers.isolated_child import LEAST_MEMORY, Limits, within

MEMINFO = "MemTotal:       4000 kB\nMemFree:         500 kB\nMemAvailable:   3000 kB\nSwapFree:        100 kB\n"
MIB = 1 << 20
SYSTEM = 3_100 * 1024


def system(root: Path, files: dict[str, str]) -> Path:
    """The files of a Linux system that say how much memory is free."""
    for name, content in {"proc/meminfo": MEMINFO, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_this_system_says_how_much_is_free() -> None:
    free = free_memory()
    assert free is not None
    assert 0 <= free <= os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + (1 << 40)  # with swap


def test_a_system_that_does_not_say_it(tmp_path: Path) -> None:
    assert free_memory(tmp_path) is None


CGROUPS = {
    "none": ({}, SYSTEM),
    "version 2 without a limit": (
        {"proc/self/cgroup": "0::/a\n", "sys/fs/cgroup/a/memory.max": "max\n"},
        SYSTEM,
    ),
    "version 2": (
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/b/memory.max": "900000\n",
            "sys/fs/cgroup/a/b/memory.current": "500000\n",
            "sys/fs/cgroup/a/b/memory.stat": "anon 1\ninactive_file 20\nactive_file 3\n",
        },
        400_023,
    ),
    "a limit of the cgroup around it": (
        {
            "proc/self/cgroup": "0::/a/b\n",
            "sys/fs/cgroup/a/memory.max": "700000\n",
            "sys/fs/cgroup/a/memory.current": "650000\n",
            "sys/fs/cgroup/a/b/memory.max": "900000\n",
            "sys/fs/cgroup/a/b/memory.current": "500000\n",
        },
        50_000,
    ),
    "version 1, in a container": (
        {
            "proc/self/cgroup": "5:cpu:/docker/1\n4:memory,hugetlb:/docker/1\n0::/docker/1\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "900000\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "500000\n",
            "sys/fs/cgroup/memory/memory.stat": "inactive_file 7\ntotal_inactive_file 20\ntotal_active_file 3\n",
        },
        400_023,
    ),
    "version 1 without a limit": (
        {
            "proc/self/cgroup": "4:memory:/\n",
            "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
            "sys/fs/cgroup/memory/memory.usage_in_bytes": "500000\n",
        },
        SYSTEM,
    ),
    "more used than allowed": (
        {
            "proc/self/cgroup": "0::/\n",
            "sys/fs/cgroup/memory.max": "900000\n",
            "sys/fs/cgroup/memory.current": "950000\n",
        },
        0,
    ),
    "files that say something else": (
        {"proc/self/cgroup": "0::/\nx\n", "sys/fs/cgroup/memory.max": "?\n", "sys/fs/cgroup/memory.stat": "?"},
        SYSTEM,
    ),
}


@pytest.mark.parametrize("name", CGROUPS)
def test_the_least_of_the_system_and_the_cgroups_counts(tmp_path: Path, name: str) -> None:
    files, free = CGROUPS[name]
    assert free_memory(system(tmp_path, files)) == free


def test_a_workbook_may_take_no_more_than_is_free() -> None:
    limits = Limits(memory=4_000 * MIB, seconds=60)
    assert within(limits, None) == limits
    assert within(limits, 9_000 * MIB) == limits
    assert within(limits, 900 * MIB) == Limits(memory=900 * MIB, seconds=60, is_all_free_memory=True)
    assert within(limits, 0).memory == LEAST_MEMORY
