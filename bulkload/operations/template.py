"""Write the template: a file with all columns and an example row of each type, to be filled in.

In: the path of an .xlsx or .csv file. Out: a workbook with drop-down lists and comments, or a CSV file.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path

from bulkload.errors import UsageError
from bulkload.monitors.fields import FIELDS

# monitor_id is for results files and exports, and is not filled in by hand
COLUMNS = tuple(name for name in FIELDS if name != "monitor_id")

EXAMPLES = (
    {
        "type": "imaps",
        "name": "EXAMPLE IMAP, replace this row",
        "hostname": "imap.example.com",
        "billing_plancode": "UBM - A/A",
        "interval": "15",
        "timeout": "30",
        "enabled": "yes",
        "notify_on_error": "yes",
        "mode": "Global Verify",
        "locations": "10;20",
        "home_location": "10",
    },
    {
        "type": "pop",
        "name": "EXAMPLE POP3 on its TLS port, replace this row",
        "hostname": "pop.example.com",
        "port": "995",
        "billing_plancode": "UBM - A/A",
        "interval": "15",
        "timeout": "30",
        "enabled": "yes",
        "retry_on_failure": "yes",
    },
    {
        "type": "smtp",
        "name": "EXAMPLE SMTP, replace this row",
        "hostname": "smtp.example.com",
        "port": "587",
        "billing_plancode": "UBM - A/A",
        "interval": "5",
        "timeout": "30",
        "enabled": "yes",
        "alert_note": "Call the mail team",
    },
    {
        "type": "round-trip",
        "name": "EXAMPLE round trip, replace this row",
        "billing_plancode": "UBM - A/A",
        "interval": "15",
        "timeout": "300",
        "enabled": "no",
        "smtp_hostname": "smtps://smtp.example.com:465",
        "pop3_hostname": "pop3s://pop.example.com:995",
        "email": "probe@example.com",
        "note": "Needs a mailbox of its own",
    },
)


def write_template(path: Path, *, overwrite: bool = False) -> None:
    """Write the template in the format of the path's suffix; an existing file is replaced only with `overwrite`."""
    match path.suffix.lower():
        case ".xlsx":
            from bulkload.operations.template_workbook import template_workbook

            content = template_workbook(COLUMNS, EXAMPLES)
        case ".csv":
            content = _csv()
        case _:
            raise UsageError(f"{path} has the suffix {path.suffix or 'none'}; a template is .xlsx or .csv.")
    try:
        with path.open("wb" if overwrite else "xb") as file:
            file.write(content)
    except FileExistsError:
        raise UsageError(f"{path} already exists; choose another name, or add --overwrite.") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}.") from error


def _csv() -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="")
    writer.writeheader()
    writer.writerows(EXAMPLES)
    return text.getvalue().encode("utf-8-sig")  # the byte order mark tells Excel that it is UTF-8
