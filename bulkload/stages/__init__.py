"""What the rows of a run go through: intake, plan, execute, settle, verify.

In: an input, or rows in the store, and the API client. Out: the same rows, each in its next state. May import: readers,
store, alertsite, monitors, settings.
"""
