"""Lets tests import the benchmark scripts, which find their neighbours beside themselves."""

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
