"""Which part may import which, which module may use which library, and that every folder documents it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache

from tests.support.paths import ROOT

PACKAGE = ROOT / "bulkload"
SHARED = {"errors", "model", "clock", "protocols", "text_encodings"}  # every part but the sandbox may import these
BELOW = {"stages", "readers", "migration", "reports", "store", "alertsite", "monitors", "files", "sandbox", "settings"}
MAY_IMPORT = {  # part → the parts that it may import, from top to bottom
    "__init__": {"aio", "python"},
    "aio": {"python"},
    "__main__": {"cli"},
    "cli": {"inbox", "web", "operations", "reports", "settings", "files", "stages", "sandbox"},
    "inbox": {"operations", "reports", "settings", "files", "stages", "store", "readers"},
    "web": {"operations", "reports", "settings", "files", "stages", "store", "monitors"},
    "python": {"operations", "reports", "settings", "files", "stages", "store", "readers", "monitors"},
    "operations": BELOW,
    "stages": {"readers", "store", "alertsite", "monitors", "settings"},
    "readers": {"migration", "monitors", "files"},
    "migration": {"monitors"},
    "reports": {"files", "monitors"},
    "settings": {"alertsite", "monitors"},
    **{name: set() for name in ("store", "alertsite", "monitors", "files", "sandbox", *SHARED)},
}
ONLY = {  # (part, imported part) → the only modules that it may import
    ("reports", "monitors"): {"bulkload.monitors.result_columns", "bulkload.monitors.header"},
    ("cli", "stages"): {"bulkload.stages.observer"},
    ("web", "stages"): {"bulkload.stages.observer"},
    ("python", "stages"): {"bulkload.stages.observer"},
    ("settings", "alertsite"): {"bulkload.alertsite.secrets"},
    ("settings", "monitors"): {"bulkload.monitors.values", "bulkload.monitors.example_hosts"},
}
LIBRARY_USERS = {  # library → the only modules that may import it
    "aiohttp": {"alertsite", "inbox/notify", "sandbox", "web"},
    "charset_normalizer": {"readers/encoding_candidates"},
    "click": {"cli"},
    "defusedxml": {"migration/documents"},
    "email_validator": {"monitors/values"},
    "filelock": {"store/lock"},
    "idna": {"monitors/hosts", "store/accounts"},
    "jinja2": {"reports/html_page", "web/rendering"},
    "openpyxl": {"operations/template_workbook"},
    "pandas": {"aio", "python", "readers/dataframe"},
    "prometheus_client": {"inbox/metrics"},
    "pyarrow": {"readers/parquet"},
    "pydantic": {"monitors/config", "monitors/validate", "settings", "inbox/notify", "sandbox"},
    "pydantic_core": {"store/database", "store/stored_rows"},
    "python_calamine": {"readers/workbook", "readers/workbook_file"},
    "rich": {"cli/tables"},
    "sqlite3": {"store", "stages/duplicates", "migration", "sandbox"},
    "tqdm": {"cli/progress", "python/progress"},
    "uvloop": {"operations/session", "sandbox/server"},
    "watchfiles": {"inbox/watch"},
    "xlsxwriter": {
        "reports/results_workbook",
        "reports/plain_rows",
        "operations/convert",
        "operations/export",
        "operations/comparison_file",
    },
    "yaml": {"migration/documents"},
    "yarl": {"alertsite/direct_post", "alertsite/proxy"},
}


@cache
def modules() -> dict[str, ast.Module]:
    """All modules by dotted name, parsed."""
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sorted(PACKAGE.rglob("*.py"))}
    return {name.removesuffix(".__init__"): ast.parse(path.read_text("utf-8")) for path, name in names.items()}


def imported_by(name: str, *, at_start: bool = False) -> Iterator[str]:
    """The modules that a module imports, anywhere or only when it is itself imported (`at_start`)."""
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


def part_of(name: str) -> str:
    """The folder of a module, or the module itself if it is in none."""
    return [*name.split("."), "__init__"][1]


def test_every_module_imports_only_what_its_part_may() -> None:
    forbidden = []
    for name in modules():
        allowed = MAY_IMPORT[part_of(name)] | (SHARED if part_of(name) != "sandbox" else set())
        for imported in imported_by(name):
            if not imported.startswith("bulkload.") or part_of(imported) == part_of(name):
                continue
            only = ONLY.get((part_of(name), part_of(imported)), {imported})
            if part_of(imported) not in allowed or imported not in only:
                forbidden.append(f"{name} imports {imported}")
    assert forbidden == []


def test_libraries_are_imported_only_by_their_modules() -> None:
    forbidden = []
    for name in modules():
        path = name.removeprefix("bulkload.").replace(".", "/")
        libraries = {imported.partition(".")[0] for imported in imported_by(name)} - {"bulkload"}
        for library in libraries - (sys.stdlib_module_names - LIBRARY_USERS.keys()):
            if not any(path == user or path.startswith(f"{user}/") for user in LIBRARY_USERS[library]):
                forbidden.append(f"{name} imports {library}")
    assert forbidden == []


def test_there_are_no_import_cycles() -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " → ".join((*path, name))
        if name not in done:
            for imported in set(imported_by(name, at_start=True)) & modules().keys():
                visit(imported, (*path, name))
            done.add(name)

    for name in modules():
        visit(name, ())


def test_every_folder_documents_input_output_and_imports() -> None:
    folders = [path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists()]
    docstrings = {folder: ast.get_docstring(modules()[f"bulkload.{folder}"]) or "" for folder in folders}
    assert [
        (folder, label)
        for folder, docstring in docstrings.items()
        for label in ("In:", "Out:", "May import:")
        if label not in docstring
    ] == []


def test_every_module_has_a_docstring() -> None:
    assert [name for name, tree in modules().items() if not ast.get_docstring(tree)] == []
