"""Measures what a million results cost: written, downloaded, exported, paged and deleted."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final
from urllib.parse import urlencode

from made_jobs import MadePool, finish_job
from running_service import RunningService
from service_figures import (
    MEGABYTE,
    Caller,
    MemoryWatch,
    at_least,
    at_most,
    quantiles_ms,
    read_all,
)
from sqlalchemy import text

from curation.database import create_database_engine, unit_of_work
from curation.jobs import Claim
from curation.manifest_formats import TableFormat
from curation.results import job_object
from curation.weight_files import weights_kind

PAGES: Final = 60
PAGE_ROWS: Final = 1000
DOWNLOADS: Final = 5
_LOOK_SECONDS: Final = 0.02
_COUNT: Final = text("SELECT count(*) FROM sample_weights WHERE job_id = :job_id")


def measure_results(service: RunningService, claim: Claim, pool: MadePool) -> dict[str, Any]:
    """Return the figures of one job's results, from their writing to their deletion."""
    path = f"/v1/jobs/{claim.job_id}"
    with Caller(service) as caller:
        figures = _write(service, claim, pool)
        figures |= _download(service, caller, claim, path)
        figures |= _export(service, caller, path)
        figures |= _page(caller, path, len(pool.class_names))
        figures |= _delete(caller, path)
    return figures


def _write(service: RunningService, claim: Claim, pool: MadePool) -> dict[str, Any]:
    with _reader(service, claim) as counts:
        started = time.perf_counter()
        finish_job(service, claim, pool)
        seconds = time.perf_counter() - started
        # The reader is to see them, too.
        time.sleep(1.0)
    sample_count = len(pool.rows.labels)
    partial = [count for count in counts if count not in {0, sample_count}]
    assert counts[-1] == sample_count, "the reader never saw the results"
    return {
        "results_write": at_most(30.0, seconds, "s", rows=sample_count),
        "results_seen_in_part": at_most(
            0, len(partial), "looks", looks=len(counts), before=counts.count(0)
        ),
    }


@contextmanager
def _reader(service: RunningService, claim: Claim) -> Iterator[list[int]]:
    """Yield a growing list of how many rows a reader of the table sees."""
    counts: list[int] = []
    stop = threading.Event()
    # Of its own, so that the writer never waits for one of the reader's connections.
    engine = create_database_engine(service.settings.database_url)

    def look() -> None:
        while not stop.wait(_LOOK_SECONDS):
            with engine.connect() as connection:
                counts.append(connection.scalar(_COUNT, {"job_id": claim.job_id}) or 0)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield counts
    finally:
        stop.set()
        thread.join()
        engine.dispose()


def _download(service: RunningService, caller: Caller, claim: Claim, path: str) -> dict[str, Any]:
    with unit_of_work(service.engine) as session:
        digest = job_object(session, claim.job_id, weights_kind(TableFormat.PARQUET))
    assert digest is not None, "the worker stored no file of weights"
    with service.store.local_path(digest) as file:
        rounds = [_one_download(caller, path, file) for _ in range(DOWNLOADS)]
    first_byte, cold, warm, disk, cache = (median(values) for values in zip(*rounds, strict=True))
    speeds = {
        "http_mb_per_s": cold / MEGABYTE,
        "disk_mb_per_s": disk / MEGABYTE,
        "http_cached_mb_per_s": warm / MEGABYTE,
        "read_cached_mb_per_s": cache / MEGABYTE,
    }
    return {
        "weights_first_byte": at_most(0.5, first_byte, "s"),
        "weights_speed_over_disk": at_least(
            0.5, cold / disk, "ratio", **{name: round(speed) for name, speed in speeds.items()}
        ),
    }


def _one_download(
    caller: Caller, path: str, file: Path
) -> tuple[float, float, float, float, float]:
    """Return the first byte's delay and four speeds, all by the same loop of reads."""
    with file.open("rb", buffering=0) as source:
        _forget(source.fileno())
        _, disk, _ = read_all(source)
        source.seek(0)
        _, cache, _ = read_all(source)
        _forget(source.fileno())
    asked = time.perf_counter()
    _, cold, began = read_all(caller.ask("GET", f"{path}/weights.parquet"))
    _, warm, _ = read_all(caller.ask("GET", f"{path}/weights.parquet"))
    return began - asked, cold, warm, disk, cache


def _forget(descriptor: int) -> None:
    """Have the system read the file from the disk when it is read next."""
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


def _export(service: RunningService, caller: Caller, path: str) -> dict[str, Any]:
    exports = {}
    with MemoryWatch(service.process_id) as memory:
        for name in ("weights.jsonl", "manifest?format=jsonl"):
            asked = time.perf_counter()
            size, _, _ = read_all(caller.ask("GET", f"{path}/{name}"))
            exports[name] = {
                "seconds": round(time.perf_counter() - asked, 2),
                "megabytes": round(size / MEGABYTE, 1),
            }
    return {
        "export_memory": at_most(300.0, memory.peak[0], "MB", **memory.report(), exports=exports)
    }


def _page(caller: Caller, path: str, class_count: int) -> dict[str, Any]:
    cases = {}
    # The last class is a rare one.
    for label in (None, 0, class_count - 1):
        for sort in ("position", "score", "-score"):
            name = sort if label is None else f"{sort}, class {label}"
            cases[name] = quantiles_ms(_page_seconds(caller, path, sort, label))
    return {
        "weights_page_median": at_most(
            50.0, max(case["median_ms"] for case in cases.values()), "ms"
        ),
        "weights_page_p95": at_most(
            50.0, max(case["p95_ms"] for case in cases.values()), "ms", cases=cases
        ),
    }


def _page_seconds(caller: Caller, path: str, sort: str, label: int | None) -> list[float]:
    """Return how long pages take, one after the other, from the first on again at the end."""
    query: dict[str, Any] = {"sort": sort, "limit": PAGE_ROWS}
    if label is not None:
        query["label"] = label
    times = []
    cursor: dict[str, str] = {}
    for _ in range(PAGES):
        content, seconds = caller.get(f"{path}/weights?{urlencode({**query, **cursor})}")
        times.append(seconds)
        following = json.loads(content)["next_cursor"]
        cursor = {} if following is None else {"cursor": following}
    return times


def _delete(caller: Caller, path: str) -> dict[str, Any]:
    started = time.perf_counter()
    response = caller.ask("DELETE", path)
    content = response.read()
    seconds = time.perf_counter() - started
    assert response.status == 204, content  # noqa: PLR2004 - HTTP's own number.
    return {"job_deletion": at_most(1.0, seconds, "s")}
