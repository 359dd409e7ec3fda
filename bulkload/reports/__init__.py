"""Write the results of a run: a workbook, CSV, JSON lines, an HTML page, and a summary as text.

In: a `RunInfo` and `ReportRow`s. Out: complete files or none. May import: files,
`monitors.result_columns` and `monitors.header`.
"""
