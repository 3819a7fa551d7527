"""Fixtures of the tests in which something breaks on purpose."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from embedding_jobs import JobPlace
from sqlalchemy import Engine
from training_bench import TrainingBench
from worker_processes import WorkerProcesses

from curation.identifiers import WorkspaceId
from curation.objects import LocalObjectStore
from curation.settings import CurationSettings


@pytest.fixture
def job_place(
    engine: Engine,
    object_store: LocalObjectStore,
    workspace: WorkspaceId,
    settings: CurationSettings,
) -> JobPlace:
    return JobPlace(engine, object_store, workspace, settings)


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
