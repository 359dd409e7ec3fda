"""The inbox: a folder of files that are run automatically, every night or as they arrive.

    DIR/<file>            waiting
    DIR/working/<file>    taken; stays here while rows are to be retried
    DIR/done/<date>/      every row is done; the file and its results
    DIR/failed/<date>/    needs attention; the file, and its results or the reason why it could not be read

In: a folder. Out: a `Visit` with the outcome of each file. May import: operations, reports, settings, files,
`stages.listing`, store, readers.

`visit` has the order of the files and keeps trouble of one from the others, `processing` has the steps of one file,
`scan`, `open_files`, `moves`, `late_writes` and `filing` handle the files, and `store.arrivals` records them. The next
call finishes the step that an interrupted call left.
"""
