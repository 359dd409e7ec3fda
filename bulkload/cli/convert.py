"""`convert`: turn another tool's configuration into a spreadsheet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bulkload.cli.options import command_option
from bulkload.cli.output import print_line, print_message
from bulkload.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from bulkload.operations.convert import TcpAs


class _Convert(click.Command):
    """Lists the tools in its help; they are loaded only for that."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from bulkload.operations.convert import supported_tools

        with formatter.section("Tools (TOOL of --from)"):
            formatter.write_dl(supported_tools())


@click.command(cls=_Convert)
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SRC…")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False), metavar="OUT")
@command_option(
    "--from", "tool", metavar="TOOL", help="The tool that the files are from (default: detected from the content)."
)
@command_option("--skip-private", is_flag=True, help="Skip hosts that AlertSite cannot reach.")
@command_option(
    "--tcp-as",
    type=click.Choice(["mail", "tcp", "skip"]),
    default="mail",
    show_default=True,
    help="Treat plain TCP checks on mail ports as mail checks, keep them (run rejects them), or skip them.",
)
@command_option(
    "--encoding", metavar="NAME", help="Encoding of text that is not UTF-8, such as Windows-1252 or ISO-8859-1."
)
@command_option("--overwrite", is_flag=True, help="Replace OUT if it exists.")
@command_option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def convert(
    sources: tuple[Path, ...],
    out: Path,
    tool: str | None,
    skip_private: bool,
    tcp_as: TcpAs,
    encoding: str | None,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Turn another tool's configuration into a spreadsheet.

    SRC are its files or folders; together they are one input. OUT is .xlsx with three worksheets, or .csv with two
    files beside it: the rows, what was left out and why, and what was changed. The exit code is 1 if something was left
    out that needs attention.

    \b
    Examples:
      bulkload convert /etc/nagios4 hosts.xlsx
      bulkload convert hosts.yaml templates.yaml hosts.xlsx --skip-private
    """
    from bulkload.operations.convert import convert as convert_files
    from bulkload.reports.summary import source_json
    from bulkload.text_encodings import codec_named

    try:
        codec = None if encoding is None else codec_named(encoding)
    except ValueError as error:
        raise UsageError(f"--encoding is {encoding!r}; {error}.") from None
    counts = convert_files(
        sources, out, tool=tool, skip_private=skip_private, tcp_as=tcp_as, overwrite=overwrite, encoding=codec
    )
    if as_json:
        click.echo(json.dumps(source_json(counts) | {"out": str(out), "stopped": None}))
    else:
        print_line(
            f"{counts.tool}, objects: {counts.objects:,}. Rows: {counts.rows:,}, skipped: {counts.skipped:,},"
            f" errors: {counts.errors:,}; values changed: {counts.changes:,}."
        )
        if counts.private_hosts:
            subject, them = (
                ("1 host is a private address", "it")
                if counts.private_hosts == 1
                else (f"{counts.private_hosts:,} hosts are private addresses", "them")
            )
            print_line(f"{subject} that AlertSite cannot reach; --skip-private leaves {them} out.")
        if counts.not_covered:
            print_line('What the monitors do not do is in "changed", as "not covered".')
        print_line(f"Wrote {out}.")
    for sentence in counts.missing:
        print_message(sentence)
    return ExitCode.ROWS_LEFT if counts.errors else ExitCode.DONE
