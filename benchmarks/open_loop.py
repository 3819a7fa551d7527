"""A client that sends requests when they are due, whether or not earlier ones were answered.

Run as a program of its own beside the service: reads its task as JSON from standard input and
prints one JSON object. A latency counts from the moment at which the request was due, so a service
that stalls is charged with all that had to wait, and so is a client that is late.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from plain_http import Connections


@dataclass
class Tally:
    """What was sent and what came of it.

    Attributes:
        latencies: Seconds from when a request was due to the end of its answer.
        delays: Seconds from when a request was due to when it was sent.
        failures: Answers that were none, or had another status than 200.
    """

    latencies: list[float] = field(default_factory=list)
    delays: list[float] = field(default_factory=list)
    failures: int = 0


def due_times(rate: float, seconds: float, seed: int) -> Iterator[float]:
    """Yield when requests are due, as a Poisson process has it.

    Args:
        rate: Requests a second, on average.
        seconds: How long.
        seed: Of the draws.
    """
    generator = random.Random(seed)  # noqa: S311 - No secret.
    due = generator.expovariate(rate)
    while due < seconds:
        yield due
        due += generator.expovariate(rate)


async def send_all(task: dict[str, Any]) -> Tally:
    """Send all requests of a task and return what came of them."""
    tally = Tally()
    connections = Connections(task["server"], task["headers"])
    async with asyncio.TaskGroup() as group:
        started = time.perf_counter()
        length = task["warm_up_seconds"] + task["seconds"]
        for number, due in enumerate(due_times(task["rate"], length, task["seed"])):
            await asyncio.sleep(started + due - time.perf_counter())
            path = task["paths"][number % len(task["paths"])]
            # What a service does for the first time is no part of its speed.
            counted = tally if due >= task["warm_up_seconds"] else Tally()
            group.create_task(_send(connections, path, started + due, counted))
    connections.close()
    return tally


async def _send(connections: Connections, path: str, due: float, tally: Tally) -> None:
    tally.delays.append(time.perf_counter() - due)
    try:
        connection = await connections.take()
        is_right = await connection.get(path)
        connections.give_back(connection)
    except (OSError, EOFError):
        # A connection that breaks is a request that failed, and is counted as one.
        is_right = False
    tally.failures += not is_right
    tally.latencies.append(time.perf_counter() - due)


def _milliseconds(times: list[float]) -> dict[str, float]:
    quantiles = {"median": 50, "p95": 95, "p99": 99, "max": 100}
    return {
        name: round(1000 * float(np.percentile(times, share)), 1)
        for name, share in quantiles.items()
    }


def main() -> None:
    """Do the task that standard input holds."""
    task = json.load(sys.stdin)
    busy = time.process_time()
    tally = asyncio.run(send_all(task))
    busy = time.process_time() - busy
    result = {
        "requests": len(tally.latencies),
        "failures": tally.failures,
        "latency_ms": _milliseconds(tally.latencies),
        "client_delay_ms": _milliseconds(tally.delays),
        "client_cpu_share": round(busy / (task["warm_up_seconds"] + task["seconds"]), 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
