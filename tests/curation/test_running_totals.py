"""Totals count each thing once, whoever counts at the same time, and outlive what they count."""

import threading
from collections.abc import Mapping

import pytest
from sample_world import World
from sqlalchemy import Engine, select, update

from curation.database import unit_of_work
from curation.identifiers import JobId
from curation.job_claims import expired_claims, record_progress
from curation.jobs import (
    Claim,
    Failure,
    FailureReason,
    Progress,
    cancel_job,
    delete_job,
    fail_job,
    get_job,
    lose_job,
    mark_cancelled,
    release_job,
)
from curation.models import Job, JobEvent
from curation.running_totals import Total, add_to_total, read_totals

SECONDS = {"load": 1.5, "train": 20.25}
LOST = Failure(FailureReason.WORKER_LOST, "It is gone.")


def totals(engine: Engine, total: Total) -> Mapping[tuple[str, ...], float]:
    with unit_of_work(engine) as session:
        return read_totals(session)[total]


def spend(world: World, claim: Claim) -> None:
    with unit_of_work(world.engine) as session:
        progress = Progress(phase="train", fraction=0.5, seconds_by_phase=SECONDS)
        assert record_progress(session, claim, progress)


def test_lost_and_failed_attempts_are_counted_with_their_reasons_and_seconds(world: World) -> None:
    job_id = world.create_job()
    for end in (lose_job, fail_job):
        claim = world.claim(job_id)
        assert claim is not None
        spend(world, claim)
        with unit_of_work(world.engine) as session:
            assert end(session, claim, LOST, world.now)
    assert totals(world.engine, Total.ATTEMPT_ENDS) == {
        ("requeued", "WORKER_LOST"): 1,
        ("failed", "WORKER_LOST"): 1,
    }
    assert totals(world.engine, Total.JOB_ENDS) == {("failed", "WORKER_LOST"): 1}
    assert totals(world.engine, Total.PHASE_SECONDS) == {("load",): 3.0, ("train",): 40.5}


def test_event_of_an_attempts_end_tells_its_seconds(world: World) -> None:
    claim = world.claimed_job()
    spend(world, claim)
    with unit_of_work(world.engine) as session:
        assert release_job(session, claim, world.now)
    with unit_of_work(world.engine) as session:
        events = select(JobEvent).where(JobEvent.job_id == claim.job_id)
        last = session.scalars(events.order_by(JobEvent.id.desc()).limit(1)).one()
        assert (last.kind, last.data["seconds_by_phase"]) == ("released", SECONDS)


def test_new_attempt_begins_without_the_seconds_of_the_last(world: World) -> None:
    claim = world.claimed_job()
    spend(world, claim)
    with unit_of_work(world.engine) as session:
        assert lose_job(session, claim, LOST, world.now)
    assert world.claim(claim.job_id) is not None
    with unit_of_work(world.engine) as session:
        assert get_job(session, world.workspace, claim.job_id).seconds_by_phase is None


def test_job_that_is_cancelled_while_it_waits_again_counts_no_attempt(world: World) -> None:
    claim = world.claimed_job()
    spend(world, claim)
    with unit_of_work(world.engine) as session:
        assert release_job(session, claim, world.now)
    with unit_of_work(world.engine) as session:
        cancel_job(session, world.workspace, claim.job_id, world.now)
    assert totals(world.engine, Total.ATTEMPT_ENDS) == {("released", ""): 1}
    assert totals(world.engine, Total.JOB_ENDS) == {("cancelled", ""): 1}


def test_attempt_that_is_taken_over_counts_as_lost_once(world: World) -> None:
    claim = world.claimed_job()
    spend(world, claim)
    expire(world, claim.job_id)
    # Another runner comes before the sweep does.
    assert world.claim(claim.job_id) is not None
    with unit_of_work(world.engine) as session:
        assert expired_claims(session, limit=10) == []
        assert not lose_job(session, claim, LOST, world.now)
    assert totals(world.engine, Total.ATTEMPT_ENDS) == {("requeued", "WORKER_LOST"): 1}
    assert totals(world.engine, Total.PHASE_SECONDS)[("train",)] == SECONDS["train"]


def test_cancelled_attempt_is_counted_once(world: World) -> None:
    claim = world.claimed_job()
    with unit_of_work(world.engine) as session:
        cancel_job(session, world.workspace, claim.job_id, world.now)
    for _ in range(2):
        with unit_of_work(world.engine) as session:
            mark_cancelled(session, claim, world.now)
    assert totals(world.engine, Total.ATTEMPT_ENDS) == {("cancelled", ""): 1}


def test_totals_outlive_the_job(world: World) -> None:
    job_id = world.finished_job()
    with unit_of_work(world.engine) as session:
        delete_job(session, world.workspace, job_id)
    assert totals(world.engine, Total.JOB_ENDS) == {("succeeded", ""): 1}


def test_what_is_rolled_back_is_not_counted(engine: Engine) -> None:
    def fail_after_counting() -> None:
        with unit_of_work(engine) as session:
            add_to_total(session, Total.WEBHOOK_TRIES, "timeout")
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 - The one above.
        fail_after_counting()
    assert totals(engine, Total.WEBHOOK_TRIES) == {}


def test_transactions_at_the_same_time_lose_no_count(engine: Engine) -> None:
    labels = ("timeout", "gone", "delivered")

    def count(order: tuple[str, ...]) -> None:
        for _ in range(20):
            with unit_of_work(engine) as session:
                for label in order:
                    add_to_total(session, Total.WEBHOOK_TRIES, label)

    # Opposite orders would wait for each other for ever, were they kept.
    threads = [
        threading.Thread(target=count, args=(labels[:: (-1) ** number],)) for number in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals(engine, Total.WEBHOOK_TRIES) == {(label,): 80 for label in labels}


def expire(world: World, job_id: JobId) -> None:
    with unit_of_work(world.engine) as session:
        session.execute(
            update(Job)
            .where(Job.id == job_id)
            .values(lease_expires_at=world.now.replace(year=2000))
        )
