"""What a monitor is: its fields, values and hosts, how a row becomes one, and when two of them are the same.

In: text cells, or a monitor as the API shows it. Out: a `MonitorConfig`, `Issue`s, an `Identity`. No file, network or
SQL. May import: nothing of bulkload but `errors`, `model` and `protocols`.
"""
