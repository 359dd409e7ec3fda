"""A folder of files, taken up by itself every night.

    DIR/<file>            waiting
    DIR/working/<file>    taken; stays until none of its rows is to be tried again
    DIR/done/<date>/      every row is done; the file, and its results beside it
    DIR/failed/<date>/    needs a person; the file, and its results or a text that says why

`folder` knows files and names, `book` what the store knows of them, `visit` the order of things. A step is noted in
the store before it is taken, so that a call that was killed anywhere is finished by the next one.
"""
