"""Spreadsheets: CSV and text, xlsx, xlsm, xls, xlsb and ods.

In: a path. Out: a `Source`, whose rows are a stream of text cells with their issues. May import: migration, monitors,
files.
"""
