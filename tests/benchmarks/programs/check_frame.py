"""Build a frame of ROWS rows, and CHECK it or not: `python check_frame.py ROWS yes|no`."""

from __future__ import annotations

import sys
import time

import pandas as pd


def main(rows: int, check: bool) -> None:
    """Print the seconds that the check takes."""
    frame = pd.DataFrame(
        {
            "type": "imap",
            "name": [f"Mail {number}" for number in range(rows)],
            "hostname": [f"mx{number}.example.com" for number in range(rows)],
            "port": 993,
            "billing_plancode": "UBM - A/A",
            "interval": 15,
            "timeout": 30,
            "enabled": True,
            "note": [f"rack {number % 100}" for number in range(rows)],
            "locations": "10;20",
        }
    )
    began = time.perf_counter()
    if check:
        import bulkload as bl

        result = bl.check(frame)
        assert result.counts == {"will create": rows}
    sys.stdout.write(f"{time.perf_counter() - began:.3f}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "yes")
