"""Invented contexts of every template: ordinary, empty, faulty, hostile and very large ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bulkload.web.views import AccountView, DraftLine, Frame, Message, RemovalLine, RemovalView
from tests.web.sample_records import (
    COLUMNS,
    DEFAULTS,
    DRAFT,
    FORECAST,
    FRAME,
    HOSTILE,
    KINDS,
    LONG,
    ON_EXISTING,
    PAGER,
    PROGRESS,
    READING,
    RUN,
    RUN_BARS,
    RUN_LINES,
    RUNS_FRAME,
    SANDBOX,
    TARGETS,
    WIDE_HEADER,
    bars,
    forecast_table,
    mixed_rows,
    row,
    run_table,
    table,
)

Page = tuple[str, Mapping[str, object]]


def frame(title: str, base: Frame = FRAME, **changes: object) -> Frame:
    return replace(base, title=title, **changes)  # type: ignore[arg-type]


def pages() -> dict[str, Page]:
    """Name of a scene → template and context."""
    checked = {"draft": DRAFT, "target": "ops@example.com"}
    columns = {
        "draft": replace(
            DRAFT,
            step="columns",
            notes=("2 title lines above the column names were skipped.", "3 hidden rows are read too."),
        ),
        "columns": COLUMNS,
        "defaults": DEFAULTS,
        "remembered": "",
        "problems": ["Two columns are chosen as hostname."],
        "can_be_headerless": True,
        "is_headerless": False,
        "reading": READING,
    }
    plan = {
        "draft": replace(DRAFT, step="start"),
        "target": "AlertSite",
        "targets": TARGETS,
        "allowed": {"trust_list": False, "create_lookalikes": True},
        "on_existing": ON_EXISTING,
        "needs_login": False,
    }
    run = {"run": RUN, "progress": None, "table": run_table(20), "bars": RUN_BARS}
    active = replace(
        RUN, is_active=True, events_href="/runs/x/events", can_resume=False, can_fix=0, can_undo=0, headline=""
    )
    removal = RemovalView(
        lines=[
            RemovalLine(
                row=2, monitor_id="900002", type="imap", name="Post 2", host="mail2.example.com", action="delete"
            ),
            RemovalLine(
                row=3,
                monitor_id="900003",
                type="smtp",
                name=LONG,
                host="mail3.example.com",
                action="keep",
                reason="edited on 25 November: interval 15 → 5",
            ),
            RemovalLine(
                row=4, monitor_id="900004", type="imap", name=HOSTILE, host="mail4.example.com", action="already gone"
            ),
        ],
        deletes=58,
        edited=2,
        gone=1,
        includes_edited=False,
        account="ops@example.com",
    )
    limits = "Up to 50 MB and 100,000 rows."
    start = {"drafts": (), "run_drafts": (), "runs": (), "limits": limits, "max_bytes": 50_000_000}
    return {
        "login": ("login.html", {"frame": Frame(title="Access key needed"), "next": "/drafts/7f3a"}),
        "login-wrong": (
            "login.html",
            {
                "frame": Frame(
                    title="Access key needed",
                    message=Message(text="This is not the key of this server.", is_problem=True),
                ),
                "next": "/",
            },
        ),
        "error": (
            "error.html",
            {
                "frame": frame("Not found"),
                "heading": "There is no such draft",
                "sentence": "It may have been deleted, or the address is not complete.",
                "back_href": "/",
                "back_label": "Back to the start",
            },
        ),
        "start-empty": (
            "start.html",
            {"frame": frame("Create mail monitors from a spreadsheet", section="start", account=""), **start},
        ),
        "start": (
            "start.html",
            {
                "frame": frame(
                    "Create mail monitors from a spreadsheet",
                    section="start",
                    user="martha",
                    message=Message(text="The draft of hosts.csv is deleted."),
                ),
                **start,
                "drafts": (
                    DraftLine(
                        href="/drafts/1",
                        name="mail-hosts-2026.xlsx",
                        state="2 of 60 rows have errors",
                        changed="today 14:05",
                    ),
                    DraftLine(
                        href="/drafts/2",
                        name=HOSTILE,
                        state="choose the columns",
                        changed="yesterday 17:31",
                        is_rehearsal=True,
                    ),
                ),
                "run_drafts": (
                    DraftLine(
                        href="/drafts/3",
                        name="mail-hosts-2025.xlsx",
                        state="60 rows, no errors. Run 20260314T021500-1f3a was made of it.",
                        changed="2026-03-14 02:15",
                    ),
                ),
                "runs": RUN_LINES,
            },
        ),
        "start-sandbox": (
            "start.html",
            {
                "frame": frame(
                    "Create mail monitors from a spreadsheet", section="start", only_sandbox=True, account=""
                ),
                **start,
            },
        ),
        "reading": (
            "reading.html",
            {
                "frame": frame("Reading the file", refresh_seconds=2),
                "draft": DRAFT,
                "progress": "12,000 rows are read.",
            },
        ),
        "unreadable": (
            "unreadable.html",
            {
                "frame": frame("This file cannot be read"),
                "draft": DRAFT,
                "problem": "hosts.csv is not UTF-8: line 14 has the byte 0xFF. Choose its encoding.",
                "reading": replace(READING, has_encoding=True),
            },
        ),
        "columns": ("columns.html", {"frame": frame("Choose the columns"), **columns}),
        "columns-clear": (
            "columns.html",
            {
                "frame": frame("Choose the columns"),
                **columns,
                "columns": [c for c in COLUMNS if c.is_clear],
                "problems": [],
                "remembered": "Chosen as on 12 November for a file with the same columns.",
                "is_headerless": True,
                "defaults": DEFAULTS[2:],
            },
        ),
        "rows-1": (
            "rows.html",
            {
                "frame": frame("Check the rows"),
                **checked,
                "draft": replace(DRAFT, rows="1", ready=1, bad=0, edits=0),
                "table": table([row(2)]),
            },
        ),
        "rows-60": (
            "rows.html",
            {"frame": frame("Check the rows"), **checked, "table": replace(table(mixed_rows(50)), kinds=KINDS)},
        ),
        "rows-10000": (
            "rows.html",
            {
                "frame": frame("Check the rows", is_rehearsal=True),
                **checked,
                "draft": replace(
                    DRAFT,
                    rows="9,998",
                    ready=9900,
                    bad=98,
                    left_out=3,
                    name=LONG,
                    notes=("2 title lines above the column names were skipped.",),
                ),
                "table": replace(
                    table(mixed_rows(50, WIDE_HEADER), header=WIDE_HEADER, pager=PAGER),
                    kinds=KINDS,
                    search=HOSTILE,
                    clear_href="/drafts/7f3a",
                ),
            },
        ),
        "rows-none": (
            "rows.html",
            {
                "frame": frame(
                    "Check the rows",
                    message=Message(
                        text="The rows were changed in another window. Look at them and repeat your change.",
                        is_problem=True,
                    ),
                ),
                **checked,
                "draft": replace(DRAFT, ready=0, bad=60),
                "table": replace(table([]), search="zzz", clear_href="/drafts/7f3a"),
            },
        ),
        "forecast-before": (
            "forecast.html",
            {"frame": frame("Compare and create"), **plan, "forecast": None, "table": None},
        ),
        "forecast-login": (
            "forecast.html",
            {
                "frame": frame("Compare and create", account=""),
                **plan,
                "needs_login": True,
                "forecast": None,
                "table": None,
            },
        ),
        "forecast": (
            "forecast.html",
            {"frame": frame("Compare and create"), **plan, "forecast": FORECAST, "table": forecast_table()},
        ),
        "forecast-sandbox": (
            "forecast.html",
            {
                "frame": frame("Compare and create", is_rehearsal=True),
                **plan,
                "target": "the sandbox",
                "targets": SANDBOX,
                "forecast": replace(FORECAST, creates=1, updates=0),
                "table": forecast_table(),
            },
        ),
        "forecast-old": (
            "forecast.html",
            {
                "frame": frame("Compare and create"),
                **plan,
                "forecast": replace(FORECAST, is_current=False),
                "table": forecast_table(),
            },
        ),
        "forecast-nothing": (
            "forecast.html",
            {
                "frame": frame("Compare and create"),
                **plan,
                "forecast": replace(FORECAST, creates=0, updates=0, bars=bars(("exists", 60)), warnings=()),
                "table": None,
            },
        ),
        "forecast-problem": (
            "forecast.html",
            {
                "frame": frame("Compare and create"),
                **plan,
                "forecast": replace(
                    FORECAST,
                    problem="AlertSite refused the login of ops@example.com. Check it under Account.",
                    bars=(),
                ),
                "table": None,
            },
        ),
        "run": ("run.html", {"frame": frame("Results", RUNS_FRAME), **run}),
        "run-tried": (
            "run.html",
            {
                "frame": frame("Results", RUNS_FRAME),
                **run,
                "run": replace(
                    RUN,
                    is_tried=True,
                    headline="2 rows were tried, 56 are not sent yet.",
                    can_fix=0,
                    can_undo=2,
                    resume_label="Create the other 56 monitors",
                ),
                "bars": bars(("created", 2), ("not_attempted", 56)),
            },
        ),
        "run-done": (
            "run.html",
            {
                "frame": frame("Results", RUNS_FRAME, is_rehearsal=True),
                **run,
                "run": replace(RUN, headline="All 10,000 rows are done.", can_resume=False, can_fix=0, can_undo=10000),
                "bars": bars(("created", 9998), ("exists", 2)),
                "table": run_table(50),
            },
        ),
        "run-stopped": (
            "run.html",
            {
                "frame": frame("Results", RUNS_FRAME),
                **run,
                "run": replace(
                    RUN,
                    stopped="AlertSite refused the password after 12 rows. Log in again under Account, then resume.",
                    resume_label="Resume: 12 rows to run again",
                ),
            },
        ),
        "run-active": (
            "run.html",
            {"frame": frame("Running", RUNS_FRAME, refresh_seconds=5), **run, "run": active, "progress": PROGRESS},
        ),
        "job": (
            "job.html",
            {
                "frame": frame("Waiting", RUNS_FRAME, refresh_seconds=3),
                "name": DRAFT.name,
                "events_href": "/jobs/5/events",
                "plan_href": "/drafts/7f3a/start",
                "progress": replace(
                    PROGRESS,
                    headline="Waiting for the run of other.xlsx",
                    total=0,
                    done=0,
                    bars=(),
                    facts=(),
                    last_errors=(),
                ),
                "back_href": DRAFT.href,
                "back_label": "Back to the rows",
            },
        ),
        "runs": ("runs.html", {"frame": frame("Runs", RUNS_FRAME), "runs": RUN_LINES, "pager": PAGER}),
        "runs-empty": ("runs.html", {"frame": frame("Runs", RUNS_FRAME), "runs": (), "pager": None}),
        "undo": ("undo.html", {"frame": frame("Undo this run?", RUNS_FRAME), "run": RUN, "removal": removal}),
        "undo-nothing": (
            "undo.html",
            {
                "frame": frame("Undo this run?", RUNS_FRAME),
                "run": RUN,
                "removal": replace(removal, deletes=0, edited=1, lines=()),
            },
        ),
        "account": (
            "account.html",
            {
                "frame": frame("Account", section="account"),
                "account": AccountView(own="ops@example.com", typed="", only_sandbox=False, next_href="/account"),
            },
        ),
        "account-typed": (
            "account.html",
            {
                "frame": frame("Account", section="account", user="martha"),
                "account": AccountView(own="ops@example.com", typed="martha@example.com", only_sandbox=False),
            },
        ),
        "account-sandbox": (
            "account.html",
            {
                "frame": frame("Account", section="account", only_sandbox=True, account=""),
                "account": AccountView(own="", typed="", only_sandbox=True),
            },
        ),
    }
