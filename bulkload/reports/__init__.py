"""Results: a workbook, CSV, JSON lines, a page, and a few lines of text.

In: a `RunInfo` and `ReportRow`s. Out: files that appear whole or not at all. May import: files and
`monitors.result_columns`.
"""
