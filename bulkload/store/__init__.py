"""All SQL: runs, their rows, which row created which monitor, the files of an inbox, trial monitors of `doctor`.

In: records. Out: records, durable when a method returns. May import: nothing of bulkload but `errors`, `model` and
`clock`.
"""
