"""The door for Python programs: notebooks, schedulers and other programs that import `bulkload`.

In: a DataFrame, rows as mappings, or a path, and the options of the command line as keywords. Out: a `Result` with
frames. `bulkload/__init__.py` publishes what is here; nothing is printed, and no signal is handled.
May import: operations, reports, settings, files, store, readers, monitors and stages.observer.
"""
