"""Measures a service under load: a large upload, many streams beside reads, and a long queue."""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

import numpy as np
from made_jobs import queue_job, start_job
from running_service import RunningService
from service_figures import MEGABYTE, Caller, MemoryWatch, at_least, at_most, quantiles_ms
from sqlalchemy import insert, select

from curation import jobs
from curation.clock import utc_now
from curation.database import unit_of_work
from curation.identifiers import DatasetId, JobId, new_id
from curation.models import Job

RATE: Final = 200
WARM_UP_SECONDS: Final = 3
WATCHED_JOBS: Final = 20
LIST_ROUNDS: Final = 40
LIST_ROWS: Final = 100
_MOST_GROWTH_MB: Final = 64.0
_FLOOR_MB_PER_S: Final = 150.0
_BLOCK: Final = np.random.default_rng(0).bytes(1 << 20)
_HERE: Final = Path(__file__).parent


def measure_upload(service: RunningService, megabytes: int) -> dict[str, Any]:
    """Return the speed of an upload of this many blocks of 1 MiB, and what memory it takes."""
    plain = _plain_write(service, megabytes)
    with Caller(service) as caller:
        body = json.dumps({"name": "upload", "role": "synthetic"})
        json_type = {"Content-Type": "application/json"}
        created = json.loads(
            caller.ask("POST", "/v1/datasets", body=body, headers=json_type).read()
        )
        path = f"/v1/datasets/{created['id']}/content?file_name=a.npz"
        with MemoryWatch(service.process_id) as memory:
            started = time.perf_counter()
            headers = {"Content-Length": str(megabytes * len(_BLOCK))}
            blocks = (_BLOCK for _ in range(megabytes))
            response = caller.ask("PUT", path, body=blocks, headers=headers)
            content = response.read()
            seconds = time.perf_counter() - started
    assert response.status == 202, content  # noqa: PLR2004 - HTTP's own number.
    speed = megabytes * len(_BLOCK) / MEGABYTE / seconds
    return {
        "upload": at_least(
            round(min(plain / 2, _FLOOR_MB_PER_S), 1),
            speed,
            "MB/s",
            plain_write_mb_per_s=round(plain, 1),
            megabytes=round(megabytes * len(_BLOCK) / MEGABYTE),
        ),
        "upload_memory_growth": at_most(
            _MOST_GROWTH_MB, memory.peak[0] - memory.idle[0], "MB", **memory.report()
        ),
    }


def _plain_write(service: RunningService, megabytes: int) -> float:
    """Return the megabytes a second of one process that writes the same bytes, with fsync."""
    with tempfile.NamedTemporaryFile(dir=service.store.unfinished_folder) as file:
        started = time.perf_counter()
        for _ in range(megabytes):
            file.write(_BLOCK)
        file.flush()
        os.fsync(file.fileno())
        return megabytes * len(_BLOCK) / MEGABYTE / (time.perf_counter() - started)


