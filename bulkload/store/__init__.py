"""All SQL: runs, their rows, which monitor belongs to which row, the files of an inbox, trials.

In: records. Out: records, durable when a method returns. May import: nothing of bulkload but `errors`, `model` and
`clock`.
"""
