"""The inbox: a folder of files that are run automatically, every night or as they arrive.

    DIR/<file>            waiting
    DIR/working/<file>    taken; stays until none of its rows is to be tried again
    DIR/done/<date>/      every row is done; the file, and its results beside it
    DIR/failed/<date>/    needs a person; the file, and its results or a text that says why

In: a folder. Out: a `Visit` that says what happened to each file. May import: operations, reports, settings, files,
`stages.listing`, store, readers.

`visit` has the order of things, `scan` and `moves` the files, `store.arrivals` what the store knows of them. Each step
is stored before it is taken, so that the next call finishes what an interrupted one left.
"""
