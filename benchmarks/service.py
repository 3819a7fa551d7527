"""Measures the service at a million samples and holds each figure against its limit.

The stack is the embedded one: real PostgreSQL and Valkey, and the API as a process of its own. A
worker's part is done by the worker's own functions. Prints one JSON object as its last line and
writes the same into benchmarks/results/service.json.
"""

import argparse
import importlib.metadata
import json
import os
import platform
from pathlib import Path
from typing import Any, Final

from made_jobs import add_sets, make_pool, start_job
from running_service import running_service
from service_load import measure_queue, measure_streams, measure_upload
from service_results import measure_results

RESULTS: Final = Path(__file__).parent / "results" / "service.json"
CLASS_NAMES: Final = (*(f"class {index}" for index in range(10)), "rare")
CLASS_SHARES: Final = (*[0.0999] * 10, 0.001)
_PACKAGES: Final = ("fastapi", "uvicorn", "sqlalchemy", "psycopg", "pyarrow", "numpy")


def main() -> None:
    """Run the benchmark from the command line."""
    arguments = _parse_arguments()
    result = {
        **measure(arguments),
        "samples": arguments.samples,
        "seed": 0,
        "cpus": len(os.sched_getaffinity(0)),
        "load_average": [round(load, 1) for load in os.getloadavg()],
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in _PACKAGES},
    }
    arguments.results.parent.mkdir(exist_ok=True)
    arguments.results.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result))


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return all figures, and whether all limits hold.

    Args:
        arguments: The command line.
    """
    pool = make_pool(CLASS_NAMES, CLASS_SHARES, arguments.samples)
    # Limits are those of the service itself, not of what one key may ask of it.
    with running_service(WINNOW_RATE_LIMIT_REQUESTS="0") as service:
        sets = add_sets(service, pool)
        figures = measure_streams(
            service, sets, streams=arguments.streams, seconds=arguments.seconds
        )
        figures |= measure_results(service, start_job(service, sets), pool)
        figures |= measure_upload(service, arguments.megabytes)
        figures |= measure_queue(service, sets, arguments.queued)
    return {**figures, "ok": all(figure["ok"] for figure in figures.values())}


def _parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--megabytes", type=int, default=1000, help="Of the upload, 1 MiB each.")
    parser.add_argument("--queued", type=int, default=10_000, help="Jobs that wait.")
    parser.add_argument("--streams", type=int, default=200, help="Clients that watch jobs.")
    parser.add_argument("--seconds", type=float, default=30.0, help="Of reads beside streams.")
    parser.add_argument("--results", type=Path, default=RESULTS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
