"""The command line: one file per command, and what they share (options, output, signals, streams, logs).

In: arguments. Out: output on stdout, progress and logs on stderr, an `ExitCode`. May import: operations, reports,
settings, files, and `stages.observer`; each where it is used, so that a command starts quickly.
"""
