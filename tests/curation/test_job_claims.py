"""Claims: one runner at a time, and nothing is written by a runner that came too late."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from sample_world import POOL_SIZE, World, embeddings, npz_bytes, result_rows
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from curation import partitions
from curation.database import unit_of_work
from curation.errors import ClaimLostError
from curation.identifiers import DatasetId, JobId, WorkspaceId, new_id
from curation.job_requests import JobRequest
from curation.jobs import (
    Claim,
    EventKind,
    Failure,
    FailureReason,
    Heartbeat,
    Progress,
    cancel_job,
    claim_next_job,
    create_job,
    fail_job,
    get_job,
    heartbeat,
    held_back_job,
    job_events,
    lose_job,
    mark_cancelled,
    newest_checkpoint,
    queue_positions,
    record_progress,
    register_checkpoint,
    release_job,
)
from curation.models import Job, JobState, Role, Workspace
from curation.results import finish_job, stage_results, weights_page

FAILURE = Failure(FailureReason.NON_FINITE, "The loss became infinite.", "last line")
LOST = Failure(FailureReason.WORKER_LOST, "The process was killed.")


def claim_next(session: Session, rung: JobId, *, max_running_jobs: int = 100) -> Claim | None:
    return claim_next_job(
        session,
        rung,
        runner="a test",
        lease_seconds=60,
        max_running_jobs=max_running_jobs,
    )


def job_of(world: World, job_id: JobId) -> Job:
    with unit_of_work(world.engine) as session:
        return get_job(session, world.workspace, job_id)


def expire_lease(world: World, job_id: JobId) -> None:
    with unit_of_work(world.engine) as session:
        past = func.now() - timedelta(seconds=1)
        session.execute(update(Job).where(Job.id == job_id).values(lease_expires_at=past))


def takeover(world: World) -> tuple[Claim, Claim]:
    late = world.claimed_job()
    expire_lease(world, late.job_id)
    present = world.claim(late.job_id)
    assert present is not None
    return late, present


def test_claim_carries_what_a_run_needs(world: World) -> None:
    claim = world.claimed_job(config={"steps": 7}, seed=3, max_runtime_seconds=60)
    assert (claim.attempt, claim.fencing_token, claim.seed) == (1, 1, 3)
    assert (claim.synthetic_id, claim.reference_id, claim.test_id) == (
        world.synthetic,
        world.reference,
        None,
    )
    assert claim.config["steps"] == 7
    assert claim.config["score_floor"] == 0.05
    assert claim.max_runtime_seconds == 60


def test_second_claim_is_refused(world: World) -> None:
    claim = world.claimed_job()
    assert world.claim(claim.job_id) is None
    assert job_of(world, claim.job_id).attempt == 1


def test_one_of_many_simultaneous_claims_wins(world: World) -> None:
    job_id = world.create_job()
    starters = 6
    barrier = Barrier(starters)

    def claim(_: int) -> Claim | None:
        barrier.wait()
        return world.claim(job_id)

    with ThreadPoolExecutor(starters) as pool:
        claims = [found for found in pool.map(claim, range(starters)) if found is not None]
    assert len(claims) == 1
    assert job_of(world, job_id).fencing_token == 1


def test_expired_claim_is_taken_over_with_a_higher_token(world: World) -> None:
    late, present = takeover(world)
    assert (present.attempt, present.fencing_token) == (2, 2)
    assert late.fencing_token == 1


def test_unexpired_claim_is_not_taken_over(world: World) -> None:
    claim = world.claimed_job(lease_seconds=60)
    assert world.claim(claim.job_id) is None


def test_job_without_attempts_left_is_not_claimed(world: World) -> None:
    claim = world.claimed_job()
    for _ in range(world.settings.max_attempts - 1):
        expire_lease(world, claim.job_id)
        assert world.claim(claim.job_id) is not None
    expire_lease(world, claim.job_id)
    assert world.claim(claim.job_id) is None


def test_late_runner_writes_nothing(world: World) -> None:
    late, present = takeover(world)
    stored = world.store.put_bytes(b"a late checkpoint")
    with unit_of_work(world.engine) as session:
        assert heartbeat(session, late, lease_seconds=60) is None
        assert not record_progress(session, late, Progress(phase="train", fraction=0.5))
        assert not register_checkpoint(session, late, phase="train", step=1, stored=stored)
        assert not fail_job(session, late, FAILURE, world.now)
        assert not release_job(session, late, world.now)
        assert not lose_job(session, late, LOST, world.now)
        assert not mark_cancelled(session, late, world.now)
        assert newest_checkpoint(session, late.job_id) is None
    row = job_of(world, late.job_id)
    assert (row.state, row.fencing_token, row.phase) == (
        JobState.RUNNING,
        present.fencing_token,
        None,
    )


def test_late_runner_stages_nothing(world: World) -> None:
    late, _ = takeover(world)
    with pytest.raises(ClaimLostError):
        stage_results(world.engine, late, [result_rows()])
    with unit_of_work(world.engine) as session:
        assert partitions.result_tables(session) == []


def test_results_staged_before_a_takeover_never_become_visible(world: World) -> None:
    late = world.claimed_job()
    staged = stage_results(world.engine, late, [result_rows()])
    expire_lease(world, late.job_id)
    present = world.claim(late.job_id)
    assert present is not None
    with unit_of_work(world.engine) as session:
        assert not finish_job(
            session, late, staged, traces={}, report={}, objects={}, now=world.now
        )
    with unit_of_work(world.engine) as session:
        assert weights_page(session, late.job_id) == []
    assert world.finish(present)
    with unit_of_work(world.engine) as session:
        assert len(weights_page(session, late.job_id)) == 40


def test_heartbeat_renews_the_lease_and_tells_of_a_cancellation(world: World) -> None:
    claim = world.claimed_job(lease_seconds=1)
    before = job_of(world, claim.job_id).lease_expires_at
    with unit_of_work(world.engine) as session:
        assert heartbeat(session, claim, lease_seconds=600) == Heartbeat(is_cancel_requested=False)
        cancel_job(session, world.workspace, claim.job_id, world.now)
        assert heartbeat(session, claim, lease_seconds=600) == Heartbeat(is_cancel_requested=True)
    after = job_of(world, claim.job_id).lease_expires_at
    assert before is not None
    assert after is not None
    assert after - before > timedelta(seconds=500)


def test_progress_is_written_and_only_a_new_phase_is_an_event(world: World) -> None:
    claim = world.claimed_job()
    for fraction in (0.1, 0.2):
        with unit_of_work(world.engine) as session:
            progress = Progress(phase="train", fraction=fraction, step=3, device="cpu")
            assert record_progress(session, claim, progress)
    row = job_of(world, claim.job_id)
    assert (row.phase, row.fraction, row.step, row.device) == ("train", 0.2, 3, "cpu")
    with unit_of_work(world.engine) as session:
        kinds = [event.kind for event in job_events(session, {claim.job_id: 0})[claim.job_id]]
    assert kinds == [EventKind.CREATED, EventKind.CLAIMED, EventKind.PHASE]


def test_next_attempt_finds_the_newest_checkpoint(world: World) -> None:
    claim = world.claimed_job()
    for step in (1, 2):
        stored = world.store.put_bytes(f"state {step}".encode())
        with unit_of_work(world.engine) as session:
            assert register_checkpoint(session, claim, phase="train", step=step, stored=stored)
    expire_lease(world, claim.job_id)
    world.claim(claim.job_id)
    with unit_of_work(world.engine) as session:
        found = newest_checkpoint(session, claim.job_id)
    assert found is not None
    assert (found.step, found.attempt) == (2, 1)
    assert world.store.open(found.digest).read() == b"state 2"


def test_failure_stays_on_the_row(world: World) -> None:
    claim = world.claimed_job()
    with unit_of_work(world.engine) as session:
        assert fail_job(session, claim, FAILURE, world.now)
    row = job_of(world, claim.job_id)
    assert (row.state, row.failure_reason, row.failure_detail, row.log_tail) == (
        JobState.FAILED,
        "NON_FINITE",
        FAILURE.detail,
        "last line",
    )
    assert row.finished_at == world.now


def test_log_tail_is_cut_and_freed_of_what_a_text_cannot_hold(world: World) -> None:
    claim = world.claimed_job()
    failure = Failure(FailureReason.INTERNAL_ERROR, "It broke.", "x" * 70_000 + "\x00end")
    with unit_of_work(world.engine) as session:
        assert fail_job(session, claim, failure, world.now)
    tail = job_of(world, claim.job_id).log_tail
    assert tail is not None
    assert len(tail) == 65_536
    assert tail.endswith("\ufffdend")


def test_released_attempt_does_not_count(world: World) -> None:
    claim = world.claimed_job()
    with unit_of_work(world.engine) as session:
        assert release_job(session, claim, world.now)
    row = job_of(world, claim.job_id)
    assert (row.state, row.attempt, row.fencing_token) == (JobState.QUEUED, 0, 1)
    again = world.claim(claim.job_id)
    assert again is not None
    assert (again.attempt, again.fencing_token) == (1, 2)


def test_lost_attempt_is_queued_again_until_the_cap(world: World) -> None:
    job_id = world.create_job()
    states = []
    for _ in range(world.settings.max_attempts):
        claim = world.claim(job_id)
        assert claim is not None
        with unit_of_work(world.engine) as session:
            assert lose_job(session, claim, LOST, world.now)
        states.append(job_of(world, job_id).state)
    assert states == [JobState.QUEUED, JobState.QUEUED, JobState.FAILED]
    assert job_of(world, job_id).failure_reason == "WORKER_LOST"


@pytest.mark.parametrize("ending", ["fail", "release", "lose", "mark"])
def test_job_that_was_asked_to_stop_ends_cancelled(world: World, ending: str) -> None:
    claim = world.claimed_job()
    with unit_of_work(world.engine) as session:
        cancel_job(session, world.workspace, claim.job_id, world.now)
        match ending:
            case "fail":
                assert fail_job(session, claim, FAILURE, world.now)
            case "release":
                assert release_job(session, claim, world.now)
            case "lose":
                assert lose_job(session, claim, LOST, world.now)
            case _:
                assert mark_cancelled(session, claim, world.now)
    row = job_of(world, claim.job_id)
    assert (row.state, row.failure_reason) == (JobState.CANCELLED, None)


def test_job_that_was_asked_to_stop_cannot_succeed(world: World) -> None:
    claim = world.claimed_job()
    with unit_of_work(world.engine) as session:
        cancel_job(session, world.workspace, claim.job_id, world.now)
    assert not world.finish(claim)


def other_workspace(world: World) -> WorkspaceId:
    workspace_id = WorkspaceId(new_id())
    with unit_of_work(world.engine) as session:
        session.add(Workspace(id=workspace_id, name="other", created_at=world.now))
    return workspace_id


def queued_job(world: World, workspace_id: WorkspaceId, request: JobRequest, age: int) -> JobId:
    with unit_of_work(world.engine) as session:
        created = create_job(
            session,
            workspace_id=workspace_id,
            request=request,
            settings=world.settings,
            now=world.now - timedelta(seconds=age),
        )
        return JobId(created.job.id)


def test_workspaces_take_turns_however_many_messages_one_sends(
    world: World, ready_dataset: Callable[..., DatasetId]
) -> None:
    other = other_workspace(world)
    request = other_request(other, ready_dataset)
    crowd = [
        queued_job(world, world.workspace, world.request(), age=100 - index) for index in range(4)
    ]
    single = queued_job(world, other, request, age=1)
    with unit_of_work(world.engine) as session:
        places = queue_positions(session, [*crowd, single])
    assert [places[job_id] for job_id in [*crowd, single]] == [1, 3, 4, 5, 2]
    order = []
    for rung in crowd:
        with unit_of_work(world.engine) as session:
            claim = claim_next(session, rung)
            assert claim is not None
            order.append(claim.job_id)
        with unit_of_work(world.engine) as session:
            fail_job(session, claim, FAILURE, world.now)
    assert order == [crowd[0], single, crowd[1], crowd[2]]


def other_request(other: WorkspaceId, ready_dataset: Callable[..., DatasetId]) -> JobRequest:
    pool = npz_bytes(**embeddings(POOL_SIZE))
    reference = npz_bytes(**embeddings(8))
    return JobRequest(
        synthetic_id=ready_dataset(pool, "a.npz", workspace_id=other),
        reference_id=ready_dataset(reference, "b.npz", role=Role.REFERENCE, workspace_id=other),
        config={},
    )


def test_doorbell_of_an_abandoned_job_claims_it(world: World) -> None:
    claim = world.claimed_job()
    expire_lease(world, claim.job_id)
    with unit_of_work(world.engine) as session:
        again = claim_next(session, claim.job_id)
    assert again is not None
    assert (again.job_id, again.attempt) == (claim.job_id, 2)


def test_doorbell_without_work_claims_nothing(world: World) -> None:
    claim = world.claimed_job()
    with unit_of_work(world.engine) as session:
        assert claim_next(session, claim.job_id) is None
        assert session.scalars(select(func.count()).select_from(Job)).one() == 1


def test_workspace_at_its_limit_is_passed_over_and_others_are_served(
    world: World, ready_dataset: Callable[..., DatasetId]
) -> None:
    crowd = [queued_job(world, world.workspace, world.request(), age=9 - i) for i in range(3)]
    other = other_workspace(world)
    single = queued_job(world, other, other_request(other, ready_dataset), age=1)
    served = []
    for rung in [*crowd, single]:
        with unit_of_work(world.engine) as session:
            served.append(claim_next(session, rung, max_running_jobs=1))
    assert [claim and claim.job_id for claim in served] == [crowd[0], single, None, None]
    first = served[0]
    assert first is not None
    with unit_of_work(world.engine) as session:
        assert held_back_job(session, world.workspace, max_running_jobs=1) is None
        fail_job(session, first, FAILURE, world.now)
        assert held_back_job(session, world.workspace, max_running_jobs=1) == crowd[1]
        # Nothing was held back in a workspace that may run more.
        assert held_back_job(session, world.workspace, max_running_jobs=5) is None


def test_limit_of_a_workspace_goes_before_the_installations(world: World) -> None:
    crowd = [queued_job(world, world.workspace, world.request(), age=9 - i) for i in range(3)]
    with unit_of_work(world.engine) as session:
        session.execute(update(Workspace).values(max_running_jobs=2))
    served = []
    for rung in crowd:
        with unit_of_work(world.engine) as session:
            served.append(claim_next(session, rung, max_running_jobs=1) is not None)
    assert served == [True, True, False]


def test_runners_that_look_at_the_same_time_do_not_exceed_the_limit(world: World) -> None:
    crowd = [queued_job(world, world.workspace, world.request(), age=9 - i) for i in range(6)]
    start = Barrier(len(crowd))

    def look(rung: JobId) -> bool:
        start.wait()
        with unit_of_work(world.engine) as session:
            return claim_next(session, rung, max_running_jobs=2) is not None

    with ThreadPoolExecutor(len(crowd)) as pool:
        assert sum(pool.map(look, crowd)) == 2


def test_abandoned_job_is_claimed_again_by_a_workspace_at_its_limit(world: World) -> None:
    claim = world.claimed_job()
    expire_lease(world, claim.job_id)
    with unit_of_work(world.engine) as session:
        again = claim_next(session, claim.job_id, max_running_jobs=1)
    assert again is not None
