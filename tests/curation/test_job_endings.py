"""Cancelling, retrying and deleting jobs."""

import pytest
from sample_world import World
from sqlalchemy import func, select

from curation import partitions
from curation.database import unit_of_work
from curation.datasets import delete_dataset
from curation.errors import ConflictError, NotFoundError
from curation.identifiers import JobId
from curation.jobs import (
    TRANSITIONS,
    Failure,
    FailureReason,
    cancel_job,
    delete_job,
    fail_job,
    get_job,
    mark_cancelled,
    newest_checkpoint,
    register_checkpoint,
    retry_job,
)
from curation.models import FINAL_STATES, Base, Job, JobState, ObjectRow
from curation.object_rows import remove_files


def cancel(world: World, job_id: JobId) -> Job:
    with unit_of_work(world.engine) as session:
        return cancel_job(session, world.workspace, job_id, world.now)


def test_queued_job_is_cancelled_at_once(world: World) -> None:
    job = cancel(world, world.create_job())
    assert (job.state, job.finished_at) == (JobState.CANCELLED, world.now)
    assert world.claim(JobId(job.id)) is None


def test_running_job_is_asked_to_stop_and_asking_again_changes_nothing(world: World) -> None:
    claim = world.claimed_job()
    assert cancel(world, claim.job_id).state is JobState.CANCELLING
    assert cancel(world, claim.job_id).state is JobState.CANCELLING


def test_finished_job_cannot_be_cancelled(world: World) -> None:
    with pytest.raises(ConflictError) as caught:
        cancel(world, world.finished_job())
    assert caught.value.reason == "JOB_FINISHED"


def test_retried_job_goes_on_from_its_checkpoint_with_all_attempts(world: World) -> None:
    claim = world.claimed_job()
    stored = world.store.put_bytes(b"state")
    with unit_of_work(world.engine) as session:
        register_checkpoint(session, claim, phase="train", step=4, stored=stored)
        fail_job(session, claim, Failure(FailureReason.OUT_OF_MEMORY, "Memory."), world.now)
        job = retry_job(session, world.workspace, claim.job_id, world.now)
        assert (job.state, job.attempt, job.failure_reason) == (JobState.QUEUED, 0, None)
        assert newest_checkpoint(session, claim.job_id) is not None
    again = world.claim(claim.job_id)
    assert again is not None
    assert (again.attempt, again.fencing_token) == (1, 2)


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED])
def test_only_a_failed_or_cancelled_job_can_be_tried_again(world: World, state: JobState) -> None:
    match state:
        case JobState.QUEUED:
            job_id = world.create_job()
        case JobState.RUNNING:
            job_id = world.claimed_job().job_id
        case _:
            job_id = world.finished_job()
    with pytest.raises(ConflictError) as caught, unit_of_work(world.engine) as session:
        retry_job(session, world.workspace, job_id, world.now)
    assert caught.value.reason == "JOB_NOT_RETRYABLE"


def test_unfinished_job_cannot_be_deleted(world: World) -> None:
    with pytest.raises(ConflictError) as caught, unit_of_work(world.engine) as session:
        delete_job(session, world.workspace, world.create_job())
    assert caught.value.reason == "JOB_NOT_FINISHED"


def test_deleting_a_job_and_its_datasets_leaves_no_row_and_no_object(world: World) -> None:
    claim = world.claimed_job(idempotency_key="a key")
    stored = world.store.put_bytes(b"a checkpoint")
    with unit_of_work(world.engine) as session:
        register_checkpoint(session, claim, phase="train", step=1, stored=stored)
    assert world.finish(claim)
    with unit_of_work(world.engine) as session:
        orphans = delete_job(session, world.workspace, claim.job_id)
        assert partitions.result_tables(session) == []
    remove_files(world.store, orphans)
    for dataset_id in (world.synthetic, world.reference):
        with unit_of_work(world.engine) as session:
            orphans = delete_dataset(session, world.workspace, dataset_id)
        remove_files(world.store, orphans)
    with unit_of_work(world.engine) as session:
        counts = {
            table.name: session.scalar(select(func.count()).select_from(table))
            for table in Base.metadata.sorted_tables
        }
    # Totals tell what was, and of nobody.
    del counts["running_totals"]
    left = {name: count for name, count in counts.items() if count}
    assert left == {"workspaces": 1}
    assert list(world.store.list_digests()) == []


def test_object_that_another_row_names_is_kept(world: World) -> None:
    first, second = world.finished_job(), world.finished_job()
    with unit_of_work(world.engine) as session:
        assert delete_job(session, world.workspace, first) == []
        orphans = delete_job(session, world.workspace, second)
    assert len(orphans) == 1
    assert remove_files(world.store, orphans) == 1


def test_object_that_was_put_again_since_is_kept(world: World) -> None:
    job_id = world.finished_job()
    with unit_of_work(world.engine) as session:
        orphans = delete_job(session, world.workspace, job_id)
        content = world.store.open(orphans[0].digest).read()
    world.store.put_bytes(content)
    assert remove_files(world.store, orphans) == 0
    assert world.store.exists(orphans[0].digest)


def test_dataset_that_a_job_uses_cannot_be_deleted(world: World) -> None:
    claim = world.claimed_job()
    refuse_deletion(world, cure="Cancel and delete those jobs first.")
    cancel(world, claim.job_id)
    with unit_of_work(world.engine) as session:
        mark_cancelled(session, claim, world.now)
    refuse_deletion(world, cure="Delete those jobs first.")
    with unit_of_work(world.engine) as session:
        delete_job(session, world.workspace, claim.job_id)
        delete_dataset(session, world.workspace, world.reference)


def refuse_deletion(world: World, *, cure: str) -> None:
    with pytest.raises(ConflictError) as caught, unit_of_work(world.engine) as session:
        delete_dataset(session, world.workspace, world.reference)
    assert (caught.value.reason, caught.value.cure) == ("DATASET_IN_USE", cure)


def test_deleted_job_is_gone(world: World) -> None:
    job_id = world.finished_job()
    with unit_of_work(world.engine) as session:
        delete_job(session, world.workspace, job_id)
    with pytest.raises(NotFoundError), unit_of_work(world.engine) as session:
        get_job(session, world.workspace, job_id)


def test_no_way_leads_out_of_success_and_every_state_is_listed() -> None:
    assert set(TRANSITIONS) == set(JobState)
    assert TRANSITIONS[JobState.SUCCEEDED] == frozenset()
    for state in FINAL_STATES - {JobState.SUCCEEDED}:
        assert TRANSITIONS[state] == {JobState.QUEUED}


def test_every_recorded_object_has_its_file(world: World) -> None:
    world.finished_job()
    with unit_of_work(world.engine) as session:
        digests = list(session.scalars(select(ObjectRow.digest)))
    assert digests
    assert all(world.store.exists(digest) for digest in digests)
