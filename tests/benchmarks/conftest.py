"""Lets tests import the benchmark scripts, which find their neighbours beside themselves."""

import sys
from pathlib import Path

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
# Behind the tests, one of whose modules has the name of a benchmark.
sys.path.append(str(BENCHMARKS))
