"""Who may import what, from whom each library is used, and that every folder says so."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache

from tests.support.paths import ROOT

PACKAGE = ROOT / "bulkload"
SHARED = {"errors", "model", "clock", "protocols"}  # every room but the sandbox may import these
BELOW = {"stages", "readers", "migration", "reports", "store", "alertsite", "monitors", "files", "sandbox", "settings"}
MAY_IMPORT = {  # room → the rooms that it may import, from the top of the house to the bottom
    "__init__": set(),
    "__main__": {"cli"},
    "cli": {"inbox", "operations", "reports", "settings", "files", "sandbox"},
    "inbox": {"operations", "reports", "settings", "files", "stages", "store", "readers"},
    "operations": BELOW,
    "stages": {"readers", "store", "alertsite", "monitors", "settings"},
    "readers": {"migration", "monitors", "files"},
    "migration": {"monitors"},
    "reports": {"files", "monitors"},
    "settings": {"alertsite", "monitors"},
    **{name: set() for name in ("store", "alertsite", "monitors", "files", "sandbox", *SHARED)},
}
ONLY = {  # where a room may import one module of another only
    ("reports", "monitors"): {"bulkload.monitors.result_columns"},
    ("settings", "alertsite"): {"bulkload.alertsite.secrets"},
    ("settings", "monitors"): {"bulkload.monitors.values"},
}
HOMES = {  # library → the only modules that import it
    "aiohttp": {"alertsite", "inbox/notify", "sandbox"},
    "click": {"cli"},
    "defusedxml": {"migration/documents"},
    "email_validator": {"monitors/values"},
    "filelock": {"store/lock"},
    "idna": {"monitors/hosts", "store/accounts"},
    "jinja2": {"reports/html_page"},
    "openpyxl": {"operations/template_workbook"},
    "prometheus_client": {"inbox/metrics"},
    "pydantic": {"monitors/config", "monitors/validate", "settings", "inbox/notify", "sandbox"},
    "pydantic_core": {"store/runs"},
    "python_calamine": {"readers/workbook"},
    "sqlite3": {"store", "stages/duplicates", "migration", "sandbox"},
    "tqdm": {"cli/output"},
    "uvloop": {"operations/session", "sandbox/server"},
    "watchfiles": {"inbox/watch"},
    "xlsxwriter": {"reports/results_workbook", "operations/convert", "operations/export"},
    "yaml": {"migration/documents"},
    "yarl": {"alertsite/proxy"},
}


@cache
def modules() -> dict[str, ast.Module]:
    """Every module by its dotted name, parsed."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted(PACKAGE.rglob("*.py"))}
    return {name.removesuffix(".__init__"): ast.parse(path.read_text("utf-8")) for path, name in names.items()}


def imported_by(name: str, *, at_start: bool = False) -> Iterator[str]:
    """The modules that a module imports, wherever in it; `at_start`: only those that its own import needs."""
    for node in _statements(modules()[name]) if at_start else ast.walk(modules()[name]):
        if isinstance(node, ast.ImportFrom):
            assert not node.level, f"{name}: relative import"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield full if full in modules() else str(node.module)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _statements(tree: ast.Module) -> Iterator[ast.stmt]:
    for node in tree.body:
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)):
            yield node


def room(name: str) -> str:
    """The folder of the package that a module is in, or the module itself if it is in none."""
    return [*name.split("."), "__init__"][1]


def test_every_module_imports_only_what_its_room_may() -> None:
    forbidden = []
    for name in modules():
        allowed = MAY_IMPORT[room(name)] | (SHARED if room(name) != "sandbox" else set())
        for imported in imported_by(name):
            if not imported.startswith("bulkload.") or room(imported) == room(name):
                continue
            only = ONLY.get((room(name), room(imported)), {imported})
            if room(imported) not in allowed or imported not in only:
                forbidden.append(f"{name} imports {imported}")
    assert forbidden == []


def test_every_library_has_one_home() -> None:
    strays = []
    for name in modules():
        path = name.removeprefix("bulkload.").replace(".", "/")
        libraries = {imported.partition(".")[0] for imported in imported_by(name)} - {"bulkload"}
        for library in libraries - (sys.stdlib_module_names - HOMES.keys()):
            if not any(path == home or path.startswith(f"{home}/") for home in HOMES[library]):
                strays.append(f"{name} imports {library}")
    assert strays == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path, name))
        if name not in done:
            for imported in set(imported_by(name, at_start=True)) & modules().keys():
                visit(imported, (*path, name))
            done.add(name)

    for name in modules():
        visit(name, ())


def test_every_folder_says_what_comes_in_and_out_and_what_it_may_import() -> None:
    folders = [path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]
    docstrings = {folder: ast.get_docstring(modules()[f"bulkload.{folder}"]) or "" for folder in folders}
    assert [
        (folder, part)
        for folder, docstring in docstrings.items()
        for part in ("In:", "Out:", "May import:")
        if part not in docstring
    ] == []


def test_every_module_says_what_it_is() -> None:
    assert [name for name, tree in modules().items() if not ast.get_docstring(tree)] == []
