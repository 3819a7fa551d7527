"""PostgreSQL loses its power in the middle of two jobs, and both come to their results."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from embedding_jobs import JobPlace, queue_tiny_job
from job_watch import CATCHABLE, JobWatch, assert_same_result, run_unbroken
from mortal_servers import MortalServer
from training_bench import TrainingBench
from worker_processes import REPOSITORY, WorkerProcesses, wait_until

from curation.clock import utc_now
from curation.database import create_database_engine, unit_of_work
from curation.identifiers import WorkspaceId, new_id
from curation.models import JobState, Workspace
from curation.objects import LocalObjectStore
from curation.settings import CurationSettings
from winnow.embedded_postgres import EmbeddedPostgres

OUTAGE_SECONDS = 20.0
LONG_LEASE_SECONDS = 120.0

pytestmark = pytest.mark.slow


@pytest.fixture
def database() -> Iterator[MortalServer]:
    # The server runs as another user where the tests run as root, to which pytest's folders are
    # closed.
    folder = Path(tempfile.mkdtemp(prefix="winnow-test-database-"))
    folder.chmod(0o755)
    server = MortalServer(EmbeddedPostgres(folder / "postgres"))
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def job_place(
    database: MortalServer,
    settings: CurationSettings,
    object_store: LocalObjectStore,
) -> Iterator[JobPlace]:
    engine = create_database_engine(database.url)
    with engine.connect() as connection:
        config = Config(REPOSITORY / "alembic.ini")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    workspace_id = WorkspaceId(new_id())
    with unit_of_work(engine) as session:
        session.add(Workspace(id=workspace_id, name="tests", created_at=utc_now()))
    own = settings.model_copy(update={"database_url": database.url})
    yield JobPlace(engine, object_store, workspace_id, own)
    engine.dispose()


def test_jobs_outlive_a_database_that_was_killed_and_is_back_after_a_while(
    job_place: JobPlace,
    database: MortalServer,
    workers: WorkerProcesses,
    training: TrainingBench,
) -> None:
    unbroken = run_unbroken(training, queue_tiny_job(job_place, **CATCHABLE))
    jobs = [JobWatch(job_place, queue_tiny_job(job_place, **CATCHABLE)) for _ in range(2)]
    patient = workers.start("train", lease_seconds=LONG_LEASE_SECONDS)
    workers.start("train")
    for job in jobs:
        job.ring()
    wait_until(lambda: all(job.trained_step > 0 for job in jobs))
    assert [job.row.state for job in jobs] == [JobState.RUNNING, JobState.RUNNING]
    is_patient = [str(job.row.runner).endswith(f":{patient.pid}") for job in jobs]

    database.kill_for(OUTAGE_SECONDS)
    wait_until(lambda: all(job.is_in(JobState.SUCCEEDED) for job in jobs))

    for job in jobs:
        assert_same_result(job, unbroken)
    # A lease that the outage outlasted costs an attempt, a longer one nothing.
    attempts = {patience: job.row.attempt for patience, job in zip(is_patient, jobs, strict=True)}
    assert attempts == {True: 1, False: 2}
