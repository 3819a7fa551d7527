"""Fixtures of the worker's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from embedding_jobs import JobPlace, queue_tiny_job
from supervision import SupervisionBench


@pytest.fixture
def bench(job_place: JobPlace, tmp_path: Path) -> Iterator[SupervisionBench]:
    bench = SupervisionBench(job_place, tmp_path, queue_tiny_job(job_place))
    yield bench
    for thread in bench.threads:
        thread.join(30)
        assert not thread.is_alive()
