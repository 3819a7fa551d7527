"""A whole service for the tests of a module: API, both workers, PostgreSQL and Valkey."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from service import Service
from sqlalchemy import Engine
from worker_processes import WorkerProcesses

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.keys import create_key
from curation.settings import CurationSettings, LogFormat


@pytest.fixture(scope="module")
def service(
    session_engine: Engine,
    postgres_url: str,
    broker_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    settings = CurationSettings(
        database_url=postgres_url,
        broker_url=broker_url,
        object_store=(folder / "objects").as_uri(),
        log_format=LogFormat.CONSOLE,
    )
    with unit_of_work(session_engine) as session:
        _, key = create_key(
            session,
            workspace_name="end to end",
            name="test",
            scopes=["read", "write"],
            now=utc_now(),
        )
    # A socket's path may have a hundred bytes, which pytest's own folders exceed.
    with (
        tempfile.TemporaryDirectory(prefix="winnow-api-") as socket_folder,
        WorkerProcesses(settings, folder) as processes,
        Service(Path(socket_folder) / "api.sock", key) as service,
    ):
        processes.start_api(service.socket)
        processes.start("short")
        processes.start("train")
        service.wait_until_ready()
        yield service
