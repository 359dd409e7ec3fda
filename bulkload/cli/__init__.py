"""The command line: one file per command, and what they share (options, output, signals, streams, logs).

In: arguments. Out: what was asked for on stdout, progress and logs on stderr, an `ExitCode`. May import: operations,
reports, settings, files; each of them where it is used, so that a command starts as fast as it can.
"""
