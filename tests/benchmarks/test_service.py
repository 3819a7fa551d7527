"""The benchmark of the service measures what it says."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import open_loop
import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "service.py"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
STALL_SECONDS = 0.5


def test_requests_are_due_at_random_and_the_same_ones_each_time() -> None:
    due = list(open_loop.due_times(200, 30, seed=0))
    assert due == list(open_loop.due_times(200, 30, seed=0))
    assert due == sorted(due)
    assert len(due) == pytest.approx(6000, rel=0.05)


def test_stall_is_charged_to_all_who_had_to_wait() -> None:
    """A client that waits for each answer counts the stall once; this one counts the queue."""

    async def measure() -> open_loop.Tally:
        opens_at = asyncio.get_running_loop().time() + STALL_SECONDS

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    await asyncio.sleep(opens_at - asyncio.get_running_loop().time())
                    writer.write(ANSWER)
            except asyncio.IncompleteReadError:
                writer.close()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            return await open_loop.send_all(
                {
                    "server": f"http://127.0.0.1:{port}",
                    "headers": {},
                    "paths": ["/"],
                    "rate": 100,
                    "seconds": 1.0,
                    "warm_up_seconds": 0,
                    "seed": 0,
                }
            )

    tally = asyncio.run(measure())
    assert tally.failures == 0
    # About half of all requests were due during the stall, and a quarter in its first half.
    slow = [latency for latency in tally.latencies if latency > STALL_SECONDS / 2]
    assert len(slow) > len(tally.latencies) / 8
    assert max(tally.latencies) > 0.9 * STALL_SECONDS


@pytest.mark.slow
def test_whole_benchmark_gives_every_figure_at_a_tiny_size(tmp_path: Path) -> None:
    results = tmp_path / "service.json"
    sizes = ["--samples=3000", "--megabytes=2", "--queued=30", "--streams=4", "--seconds=1"]
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), *sizes, "--results", str(results)],
        check=True,
        capture_output=True,
        text=True,
    )
    record = json.loads(ended.stdout.splitlines()[-1])
    assert record == json.loads(results.read_text())
    figures = {name: part for name, part in record.items() if isinstance(part, dict)}
    figures.pop("versions")
    assert set(figures) == {
        *("job_read_p99_beside_streams", "results_write", "results_seen_in_part"),
        *("weights_first_byte", "weights_speed_over_disk", "export_memory"),
        *("weights_page_median", "weights_page_p95", "job_deletion"),
        *("upload", "upload_memory_growth", "job_lists_p95"),
    }
    assert all({"limit", "measured", "unit", "ok"} <= figure.keys() for figure in figures.values())
    assert record["ok"] == all(figure["ok"] for figure in figures.values())
    # What does not hang on the machine's speed holds at any size.
    assert figures["results_seen_in_part"]["ok"]
    assert figures["job_read_p99_beside_streams"]["watchers"]["streams"] == 4
