"""Creation of jobs: what is refused, with which words, and who of two equal requests makes it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from sample_world import POOL_SIZE, World, embeddings, npz_bytes
from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError

from curation.database import unit_of_work
from curation.datasets import DatasetRequest, create_dataset, get_dataset
from curation.errors import ConflictError, InvalidInputError, NotFoundError
from curation.identifiers import DatasetId, JobId, WorkspaceId, new_id
from curation.jobs import EventKind, create_job, get_job, job_events, list_jobs
from curation.models import Dataset, IdempotencyKey, Job, JobState, Role, Workspace

Maker = Callable[..., DatasetId]


def refusal(world: World, **changes: Any) -> InvalidInputError:
    with pytest.raises(InvalidInputError) as caught:
        world.create_job(**changes)
    with unit_of_work(world.engine) as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 0
        assert session.scalar(select(func.count()).select_from(IdempotencyKey)) == 0
    return caught.value


def test_new_job_is_queued_with_its_whole_config(world: World) -> None:
    job_id = world.create_job(config={"steps": 9}, seed=5)
    with unit_of_work(world.engine) as session:
        job = get_job(session, world.workspace, job_id)
        assert (job.state, job.attempt, job.seed) == (JobState.QUEUED, 0, 5)
        assert (job.config["steps"], job.config["momentum"]) == (9, 0.9)
        assert [event.kind for event in job_events(session, {job_id: 0})[job_id]] == [
            EventKind.CREATED
        ]


def test_equal_request_with_the_same_key_gets_the_same_job(world: World) -> None:
    first = world.create_job(idempotency_key="a key", config={"steps": 3})
    assert world.create_job(idempotency_key="a key", config={"steps": 3}) == first
    with unit_of_work(world.engine) as session:
        assert len(job_events(session, {first: 0})[first]) == 1


def test_other_request_with_the_same_key_is_refused(world: World) -> None:
    world.create_job(idempotency_key="a key", seed=1)
    with pytest.raises(ConflictError) as caught:
        world.create_job(idempotency_key="a key", seed=2)
    assert caught.value.reason == "IDEMPOTENCY_KEY_REUSED"


def test_simultaneous_equal_requests_make_one_job(world: World) -> None:
    starters = 6
    barrier = Barrier(starters)

    def create(_: int) -> tuple[JobId, bool]:
        barrier.wait()
        with unit_of_work(world.engine) as session:
            created = create_job(
                session,
                workspace_id=world.workspace,
                request=world.request(),
                settings=world.settings,
                now=world.now,
                idempotency_key="one key",
            )
            return JobId(created.job.id), created.is_new

    with ThreadPoolExecutor(starters) as pool:
        answers = list(pool.map(create, range(starters)))
    assert len({job_id for job_id, _ in answers}) == 1
    assert sorted(is_new for _, is_new in answers) == [False] * (starters - 1) + [True]
    with unit_of_work(world.engine) as session:
        assert session.scalar(select(func.count()).select_from(Job)) == 1


def test_refused_request_leaves_its_key_free(world: World) -> None:
    refusal(world, idempotency_key="a key", config={"steps": 0})
    assert world.create_job(idempotency_key="a key")


@pytest.mark.parametrize("key", ["", "x" * 256, "line\nbreak"])
def test_unusable_idempotency_key_is_refused(world: World, key: str) -> None:
    assert refusal(world, idempotency_key=key).reason == "INVALID_IDEMPOTENCY_KEY"


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"config": {"stepz": 3}}, "UNKNOWN_CONFIG_KEY", "config.stepz"),
        ({"config": {"steps": 0}}, "OUT_OF_RANGE", "config.steps"),
        ({"config": {"steps": True}}, "OUT_OF_RANGE", "config.steps"),
        ({"config": {"momentum": float("nan")}}, "OUT_OF_RANGE", "config.momentum"),
        ({"config": {"encoder": "resnet"}}, "OUT_OF_RANGE", "config.encoder"),
        ({"method": "magic"}, "UNKNOWN_METHOD", "method"),
        ({"seed": -1}, "OUT_OF_RANGE", "seed"),
        ({"max_runtime_seconds": 10**9}, "OUT_OF_RANGE", "max_runtime_seconds"),
        ({"synthetic_id": DatasetId(new_id())}, "DATASET_NOT_FOUND", "synthetic_id"),
    ],
)
def test_bad_setting_is_refused_by_field(
    world: World, changes: dict[str, Any], reason: str, field: str
) -> None:
    error = refusal(world, **changes)
    assert (error.reason, error.field) == (reason, field)
    assert error.cure


def test_near_miss_of_a_setting_is_suggested(world: World) -> None:
    cure = refusal(world, config={"stepps": 3}).cure
    assert cure is not None
    assert cure.startswith("Did you mean steps?")


def test_roles_are_checked(world: World) -> None:
    error = refusal(world, synthetic_id=world.reference, reference_id=world.synthetic)
    assert (error.reason, error.field) == ("WRONG_ROLE", "synthetic_id")


def test_dataset_without_content_is_not_ready(world: World) -> None:
    with unit_of_work(world.engine) as session:
        request = DatasetRequest(name="empty", role=Role.TEST)
        empty = create_dataset(session, world.workspace, request, world.now)
        test_id = DatasetId(empty.id)
    error = refusal(world, test_id=test_id)
    assert (error.reason, error.field) == ("DATASET_NOT_READY", "test_id")


def test_classes_of_one_set_only_are_named(world: World, ready_dataset: Maker) -> None:
    arrays = embeddings(9, classes=3)
    other = ready_dataset(npz_bytes(**arrays), "ref.npz", role=Role.REFERENCE)
    error = refusal(world, reference_id=other)
    assert (error.reason, error.field) == ("CLASSES_DIFFER", "reference_id")
    assert "only in the reference set: '2'" in error.detail


def test_embeddings_of_other_lengths_do_not_fit(world: World, ready_dataset: Maker) -> None:
    arrays = embeddings(8, dimension=5)
    other = ready_dataset(npz_bytes(**arrays), "ref.npz", role=Role.REFERENCE)
    error = refusal(world, reference_id=other)
    assert (error.reason, error.field) == ("SHAPES_DIFFER", "reference_id")
    assert "5 long" in error.detail


def test_sets_of_different_modalities_do_not_fit(world: World, ready_dataset: Maker) -> None:
    rows = b"text,label\na,0\nb,1\nc,0\nd,1\n"
    texts = ready_dataset(rows, "texts.csv", role=Role.REFERENCE)
    assert refusal(world, reference_id=texts).reason == "MODALITY_DIFFERS"


def test_another_workspaces_rows_do_not_exist(world: World, ready_dataset: Maker) -> None:
    other = WorkspaceId(new_id())
    with unit_of_work(world.engine) as session:
        session.add(Workspace(id=other, name="other", created_at=world.now))
    theirs = ready_dataset(npz_bytes(**embeddings(POOL_SIZE)), "pool.npz", workspace_id=other)
    assert refusal(world, synthetic_id=theirs).reason == "DATASET_NOT_FOUND"
    job_id = world.create_job()
    with unit_of_work(world.engine) as session:
        with pytest.raises(NotFoundError):
            get_job(session, other, job_id)
        with pytest.raises(NotFoundError):
            get_dataset(session, world.workspace, theirs)
        assert list_jobs(session, other) == []


def test_database_itself_keeps_workspaces_apart(world: World, ready_dataset: Maker) -> None:
    other = WorkspaceId(new_id())
    with unit_of_work(world.engine) as session:
        session.add(Workspace(id=other, name="other", created_at=world.now))
    theirs = ready_dataset(npz_bytes(**embeddings(POOL_SIZE)), "pool.npz", workspace_id=other)
    job_id = world.create_job()
    with (
        pytest.raises(IntegrityError, match="fk_jobs_workspace_id_synthetic_id"),
        unit_of_work(world.engine) as session,
    ):
        session.execute(update(Job).where(Job.id == job_id).values(synthetic_id=theirs))


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ({"state": JobState.RUNNING}, "ck_jobs_lease_while_claimed"),
        ({"state": JobState.FAILED}, "ck_jobs_"),
        ({"attempt": 3, "fencing_token": 3}, "ck_jobs_queued_is_claimable"),
        ({"fraction": 1.5}, "ck_jobs_fraction_in_range"),
        ({"seed": -1}, "ck_jobs_seed_not_negative"),
    ],
)
def test_database_refuses_an_impossible_job(
    world: World, values: dict[str, Any], constraint: str
) -> None:
    job_id = world.create_job()
    with (
        pytest.raises(IntegrityError, match=constraint),
        unit_of_work(world.engine) as session,
    ):
        session.execute(update(Job).where(Job.id == job_id).values(**values))


def test_database_refuses_a_ready_dataset_without_its_facts(world: World) -> None:
    with (
        pytest.raises(IntegrityError, match="ck_datasets_ready_is_complete"),
        unit_of_work(world.engine) as session,
    ):
        session.execute(
            update(Dataset).where(Dataset.id == world.synthetic).values(class_names=None)
        )


def test_list_goes_on_after_the_last_row_of_a_page(world: World) -> None:
    made = [world.create_job(seed=seed) for seed in range(5)]
    seen: list[JobId] = []
    after = None
    while True:
        with unit_of_work(world.engine) as session:
            page = list_jobs(session, world.workspace, after=after, limit=2)
        if not page:
            break
        seen += [JobId(job.id) for job in page]
        after = (page[-1].created_at, page[-1].id)
    assert seen == made[::-1]


def test_list_is_filtered_by_state_and_dataset(world: World) -> None:
    queued = world.create_job()
    running = world.claimed_job().job_id
    with unit_of_work(world.engine) as session:
        jobs = list_jobs(session, world.workspace, state=JobState.RUNNING)
        assert [job.id for job in jobs] == [running]
        using = list_jobs(session, world.workspace, dataset_id=world.reference)
        assert {job.id for job in using} == {queued, running}
        assert list_jobs(session, world.workspace, dataset_id=DatasetId(new_id())) == []
