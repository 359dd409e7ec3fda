"""The upload page: `bulkload serve` gives people who do not use a terminal the same pipeline in a browser.

In: requests of a browser. Out: pages, downloads, and jobs that send. May import: operations, reports, settings, files,
store, monitors, and `stages.observer`.

An upload becomes a draft in the store; it is mapped, checked, corrected and compared with the account there, and then
run as any other input. Every job that needs the account is a process of its own, one at a time.
"""
