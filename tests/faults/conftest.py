"""Fixtures of the tests in which something breaks on purpose."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedding_jobs import JobPlace
from service import Service
from training_bench import TrainingBench
from worker_processes import WorkerProcesses

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.keys import create_key


@pytest.fixture
def training(job_place: JobPlace, tmp_path: Path) -> TrainingBench:
    return TrainingBench(job_place, tmp_path)


@pytest.fixture
def workers(
    job_place: JobPlace, emptied_broker_url: str, tmp_path: Path
) -> Iterator[WorkerProcesses]:
    assert job_place.settings.broker_url == emptied_broker_url
    with WorkerProcesses(job_place.settings, tmp_path) as processes:
        yield processes
    assert processes.surviving_attempts() == [], os.getpid()


@pytest.fixture
def unstarted_api(job_place: JobPlace) -> Iterator[Service]:
    """A client with a key, of an API process that is not there yet."""
    with unit_of_work(job_place.engine) as session:
        _, key = create_key(
            session, workspace_name="tests", name="test", scopes=["read", "write"], now=utc_now()
        )
    with (
        tempfile.TemporaryDirectory(prefix="winnow-api-") as folder,
        Service(Path(folder) / "api.sock", key) as service,
    ):
        yield service


@pytest.fixture
def api(unstarted_api: Service, workers: WorkerProcesses) -> Service:
    """A client of an API process beside the workers, which is ready."""
    workers.start_api(unstarted_api.socket)
    unstarted_api.wait_until_ready()
    return unstarted_api
