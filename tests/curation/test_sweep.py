"""The sweep: whatever was lost is found again, and nothing that lives is touched."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Event

import pytest
from sample_world import World, npz_bytes, result_rows
from sqlalchemy import Engine, func, select, text, update

from curation import partitions
from curation.database import unit_of_work
from curation.datasets import DatasetRequest, attach_content, create_dataset, get_dataset
from curation.identifiers import DatasetId, JobId
from curation.jobs import (
    EventKind,
    cancel_job,
    get_job,
    heartbeat,
    job_events,
    newest_checkpoint,
    register_checkpoint,
)
from curation.models import Checkpoint, Dataset, DatasetState, Job, JobState, ObjectRow, Role
from curation.results import stage_results, weights_page
from curation.sweep import SweepReport, sweep

BACKOFF_SECONDS = 1.0  # Of the test settings.


def run_sweep(world: World, *, later: timedelta = timedelta()) -> SweepReport:
    return sweep(world.engine, world.store, world.settings, world.now + later)


def state_of(world: World, job_id: JobId) -> JobState:
    with unit_of_work(world.engine) as session:
        return get_job(session, world.workspace, job_id).state


def age_lease(world: World, job_id: JobId) -> None:
    with unit_of_work(world.engine) as session:
        past = func.now() - timedelta(seconds=1)
        session.execute(update(Job).where(Job.id == job_id).values(lease_expires_at=past))


def age_ring(world: World, seconds: float) -> None:
    with unit_of_work(world.engine) as session:
        past = func.now() - timedelta(seconds=seconds)
        session.execute(update(Job).values(last_rung_at=past))


def test_job_whose_message_was_lost_is_rung_again(world: World) -> None:
    job_id = world.create_job()
    assert run_sweep(world).ring == []
    age_ring(world, BACKOFF_SECONDS + 0.5)
    assert run_sweep(world).ring == [job_id]


def test_rings_of_one_job_grow_rarer_up_to_a_bound(world: World) -> None:
    job_id = world.create_job()
    waits = []
    for _ in range(6):
        for wait in (1, 2, 4, 8, 16):
            age_ring(world, wait * BACKOFF_SECONDS + 0.5)
            if run_sweep(world).ring == [job_id]:
                waits.append(wait)
                break
    assert waits == [1, 2, 4, 8, 8, 8]


def test_oldest_jobs_are_rung_first(world: World) -> None:
    made = [world.create_job(seed=seed) for seed in range(3)]
    with unit_of_work(world.engine) as session:
        for age, job_id in enumerate(made):
            created_at = world.now - timedelta(minutes=age)
            session.execute(update(Job).where(Job.id == job_id).values(created_at=created_at))
    age_ring(world, 60)
    assert run_sweep(world).ring == made[::-1]


def test_running_and_finished_jobs_are_not_rung(world: World) -> None:
    world.claimed_job()
    world.finished_job()
    age_ring(world, 3600)
    assert run_sweep(world).ring == []


def test_expired_lease_puts_the_job_back_and_rings_it_at_once(world: World) -> None:
    claim = world.claimed_job()
    assert run_sweep(world).lost == []
    age_lease(world, claim.job_id)
    report = run_sweep(world)
    assert (report.lost, report.ring) == ([claim.job_id], [claim.job_id])
    assert state_of(world, claim.job_id) is JobState.QUEUED
    with unit_of_work(world.engine) as session:
        assert heartbeat(session, claim, lease_seconds=60) is None
        kinds = [event.kind for event in job_events(session, {claim.job_id: 0})[claim.job_id]]
    assert kinds[-1] == EventKind.REQUEUED


def test_lost_worker_fails_the_job_at_the_cap(world: World) -> None:
    job_id = world.create_job()
    for _ in range(world.settings.max_attempts):
        assert world.claim(job_id) is not None
        age_lease(world, job_id)
        run_sweep(world)
    with unit_of_work(world.engine) as session:
        job = get_job(session, world.workspace, job_id)
        assert (job.state, job.failure_reason) == (JobState.FAILED, "WORKER_LOST")
        assert job.failure_detail == (
            "The worker stopped reporting. That was the last of its attempts."
        )


def test_lost_worker_of_a_job_that_should_stop_leaves_it_cancelled(world: World) -> None:
    claim = world.claimed_job()
    with unit_of_work(world.engine) as session:
        cancel_job(session, world.workspace, claim.job_id, world.now)
    age_lease(world, claim.job_id)
    run_sweep(world)
    assert state_of(world, claim.job_id) is JobState.CANCELLED


def test_one_process_sweeps_at_a_time(world: World) -> None:
    world.create_job()
    age_ring(world, 60)
    with world.engine.connect() as other:
        other.execute(text("SELECT pg_advisory_lock(7241550083)"))
        assert not run_sweep(world).ran
        other.execute(text("SELECT pg_advisory_unlock(7241550083)"))
    report = run_sweep(world)
    assert report.ran
    assert len(report.ring) == 1


@dataclass
class HangingStore:
    """A store whose listing hangs, and whose caller hangs with it."""

    is_hanging: Event = field(default_factory=Event)
    may_go_on: Event = field(default_factory=Event)

    def list_digests(self, *, written_before: datetime | None = None) -> Iterator[str]:
        assert written_before is not None
        self.is_hanging.set()
        assert self.may_go_on.wait(30)
        return iter(())

    def remove_unfinished(self, *, written_before: datetime) -> int:
        assert written_before < self.now()
        return 0

    @staticmethod
    def now() -> datetime:
        return datetime.now(UTC)


def test_sweep_that_hangs_keeps_the_others_away_for_one_lease_alone(world: World) -> None:
    settings = world.settings.model_copy(update={"lease_seconds": 1.0})
    store = HangingStore()
    with ThreadPoolExecutor(1) as pool:
        hanging = pool.submit(sweep, world.engine, store, settings, world.now)  # type: ignore[arg-type]  # As much of a store as a sweep needs.
        assert store.is_hanging.wait(10)
        assert not run_sweep(world).ran
        deadline = time.monotonic() + 10
        while not run_sweep(world).ran:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        store.may_go_on.set()
        assert hanging.result(10).ran
    # Neither lost connection nor its timeout is left in the pool.
    assert run_sweep(world).ran
    with world.engine.connect() as connection:
        assert connection.scalar(text("SHOW idle_session_timeout")) == "0"


def test_lock_of_the_sweep_is_free_after_it(world: World) -> None:
    assert [run_sweep(world).ran for _ in range(3)] == [True, True, True]


def test_staged_results_of_a_lost_claim_are_dropped(world: World) -> None:
    claim = world.claimed_job()
    staged = stage_results(world.engine, claim, [result_rows()])
    assert run_sweep(world).dropped_tables == []
    age_lease(world, claim.job_id)
    assert run_sweep(world).dropped_tables == [staged.table_name]
    with unit_of_work(world.engine) as session:
        assert partitions.result_tables(session) == []


def test_results_of_a_finished_job_are_never_dropped(world: World) -> None:
    job_id = world.finished_job()
    assert run_sweep(world, later=timedelta(days=9)).dropped_tables == []
    with unit_of_work(world.engine) as session:
        assert len(weights_page(session, job_id)) == 40


def test_table_that_a_late_runner_still_fills_is_left_to_the_next_sweep(world: World) -> None:
    claim = world.claimed_job()
    staged = stage_results(world.engine, claim, [result_rows()])
    age_lease(world, claim.job_id)
    with world.engine.connect() as late:
        late.execute(text(f"LOCK TABLE {staged.table_name} IN ROW EXCLUSIVE MODE"))
        assert run_sweep(world).dropped_tables == []
    assert run_sweep(world).dropped_tables == [staged.table_name]


def test_checkpoints_that_no_attempt_needs_are_removed(world: World) -> None:
    claim = world.claimed_job()
    stored = [world.store.put_bytes(f"state {step}".encode()) for step in range(3)]
    for step, state in enumerate(stored):
        with unit_of_work(world.engine) as session:
            register_checkpoint(session, claim, phase="train", step=step, stored=state)
    assert run_sweep(world).removed_objects == 2
    with unit_of_work(world.engine) as session:
        newest = newest_checkpoint(session, claim.job_id)
    assert newest is not None
    assert newest.digest == stored[2].digest
    assert [world.store.exists(state.digest) for state in stored] == [False, False, True]
    assert world.finish(claim)
    run_sweep(world)
    assert not world.store.exists(stored[2].digest)
    with unit_of_work(world.engine) as session:
        assert session.scalar(select(func.count()).select_from(Checkpoint)) == 0


def test_old_orphans_are_removed_and_young_ones_spared(world: World) -> None:
    orphan = world.store.put_bytes(b"nobody's")
    with world.store.open_writer() as unfinished:
        unfinished.write(b"cut off")
        before = sorted(world.store.list_digests())
        assert run_sweep(world).removed_objects == 0
        report = run_sweep(world, later=timedelta(hours=2))
    assert report.removed_objects == 1
    assert sorted(world.store.list_digests()) == [d for d in before if d != orphan.digest]


def test_row_of_an_object_that_nothing_names_goes_with_its_file(world: World) -> None:
    stored = world.store.put_bytes(b"replaced content")
    with unit_of_work(world.engine) as session:
        session.add(ObjectRow(digest=stored.digest, size_bytes=stored.size_bytes))
    run_sweep(world, later=timedelta(hours=2))
    assert not world.store.exists(stored.digest)
    with unit_of_work(world.engine) as session:
        assert session.get(ObjectRow, stored.digest) is None


def uploaded_dataset(world: World) -> DatasetId:
    stored = world.store.put_bytes(npz_bytes(x=[[1.0], [2.0]], y=[0, 1]))
    with unit_of_work(world.engine) as session:
        request = DatasetRequest(name="upload", role=Role.SYNTHETIC)
        row = create_dataset(session, world.workspace, request, world.now)
        attach_content(session, world.workspace, DatasetId(row.id), stored, "a.npz")
        return DatasetId(row.id)


def change_dataset(engine: Engine, dataset_id: DatasetId, **values: object) -> None:
    with unit_of_work(engine) as session:
        session.execute(update(Dataset).where(Dataset.id == dataset_id).values(**values))


def test_validation_whose_message_was_lost_is_rung_again(world: World) -> None:
    dataset_id = uploaded_dataset(world)
    assert run_sweep(world).validate == []
    change_dataset(
        world.engine, dataset_id, last_rung_at=func.now() - timedelta(seconds=BACKOFF_SECONDS + 1)
    )
    assert run_sweep(world).validate == [dataset_id]


@pytest.mark.parametrize(("seconds", "rung"), [(60, False), (-1, True)])
def test_validation_is_rung_only_when_nobody_holds_it(
    world: World, seconds: int, *, rung: bool
) -> None:
    dataset_id = uploaded_dataset(world)
    change_dataset(
        world.engine,
        dataset_id,
        last_rung_at=None,
        validation_attempts=1,
        validation_lease_expires_at=func.now() + timedelta(seconds=seconds),
    )
    assert (run_sweep(world).validate == [dataset_id]) is rung


def test_validation_that_never_ends_is_given_up(world: World) -> None:
    dataset_id = uploaded_dataset(world)
    change_dataset(
        world.engine,
        dataset_id,
        validation_attempts=world.settings.max_attempts,
        validation_lease_expires_at=func.now() - timedelta(seconds=1),
    )
    assert run_sweep(world).validate == []
    with unit_of_work(world.engine) as session:
        row = get_dataset(session, world.workspace, dataset_id)
        assert (row.state, row.failure_reason) == (DatasetState.INVALID, "VALIDATION_LOST")
        assert row.failure_cure
