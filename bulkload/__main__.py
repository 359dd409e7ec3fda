"""`python -m bulkload`."""

from bulkload.cli import entry

if __name__ == "__main__":
    entry()
