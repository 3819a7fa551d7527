"""What is deleted leaves no row in any table and no file in the store."""

from pathlib import Path

from sample_world import World
from sqlalchemy import func, inspect, select, text

from curation.database import unit_of_work
from curation.datasets import DatasetRequest, create_dataset, delete_dataset
from curation.identifiers import DatasetId
from curation.jobs import delete_job, register_checkpoint
from curation.manifest_formats import ManifestFormat
from curation.manifests import ManifestRequest, manifest_object
from curation.models import Role
from curation.object_rows import remove_files
from curation.upload_parts import record_part


def row_counts(world: World) -> dict[str, int]:
    """Rows of every table that the database has, result tables of single jobs among them."""
    with unit_of_work(world.engine) as session:
        return {
            table: session.scalars(select(func.count()).select_from(text(f'"{table}"'))).one()
            for table in inspect(session.connection()).get_table_names()
            # Totals tell what was, and of nobody.
            if table != "running_totals"
        }


def files(world: World) -> set[Path]:
    folder = world.store.unfinished_folder.parent
    return {path for path in folder.rglob("*") if path.is_file()}


def test_deleted_job_leaves_no_row_and_no_file(world: World) -> None:
    before = row_counts(world), files(world)
    claim = world.claimed_job(idempotency_key="a key")
    with unit_of_work(world.engine) as session:
        state = world.store.put_bytes(b"a checkpoint")
        assert register_checkpoint(session, claim, phase="train", step=3, stored=state)
    assert world.finish(claim)
    request = ManifestRequest(
        workspace_id=world.workspace, job_id=claim.job_id, format=ManifestFormat.CSV
    )
    manifest_object(world.engine, world.store, request)
    # Only so can an empty database after the deletion mean anything.
    grown = row_counts(world)
    assert {name for name, count in grown.items() if count > before[0].get(name, 0)} >= {
        "jobs",
        "job_events",
        "job_objects",
        "checkpoints",
        "idempotency_keys",
        "objects",
        "reports",
        "sample_weights",
        "traces",
    }
    assert len(files(world)) >= len(before[1]) + 3

    with unit_of_work(world.engine) as session:
        orphans = delete_job(session, world.workspace, claim.job_id)
    remove_files(world.store, orphans)
    assert (row_counts(world), files(world)) == before


def test_deleted_dataset_leaves_no_row_and_no_file(world: World) -> None:
    with unit_of_work(world.engine) as session:
        request = DatasetRequest(name="a", role=Role.TEST)
        dataset_id = DatasetId(create_dataset(session, world.workspace, request, world.now).id)
        record_part(
            session,
            world.workspace,
            dataset_id,
            number=1,
            stored=world.store.put_bytes(b"a part"),
            max_upload_bytes=1000,
            now=world.now,
        )
    assert row_counts(world)["upload_parts"] == 1
    for dataset in (dataset_id, world.synthetic, world.reference):
        with unit_of_work(world.engine) as session:
            orphans = delete_dataset(session, world.workspace, dataset)
        remove_files(world.store, orphans)
    left = {name: count for name, count in row_counts(world).items() if count}
    assert left == {"alembic_version": 1, "workspaces": 1}
    assert files(world) == set()
