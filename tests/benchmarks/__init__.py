"""Benchmarks: bulkload compared with similar programs and with simple scripts.

    python -m tests.benchmarks                        all; takes about 20 minutes
    python -m tests.benchmarks rows pacing            only these
    python -m tests.benchmarks --markdown speed.md    write the table as Markdown too

Each measurement is a new process. bulkload and its peer are measured alternately, and the median is reported, so a
busy machine affects both.
"""
