"""`compare`: show how two files differ, or a file and the account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bulkload.cli.options import INPUT_OPTIONS, OUTPUT_OPTIONS, command_option, with_options
from bulkload.cli.output import load_settings, print_line, print_object
from bulkload.cli.questions import load_login
from bulkload.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bulkload.operations.comparison import Change, Comparison
    from bulkload.settings import Options


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="OLD NEW")
@command_option("--account", is_flag=True, help="Compare the account with one file.")
@command_option(
    "--exit-code", is_flag=True, help="Exit with 1 if there are differences, or rows that could not be compared."
)
@click.option(
    "--results",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the differences to FILE: .xlsx or .csv. Repeatable.",
)
@with_options(*INPUT_OPTIONS, "trust-list", "rate", "request-timeout", "output", "sandbox", *OUTPUT_OPTIONS)
@click.pass_obj
def compare(config: Path | None, /, files: tuple[Path, ...], account: bool, exit_code: bool, **arguments: Any) -> int:
    """Show which monitors are new, gone or changed from OLD to NEW, field by field.

    Sends nothing, unless --account is given: then the account is compared with one file by a login and GET requests;
    a cell that is empty in the file is no difference. Monitors are the same by monitor_id, else by type, name,
    hostname and port. --results writes the differences to an .xlsx or .csv file.

    \b
    Examples:
      bulkload compare monday.xlsx tuesday.xlsx
      bulkload compare hosts.xlsx --account
      bulkload compare old.csv new.csv --results differences.xlsx
    """
    from bulkload.model import Input
    from bulkload.operations.compare import compare_inputs, compare_with_account
    from bulkload.operations.comparison_file import check_comparison_files, write_comparison

    login, options = (load_login if account else load_settings)(config, arguments)
    if len(files) != (1 if account else 2):
        needed = "one file; the other side is the account" if account else "two files, or --account and one file"
        raise UsageError(f"compare needs {needed}.")
    check_comparison_files(files, options.results)
    new = Input.at(files[-1])
    if account:
        comparison = compare_with_account(new, login, options)
    else:
        comparison = compare_inputs(Input.at(files[0]), new, options)
    for path in options.results:
        write_comparison(path, comparison)
    is_same = not comparison.changes and not comparison.unclear
    code = ExitCode.ROWS_LEFT if exit_code and not is_same else ExitCode.DONE
    _print(comparison, files, options, code)
    return code


def _print(comparison: Comparison, files: tuple[Path, ...], options: Options, code: ExitCode) -> None:
    from bulkload.operations.comparison import KINDS, NO_COLUMN, NOT_COMPARED

    counts = {kind: comparison.count(kind) for kind in KINDS} | {"same": comparison.same}
    notes = [each.sentence(str(files[0] if each.is_old else files[-1])) for each in comparison.unclear]
    if comparison.silent_fields:
        notes.append(f"Not compared: {', '.join(comparison.silent_fields)}; {NO_COLUMN}.")
    if options.json_:
        print_object(
            {
                "old": str(files[0]) if len(files) > 1 else None,
                "new": str(files[-1]),
                "results": [str(path) for path in options.results],
                "counts": counts,
                "changes": [change.as_json() for change in comparison.changes],
                "notes": notes,
                "exit_code": int(code),
            }
        )
        return
    if options.quiet:
        return
    for change in comparison.changes:
        for line in _lines(change):
            print_line(line)
    for note in notes:
        print_line(note)
    unclear = {NOT_COMPARED: len(comparison.unclear)} if comparison.unclear else {}
    print_line(", ".join(f"{count:,} {kind}" for kind, count in (counts | unclear).items()))
    for path in options.results:
        print_line(f"Results: {path}")


def _lines(change: Change) -> list[str]:
    row = "" if change.row is None else f"row {change.row}: "
    monitor = f"  [{change.monitor_id}]" if change.monitor_id else ""
    line = f"{change.kind:<7}  {row}{'  '.join(filter(None, (change.type, change.name, change.server)))}{monitor}"
    if change.kind != "changed":
        return [line]
    width = max(len(each.field) for each in change.fields)
    return [
        line,
        *(
            f"{'':7}  {each.field:<{width}}  {each.old or '(empty)'} → {each.new or '(empty)'}"
            for each in change.fields
        ),
    ]
