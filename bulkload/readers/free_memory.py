"""Find out how much memory a process can take before the system has to end a process.

In: nothing; Linux says it in /proc, and in /sys/fs/cgroup for a container or a service with a limit. Out: bytes, or
None where the system does not say it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_UNLIMITED = 1 << 62  # bytes; a cgroup of version 1 without a limit says a number above this


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes of memory, with swap, that are free or can be freed; the least of the system and the cgroups around it."""
    return min((*_of_system(root), *_of_cgroups(root)), default=None)


def _of_system(root: Path) -> Iterator[int]:
    with suppress(OSError, ValueError, KeyError):
        lines = (root / "proc/meminfo").read_text().splitlines()
        kibibytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
        yield 1024 * (kibibytes["MemAvailable"] + kibibytes.get("SwapFree", 0))


def _of_cgroups(root: Path) -> Iterator[int]:
    """What each cgroup of this process leaves it: its own, and those that contain it."""
    with suppress(OSError, ValueError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, name = line.split(":", 2)
            if not controllers:  # version 2
                yield from _left_in(root / "sys/fs/cgroup", name, "memory.max", "memory.current")
            elif "memory" in controllers.split(","):
                names = "memory.limit_in_bytes", "memory.usage_in_bytes"
                yield from _left_in(root / "sys/fs/cgroup/memory", name, *names)


def _left_in(mount: Path, name: str, limit_name: str, usage_name: str) -> Iterator[int]:
    """The limit less what is used. The cache of files is not counted as used, because it is freed when need be.

    A container often does not see the folder of its cgroup under its name, but only as the root.
    """
    folder = Path(name.lstrip("/"))
    for path in (folder, *folder.parents):
        with suppress(OSError, ValueError):
            limit = (mount / path / limit_name).read_text().strip()
            if limit == "max" or int(limit) >= _UNLIMITED:
                continue
            used = int((mount / path / usage_name).read_text())
            yield max(0, int(limit) - used + _cached(mount / path / "memory.stat"))


def _cached(statistics: Path) -> int:
    with suppress(OSError, ValueError, KeyError):
        values = dict(line.split() for line in statistics.read_text().splitlines())
        prefix = "total_" if "total_inactive_file" in values else ""
        return int(values[f"{prefix}inactive_file"]) + int(values[f"{prefix}active_file"])
    return 0
