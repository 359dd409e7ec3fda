"""Contains one reader module or folder per monitoring tool, and `registry`, which lists them.

In: the documents of a tool. Out: a `Check` or a skipped object for each object in them. May import: the modules of
`migration`, monitors, protocols.
"""
