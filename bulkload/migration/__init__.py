"""Converts the configuration files and exports of other monitoring tools to rows.

In: files of a tool. Out: a `Source` of rows, with an outcome for every object. May import: monitors, protocols.
"""
