"""Real servers for tests: PostgreSQL and Valkey, embedded or named by the environment.

`WINNOW_TEST_DATABASE_URL` and `WINNOW_TEST_BROKER_URL` name running servers; without them each
test process starts its own. A test process gets a database of its own, made by the migrations.
"""

import os
import shutil
import signal
import tempfile
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from embedding_jobs import JobPlace
from jaxtyping import install_import_hook
from kombu import Connection as BrokerConnection
from sqlalchemy import Engine, create_engine, make_url, text

from curation import partitions
from curation.database import create_database_engine, unit_of_work
from curation.identifiers import WorkspaceId, new_id
from curation.models import Base, Workspace
from curation.objects import LocalObjectStore
from curation.settings import CurationSettings, LogFormat
from winnow.embedded_postgres import EmbeddedPostgres
from winnow.embedded_valkey import EmbeddedValkey

REPOSITORY = Path(__file__).parents[1]
# Checks the shapes and types of each call. Checked code must be imported under the hook, so it is
# set before any test module is collected.
_CHECKED_MODULES = [
    f"mts_core.{module.stem}"
    for module in sorted((REPOSITORY / "mts_core").iterdir())
    if module.stem not in {"__init__", "__pycache__"}
]
install_import_hook(_CHECKED_MODULES, "shape_checks.checked")
# Named servers are shared by test processes; each takes a Redis database from here on.
_FIRST_REDIS_DATABASE = 8


# A shell starts background commands with interrupts ignored, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def server_folder() -> Iterator[Path]:
    # The embedded PostgreSQL runs as another user where the tests run as root, and pytest's own
    # folders are closed to it.
    folder = Path(tempfile.mkdtemp(prefix="winnow-test-servers-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_server_url(server_folder: Path) -> Iterator[str]:
    named = os.environ.get("WINNOW_TEST_DATABASE_URL")
    if named:
        yield named
        return
    server = EmbeddedPostgres(server_folder / "postgres")
    try:
        yield server.start()
    finally:
        server.destroy()


@pytest.fixture(scope="session")
def postgres_url(postgres_server_url: str) -> Iterator[str]:
    """The address of a fresh database, built by the migrations."""
    name = f"winnow_test_{uuid.uuid4().hex}"
    administration = create_engine(postgres_server_url, isolation_level="AUTOCOMMIT")
    with administration.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(postgres_server_url).set(database=name).render_as_string(hide_password=False)
    try:
        upgrade(url)
        yield url
    finally:
        # An embedded server goes with all its databases.
        if "WINNOW_TEST_DATABASE_URL" in os.environ:
            with administration.connect() as connection:
                connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        administration.dispose()


def upgrade(url: str) -> None:
    engine = create_engine(url)
    with engine.connect() as connection:
        config = Config(REPOSITORY / "alembic.ini")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    engine.dispose()


@pytest.fixture(scope="session")
def broker_url(server_folder: Path) -> Iterator[str]:
    """The address of an empty broker that no other test process uses."""
    named = os.environ.get("WINNOW_TEST_BROKER_URL")
    if named:
        url = own_database(named)
        empty_broker(url)
        yield url
        return
    server = EmbeddedValkey(server_folder / "valkey")
    try:
        yield server.start()
    finally:
        server.stop()


def own_database(url: str) -> str:
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")
    number = _FIRST_REDIS_DATABASE + int(worker)
    if url.startswith("redis+socket:"):
        return f"{url}?virtual_host={number}"
    return make_url(url).set(database=str(number)).render_as_string(hide_password=False)


def empty_broker(url: str) -> None:
    with BrokerConnection(url) as connection:
        connection.default_channel.client.flushdb()


@pytest.fixture
def emptied_broker_url(broker_url: str) -> str:
    """The broker without a message that an earlier test left."""
    empty_broker(broker_url)
    return broker_url


@pytest.fixture(scope="session")
def session_engine(postgres_url: str) -> Iterator[Engine]:
    engine = create_database_engine(postgres_url)
    yield engine
    engine.dispose()


@pytest.fixture
def engine(session_engine: Engine) -> Engine:
    """The database with all its tables empty."""
    with unit_of_work(session_engine) as session:
        for table in partitions.result_tables(session):
            partitions.drop(session, table.name)
        # Deleting a few rows is faster than truncating fifteen tables, and one message than many.
        deletions = [str(table.delete()) for table in reversed(Base.metadata.sorted_tables)]
        # Jobs and selectors name each other.
        unlink = "UPDATE selectors SET job_id = NULL; DELETE FROM jobs"
        session.execute(text("; ".join([unlink, *deletions])))
    return session_engine


@pytest.fixture
def object_store(tmp_path: Path) -> LocalObjectStore:
    return LocalObjectStore(tmp_path / "objects")


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def workspace(engine: Engine, now: datetime) -> WorkspaceId:
    """The workspace that a test's rows belong to."""
    workspace_id = WorkspaceId(new_id())
    with unit_of_work(engine) as session:
        session.add(Workspace(id=workspace_id, name="tests", created_at=now))
    return workspace_id


@pytest.fixture
def settings(postgres_url: str, broker_url: str, tmp_path: Path) -> CurationSettings:
    """Settings in which leases, rings and sweeps take seconds."""
    return CurationSettings(
        database_url=postgres_url,
        broker_url=broker_url,
        object_store=(tmp_path / "objects").as_uri(),
        lease_seconds=3.0,
        heartbeat_seconds=0.5,
        sweep_seconds=1.0,
        grace_seconds=2.0,
        ring_backoff_seconds=1.0,
        log_format=LogFormat.CONSOLE,
    )


@pytest.fixture
def job_place(
    engine: Engine,
    object_store: LocalObjectStore,
    workspace: WorkspaceId,
    settings: CurationSettings,
) -> JobPlace:
    return JobPlace(engine, object_store, workspace, settings)
