"""Files and text as such: written whole or not at all, safe in a spreadsheet program, fit to be shown.

In: paths and text. Out: the same, safe. May import: nothing of bulkload but `errors`.
"""
