"""Write files atomically, and make text safe for spreadsheet programs, terminals and pages.

In: paths and text. Out: paths to write to and safe text. May import: of bulkload, only `errors`.
"""
