"""The loop that AlertSite's documentation shows: one `requests.request` after another.

python -m tests.benchmarks.programs.documented_requests URL ROWS
"""

from __future__ import annotations

import sys

import requests

from tests.benchmarks.inputs import request_bodies


def main(url: str, count: int) -> None:
    """Post all bodies and read each response."""
    headers = {"Authorization": "Bearer stub", "Content-Type": "application/json"}
    for monitor_type, body in request_bodies(count):
        response = requests.request("POST", f"{url}/monitors/{monitor_type}", headers=headers, data=body, timeout=30)
        response.raise_for_status()
        response.json()["id"]


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
