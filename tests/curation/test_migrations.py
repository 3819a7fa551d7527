"""The migrations: up, down and up again on a real database, and equal to the models."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, create_engine, inspect, make_url, text
from sqlalchemy.exc import OperationalError

from curation import partitions
from curation.identifiers import JobId, new_id
from curation.models import Base

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def empty_engine(postgres_server_url: str) -> Iterator[Engine]:
    name = f"winnow_migrations_{uuid.uuid4().hex}"
    administration = create_engine(postgres_server_url, isolation_level="AUTOCOMMIT")
    with administration.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    engine = create_engine(make_url(postgres_server_url).set(database=name))
    yield engine
    engine.dispose()
    with administration.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    administration.dispose()


def config_for(connection: Connection) -> Config:
    config = Config(REPOSITORY / "alembic.ini")
    config.attributes["connection"] = connection
    return config


def tables(engine: Engine) -> set[str]:
    return set(inspect(engine).get_table_names())


def test_way_up_down_and_up_again_ends_at_the_models(empty_engine: Engine) -> None:
    with empty_engine.connect() as connection:
        config = config_for(connection)
        command.upgrade(config, "head")
        assert tables(empty_engine) == {*Base.metadata.tables, "alembic_version"}
        command.downgrade(config, "base")
        assert tables(empty_engine) == {"alembic_version"}
        command.upgrade(config, "head")
        command.check(config)


def test_result_tables_are_no_difference_and_go_with_the_last_downgrade(
    empty_engine: Engine,
) -> None:
    job_id = JobId(new_id())
    with empty_engine.connect() as connection:
        config = config_for(connection)
        command.upgrade(config, "head")
        driver = connection.connection.driver_connection
        assert driver is not None
        for token in (1, 2):
            name = partitions.table_name(job_id, token)
            driver.execute(partitions.creation_statement(name, job_id))
            for statement in partitions.index_statements(name):
                driver.execute(statement)
        attachment = f"ALTER TABLE sample_weights ATTACH PARTITION {name}"
        driver.execute(f"{attachment} FOR VALUES IN ('{job_id}')")
        connection.commit()
        command.check(config)
        command.downgrade(config, "base")
        assert tables(empty_engine) == {"alembic_version"}


def test_difference_between_models_and_database_is_found(empty_engine: Engine) -> None:
    with empty_engine.connect() as connection:
        config = config_for(connection)
        command.upgrade(config, "head")
        connection.execute(text("ALTER TABLE jobs DROP COLUMN device"))
        connection.commit()
        with pytest.raises(CommandError, match="device"):
            command.check(config)


def test_migration_rather_fails_than_waits_for_a_lock(empty_engine: Engine) -> None:
    with empty_engine.connect() as connection:
        config = config_for(connection)
        command.upgrade(config, "head")
        with empty_engine.connect() as reader:
            reader.execute(text("SELECT count(*) FROM jobs"))
            config.attributes["lock_timeout"] = "200ms"
            with pytest.raises(OperationalError, match="lock timeout"):
                command.downgrade(config, "base")
            connection.rollback()
        command.check(config)


def test_revisions_form_one_line() -> None:
    config = Config(REPOSITORY / "alembic.ini")
    assert len(ScriptDirectory.from_config(config).get_heads()) == 1
