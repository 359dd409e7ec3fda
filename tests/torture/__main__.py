"""Soak test: runs new scenarios until the time is up.

python -m tests.torture --minutes 60
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

parser = argparse.ArgumentParser(prog="python -m tests.torture", description="Run new scenarios until the time is up.")
parser.add_argument("--minutes", type=float, default=60.0, help="duration (default 60)")
os.environ["BULKLOAD_TORTURE_MINUTES"] = str(parser.parse_args().minutes)
sys.exit(pytest.main([str(Path(__file__).parent), "-q", "-s", "-k", "soak"]))
