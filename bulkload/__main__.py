"""`python -m bulkload`."""

from bulkload.cli.main import entry

if __name__ == "__main__":
    entry()