def measure_streams(
    service: RunningService, sets: tuple[DatasetId, DatasetId], *, streams: int, seconds: float
) -> dict[str, Any]:
    """Return how long a job's state takes to read beside many who watch jobs.

    Half of the watched jobs run and make progress each second, the others wait in the queue.

    Args:
        service: The service.
        sets: The datasets of the jobs.
        streams: Clients that watch.
        seconds: How long reads are measured.
    """
    claims = [start_job(service, sets) for _ in range(WATCHED_JOBS // 2)]
    queued = [queue_job(service, sets) for _ in range(WATCHED_JOBS // 2)]
    paths = [f"/v1/jobs/{job_id}" for job_id in [*(claim.job_id for claim in claims), *queued]]
    client = {"server": service.server, "headers": service.headers}
    watched = [f"{paths[number % len(paths)]}/events" for number in range(streams)]
    with _progress(service, claims), _watchers({**client, "paths": watched}) as watchers:
        reads = _run_client(
            "open_loop.py",
            {
                **client,
                "paths": paths,
                "rate": RATE,
                "seconds": seconds,
                "warm_up_seconds": WARM_UP_SECONDS,
                "seed": 0,
            },
        )
    assert watchers["streams"] == streams, watchers
    assert reads["failures"] == watchers["broken"] == 0, (reads, watchers)
    return {
        "job_read_p99_beside_streams": at_most(
            100.0, reads["latency_ms"]["p99"], "ms", rate_per_s=RATE, reads=reads, watchers=watchers
        )
    }


@contextmanager
def _progress(service: RunningService, claims: Sequence[jobs.Claim]) -> Iterator[None]:
    """Have running jobs make a step each second."""
    stop = threading.Event()

    def advance() -> None:
        step = 0
        while not stop.wait(1.0):
            step += 1
            for claim in claims:
                progress = jobs.Progress(
                    phase="train", fraction=min(1.0, step / 1000), step=step, total_steps=1000
                )
                with unit_of_work(service.engine) as session:
                    assert jobs.record_progress(session, claim, progress), "the claim was lost"

    thread = threading.Thread(target=advance, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def _watchers(task: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield once all streams are open; what they brought stands in the dict after the end."""
    tally: dict[str, Any] = {}
    command = [sys.executable, str(_HERE / "event_clients.py")]
    with subprocess.Popen(  # noqa: S603 - A program of this folder.
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{json.dumps(task)}\n")
        process.stdin.flush()
        assert process.stdout.readline() == "open\n", "the streams did not open"
        yield tally
        process.stdin.close()
        tally |= json.loads(process.stdout.read())


def _run_client(script: str, task: dict[str, Any]) -> dict[str, Any]:
    ended = subprocess.run(  # noqa: S603 - A program of this folder.
        [sys.executable, str(_HERE / script)],
        input=json.dumps(task),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    result: dict[str, Any] = json.loads(ended.stdout)
    return result


def measure_queue(
    service: RunningService, sets: tuple[DatasetId, DatasetId], length: int
) -> dict[str, Any]:
    """Return how long lists of jobs take, and one job's place in the queue, where many wait."""
    middle = _fill_queue(service, sets, length)
    with Caller(service) as caller:
        cases = {
            "first page": _list_seconds(caller, {}),
            "by state": _list_seconds(caller, {"state": "queued"}),
            "by a state that none has": _list_seconds(caller, {"state": "failed"}),
            "last page": _list_seconds(caller, _last_page(caller)),
            "place in the queue": [caller.get(f"/v1/jobs/{middle}")[1] for _ in range(LIST_ROUNDS)],
        }
    quantiles = {name: quantiles_ms(times) for name, times in cases.items()}
    return {
        "job_lists_p95": at_most(
            100.0,
            max(case["p95_ms"] for case in quantiles.values()),
            "ms",
            queued=length,
            page_rows=LIST_ROWS,
            cases=quantiles,
        )
    }


def _fill_queue(service: RunningService, sets: tuple[DatasetId, DatasetId], length: int) -> JobId:
    """Let this many jobs wait, copies of one, and return one from the middle."""
    first = queue_job(service, sets)
    with unit_of_work(service.engine) as session:
        row = session.execute(select(Job.__table__).where(Job.id == first)).mappings().one()
        copies = [{**row, "id": new_id(), "created_at": utc_now()} for _ in range(length - 1)]
        session.execute(insert(Job), copies)
    return JobId(copies[len(copies) // 2]["id"])


def _list_seconds(caller: Caller, query: dict[str, str]) -> list[float]:
    path = f"/v1/jobs?{urlencode({'limit': LIST_ROWS, **query})}"
    return [caller.get(path)[1] for _ in range(LIST_ROUNDS)]


def _last_page(caller: Caller) -> dict[str, str]:
    """Return what asks for the last page of the whole list, found by following the cursors."""
    page: dict[str, str] = {}
    while True:
        path = f"/v1/jobs?{urlencode({'limit': LIST_ROWS, **page})}"
        following = json.loads(caller.get(path)[0])["next_cursor"]
        if following is None:
            return page
        page = {"cursor": following}
