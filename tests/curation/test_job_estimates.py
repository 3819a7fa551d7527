"""Estimates of jobs: refused as jobs are, by the workspace's own past, and without any trace."""

from collections.abc import Callable
from typing import Any

import pytest
from sample_world import World, embeddings, npz_bytes
from sqlalchemy import func, select, update

from curation.database import unit_of_work
from curation.errors import InvalidInputError
from curation.identifiers import DatasetId, JobId, WorkspaceId, new_id
from curation.job_config import resolve_job_config
from curation.job_costs import rule_seconds
from curation.job_estimates import EstimateBasis, JobEstimate, WarningReason, estimate_job
from curation.models import AuditEntry, IdempotencyKey, Job, JobEvent, Modality, Role, Workspace

Maker = Callable[..., DatasetId]


def estimate(world: World, **changes: Any) -> JobEstimate:
    with unit_of_work(world.engine) as session:
        return estimate_job(
            session,
            workspace_id=changes.pop("workspace_id", world.workspace),
            request=world.request(**changes),
            settings=world.settings,
        )


def past_job(world: World, *, seconds: float, device: str = "cpu", **values: Any) -> JobId:
    """Finish a job and write how long it ran."""
    job_id = world.finished_job()
    with unit_of_work(world.engine) as session:
        session.execute(
            update(Job)
            .where(Job.id == job_id)
            .values(seconds_by_phase={"train": seconds}, device=device, **values)
        )
    return job_id


@pytest.mark.parametrize(
    "changes",
    [
        {"config": {"stepz": 3}},
        {"config": {"steps": 0}},
        {"method": "magic"},
        {"seed": -1},
        {"max_runtime_seconds": 10**9},
        {"synthetic_id": DatasetId(new_id())},
        {"test_id": DatasetId(new_id())},
    ],
)
def test_what_creating_refuses_is_refused_in_the_same_words(
    world: World, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidInputError) as created:
        world.create_job(**changes)
    with pytest.raises(InvalidInputError) as estimated:
        estimate(world, **changes)
    for name in ("reason", "detail", "field", "cure"):
        assert getattr(estimated.value, name) == getattr(created.value, name)


def test_nothing_is_left_of_an_estimate(world: World) -> None:
    estimate(world)
    with unit_of_work(world.engine) as session:
        for table in (Job, JobEvent, IdempotencyKey, AuditEntry):
            assert session.scalar(select(func.count()).select_from(table)) == 0


def test_first_estimate_of_a_workspace_rests_on_the_rule(world: World) -> None:
    found = estimate(world)
    assert (found.time.basis, found.time.past_job_count) == (EstimateBasis.RULE, 0)
    assert found.device is None
    assert 0 < found.time.low < found.time.seconds < found.time.high


def test_rule_grows_with_samples_steps_and_the_table() -> None:
    config = resolve_job_config("winnow", {})
    counts = (10, 1_000, 100_000, 1_000_000)
    for modality in Modality:
        times = [rule_seconds(config, modality, sample_count=count) for count in counts]
        assert times == sorted(set(times))
    base = rule_seconds(config, Modality.EMBEDDING, sample_count=100)
    long = rule_seconds({**config, "steps": 10_000}, Modality.EMBEDDING, sample_count=100)
    bare = rule_seconds({**config, "evaluate": False}, Modality.EMBEDDING, sample_count=100)
    assert bare < base < long


@pytest.mark.parametrize("method", ["winnow", "mts", "meta_weight_net", "tess"])
def test_every_method_is_estimated(world: World, method: str) -> None:
    assert estimate(world, method=method).time.seconds > 0


def test_memory_and_time_grow_with_the_pool(world: World, ready_dataset: Maker) -> None:
    large = ready_dataset(npz_bytes(**embeddings(400)), "large.npz")
    past_job(world, seconds=40.0)
    small, more = estimate(world), estimate(world, synthetic_id=large)
    assert more.peak_memory_bytes > small.peak_memory_bytes
    assert more.time.seconds > small.time.seconds
    assert more.time.basis is EstimateBasis.PAST_JOBS


def test_past_jobs_say_how_long_an_equal_job_takes(world: World) -> None:
    for seconds in (30.0, 50.0, 40.0):
        past_job(world, seconds=seconds, device="cuda:0 (a GPU)")
    found = estimate(world)
    assert (found.time.basis, found.time.past_job_count) == (EstimateBasis.PAST_JOBS, 3)
    assert found.time.seconds == pytest.approx(40.0)
    assert found.time.low == pytest.approx(30.0 / 1.5)
    assert found.time.high == pytest.approx(50.0 * 1.5)
    assert found.device == "cuda"


def test_jobs_of_other_kinds_say_nothing(world: World) -> None:
    past_job(world, seconds=1.0, method="mts")
    past_job(world, seconds=2.0, config=resolve_job_config("winnow", {"evaluate": False}))
    # It went on from a checkpoint, so its last attempt is a part of it.
    past_job(world, seconds=3.0, fencing_token=2)
    assert estimate(world).time.basis is EstimateBasis.RULE
    # The newest says that jobs run on another device now.
    past_job(world, seconds=4.0)
    past_job(world, seconds=5.0, device="cuda:0 (a GPU)")
    assert estimate(world).time.seconds == pytest.approx(5.0)


def test_another_workspaces_jobs_and_datasets_tell_nothing(
    world: World, ready_dataset: Maker
) -> None:
    past_job(world, seconds=7.0)
    other = WorkspaceId(new_id())
    with unit_of_work(world.engine) as session:
        session.add(Workspace(id=other, name="other", created_at=world.now))
    with pytest.raises(InvalidInputError) as caught:
        estimate(world, workspace_id=other)
    assert caught.value.reason == "DATASET_NOT_FOUND"
    pool = ready_dataset(npz_bytes(**embeddings(40)), "p.npz", workspace_id=other)
    reference = ready_dataset(
        npz_bytes(**embeddings(8)), "ref.npz", role=Role.REFERENCE, workspace_id=other
    )
    found = estimate(world, workspace_id=other, synthetic_id=pool, reference_id=reference)
    assert found.time.basis is EstimateBasis.RULE
    assert found.device is None


def test_warnings_name_what_may_spoil_the_job(world: World, ready_dataset: Maker) -> None:
    plenty = ready_dataset(npz_bytes(**embeddings(20)), "ref.npz", role=Role.REFERENCE)
    assert estimate(world, reference_id=plenty).warnings == []
    found = estimate(world, max_runtime_seconds=1).warnings
    assert [(warning.reason, warning.field) for warning in found] == [
        (WarningReason.FEW_REFERENCE_SAMPLES, "reference_id"),
        (WarningReason.RUNTIME_MAY_NOT_SUFFICE, "max_runtime_seconds"),
    ]
    assert "'0' has 4" in found[0].detail
