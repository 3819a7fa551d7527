"""Runs a service for a benchmark: embedded servers, migrated tables, a real API process."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, select

from curation.clock import utc_now
from curation.database import create_database_engine, unit_of_work
from curation.identifiers import WorkspaceId
from curation.keys import create_key
from curation.models import Workspace
from curation.objects import LocalObjectStore
from curation.settings import CurationSettings
from winnow.embedded_postgres import EmbeddedPostgres
from winnow.embedded_valkey import EmbeddedValkey

ROOT: Final = Path(__file__).parents[1]
_READY_SECONDS: Final = 120.0


@dataclass(frozen=True)
class RunningService:
    """A service that answers, and the ways around it that only a worker has.

    Attributes:
        server: Address of the API, `http://127.0.0.1:PORT`.
        key: A key of its one workspace that may read and write.
        process_id: The API's process.
        workspace_id: The workspace.
        engine: Its database.
        store: Its objects.
        settings: Its settings.
    """

    server: str
    key: str
    process_id: int
    workspace_id: WorkspaceId
    engine: Engine
    store: LocalObjectStore
    settings: CurationSettings

    @property
    def headers(self) -> dict[str, str]:
        """The header fields that open it."""
        return {"Authorization": f"Bearer {self.key}"}


@contextmanager
def running_service(**variables: str) -> Iterator[RunningService]:
    """Yield a service with an empty database, and remove it with all it holds.

    Args:
        **variables: Further environment variables of the API.
    """
    folder = Path(tempfile.mkdtemp(prefix="winnow-bench-"))
    # The embedded PostgreSQL runs as another user where the caller is root.
    folder.chmod(0o755)
    postgres, valkey = EmbeddedPostgres(folder / "postgres"), EmbeddedValkey(folder / "valkey")
    try:
        settings = CurationSettings(
            database_url=postgres.start(),
            broker_url=valkey.start(),
            object_store=(folder / "objects").as_uri(),
        )
        engine = create_database_engine(settings.database_url)
        workspace_id, key = _prepare(engine)
        with _api(settings, variables) as (server, process_id):
            yield RunningService(
                server=server,
                key=key,
                process_id=process_id,
                workspace_id=workspace_id,
                engine=engine,
                store=LocalObjectStore(folder / "objects"),
                settings=settings,
            )
        engine.dispose()
    finally:
        valkey.stop()
        postgres.destroy()
        shutil.rmtree(folder, ignore_errors=True)


def _prepare(engine: Engine) -> tuple[WorkspaceId, str]:
    """Make the tables and return a workspace and a key to it."""
    with engine.connect() as connection:
        config = Config(ROOT / "alembic.ini")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    with unit_of_work(engine) as session:
        _, key = create_key(
            session, workspace_name="bench", name="bench", scopes=["read", "write"], now=utc_now()
        )
        return WorkspaceId(session.scalars(select(Workspace.id)).one()), key


@contextmanager
def _api(settings: CurationSettings, variables: dict[str, str]) -> Iterator[tuple[str, int]]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    environment = os.environ | {
        "WINNOW_DATABASE_URL": settings.database_url,
        "WINNOW_BROKER_URL": settings.broker_url,
        "WINNOW_OBJECT_STORE": settings.object_store,
        "WINNOW_LOG_LEVEL": "WARNING",
        **variables,
    }
    arguments = [
        "-m", "uvicorn", "--factory", "api.main:create_app", "--port", str(port),
        "--log-level", "warning", "--timeout-graceful-shutdown", "5",
    ]  # fmt: skip
    process = subprocess.Popen([sys.executable, *arguments], cwd=ROOT, env=environment)  # noqa: S603
    server = f"http://127.0.0.1:{port}"
    try:
        _wait_until_ready(server)
        yield server, process.pid
    finally:
        process.terminate()
        process.wait(30)


def _wait_until_ready(server: str) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            if httpx2.get(f"{server}/readyz").is_success:
                return
        except httpx2.TransportError:
            assert time.monotonic() < deadline, "the API did not come up"
        time.sleep(0.2)
