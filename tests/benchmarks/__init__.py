"""The speed of bulkload beside that of its peers, measured side by side in one run.

    python -m tests.benchmarks                        everything; takes about half an hour
    python -m tests.benchmarks rows pacing            some of it
    python -m tests.benchmarks --markdown speed.md    and the table as Markdown

Everything that is timed is a process of its own, started anew. Ours and its peer take turns, and of several turns the
median counts, so that a noisy machine does harm to both.
"""
