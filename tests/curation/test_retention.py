"""What grows old is deleted where the installation says so, and nothing else is."""

from datetime import timedelta
from typing import Any

from sample_world import World
from sqlalchemy import func, select

from curation.database import unit_of_work
from curation.datasets import DatasetRequest, create_dataset
from curation.identifiers import DatasetId
from curation.models import Dataset, Job, ObjectRow, Role, UploadPart
from curation.sweep import SweepReport, sweep
from curation.upload_parts import record_part


def sweep_later(world: World, *, days: float, **settings: Any) -> SweepReport:
    return sweep(
        world.engine,
        world.store,
        world.settings.model_copy(update=settings),
        world.now + timedelta(days=days),
    )


def count(world: World, table: type[Dataset | Job | ObjectRow | UploadPart]) -> int:
    with unit_of_work(world.engine) as session:
        return session.scalars(select(func.count()).select_from(table)).one()


def add_part(world: World) -> DatasetId:
    stored = world.store.put_bytes(b"the first part")
    with unit_of_work(world.engine) as session:
        request = DatasetRequest(name="a", role=Role.TEST)
        dataset_id = DatasetId(create_dataset(session, world.workspace, request, world.now).id)
        record_part(
            session,
            world.workspace,
            dataset_id,
            number=1,
            stored=stored,
            max_upload_bytes=1000,
            now=world.now,
        )
    return dataset_id


def test_nothing_is_deleted_by_default(world: World) -> None:
    world.finished_job()
    assert sweep_later(world, days=10_000).expired == 0
    assert (count(world, Job), count(world, Dataset)) == (1, 2)


def test_finished_job_is_deleted_at_its_age_and_not_before(world: World) -> None:
    world.finished_job()
    queued = world.create_job()
    assert sweep_later(world, days=29, job_retention_days=30).expired == 0
    assert sweep_later(world, days=31, job_retention_days=30).expired == 1
    with unit_of_work(world.engine) as session:
        assert session.scalars(select(Job.id)).all() == [queued]


def test_dataset_without_a_job_is_deleted_and_one_with_a_job_stays(world: World) -> None:
    spare = add_part(world)
    world.create_job()
    assert sweep_later(world, days=31, dataset_retention_days=30).expired >= 1
    with unit_of_work(world.engine) as session:
        assert session.get(Dataset, spare) is None
    assert count(world, Dataset) == 2


def test_age_of_a_dataset_counts_from_its_last_use(world: World) -> None:
    with unit_of_work(world.engine) as session:
        for row in session.scalars(select(Dataset)):
            row.last_used_at = world.now + timedelta(days=20)
    assert sweep_later(world, days=45, dataset_retention_days=30).expired == 0
    assert sweep_later(world, days=51, dataset_retention_days=30).expired == 2


def test_creating_a_job_marks_its_datasets_as_used(world: World) -> None:
    world.create_job()
    with unit_of_work(world.engine) as session:
        assert set(session.scalars(select(Dataset.last_used_at))) == {world.now}


def test_parts_of_an_abandoned_upload_are_removed_and_the_dataset_stays(world: World) -> None:
    dataset_id = add_part(world)
    files = set(world.store.list_digests())
    assert sweep_later(world, days=6).expired == 0
    assert count(world, UploadPart) == 1
    assert sweep_later(world, days=8).expired == 1
    assert count(world, UploadPart) == 0
    assert len(files - set(world.store.list_digests())) == 1
    with unit_of_work(world.engine) as session:
        assert session.get(Dataset, dataset_id) is not None


def test_expired_things_leave_no_file_and_no_row(world: World) -> None:
    world.finished_job()
    add_part(world)
    kept = {"job_retention_days": 30, "dataset_retention_days": 30}
    sweep_later(world, days=31, **kept)
    sweep_later(world, days=31, **kept)
    assert (count(world, Job), count(world, Dataset), count(world, ObjectRow)) == (0, 0, 0)
    assert list(world.store.list_digests()) == []
