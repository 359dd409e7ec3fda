"""Write the samples that come with bulkload: spreadsheets, settings, and files for cron, systemd and containers.

In: a folder. Out: the files in it. An existing file with other content is an error, and then nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bulkload
from bulkload.errors import InputError, StoreError, UsageError
from bulkload.files.atomic import atomic_write

LEFT_OUT = frozenset({".png", ".pyc"})  # pictures of the README, and what Python compiles when it installs a wheel
MAX_NAMED = 3  # files that an error names


def write_samples(folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Write all samples; returns the files that were written, without those that had this content already.

    Raises `UsageError` if a file exists with other content, unless `overwrite`.
    """
    source = _source()
    contents: dict[Path, bytes] = {}
    differing: list[str] = []
    for path in _files(source):
        target = folder / path.relative_to(source)
        content = path.read_bytes()
        existing = _existing(target)
        if existing != content:
            contents[target] = content
            if existing is not None:
                differing.append(str(target))
    if differing and not overwrite:
        more = f" and {len(differing) - MAX_NAMED} more" if len(differing) > MAX_NAMED else ""
        verb = "exists" if len(differing) == 1 else "exist"
        raise UsageError(
            f"{', '.join(differing[:MAX_NAMED])}{more} already {verb} with other content, so nothing was written."
            " Choose another folder, or add --overwrite."
        )
    for target, content in contents.items():
        with atomic_write(target) as draft:
            draft.write_bytes(content)
    return list(contents)


def _existing(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:  # a folder of that name, or a file where a folder has to be
        raise StoreError(f"{path} cannot be replaced: {error.strerror}. Choose another folder.") from None


def _source() -> Path:
    """The folder of the samples: in the package where bulkload is installed, beside it in a checkout."""
    package = Path(bulkload.__file__).parent
    for folder in (package / "samples", package.parent / "samples"):
        if (folder / "mail-hosts.csv").is_file():
            return folder
    raise InputError(f"The samples are missing in {package}; install bulkload again.")


def _files(folder: Path) -> Iterator[Path]:
    """The samples, those at the top first."""
    for path in sorted(folder.rglob("*"), key=lambda path: (len(path.relative_to(folder).parts), path)):
        hidden = any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and path.suffix not in LEFT_OUT:
            yield path
