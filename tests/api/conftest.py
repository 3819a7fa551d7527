"""An application on real servers, its callers, and jobs that have their results already."""

import json
import math
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
import structlog
from callers import (
    FEATURE_NAMES,
    POOL_SIZE,
    Finished,
    Sets,
    bearer,
    make_key,
    make_map,
    make_results,
    served,
)
from embedding_jobs import JobPlace, add_dataset, make_samples
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from api.main import create_app
from api.settings import ApiSettings
from curation import jobs, results
from curation.database import unit_of_work
from curation.identifiers import JobId, WorkspaceId
from curation.models import Role
from curation.objects import LocalObjectStore
from curation.selectors import NewSelector
from curation.settings import CurationSettings


@pytest.fixture(autouse=True)
def plain_log() -> Iterator[None]:
    # The library's own default draws tracebacks with every local value, which takes seconds.
    before = structlog.get_config()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.format_exc_info,
            structlog.processors.KeyValueRenderer(),
        ]
    )
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def store_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("objects")


@pytest.fixture
def object_store(store_folder: Path) -> LocalObjectStore:
    """The store of every application here, empty."""
    shutil.rmtree(store_folder)
    return LocalObjectStore(store_folder)


@pytest.fixture(scope="session")
def shared_settings(postgres_url: str, broker_url: str, store_folder: Path) -> ApiSettings:
    return ApiSettings(
        database_url=postgres_url,
        broker_url=broker_url,
        object_store=store_folder.as_uri(),
        poll_seconds=0.05,
        # The sweep is left to the test that is about it.
        sweep_seconds=3600,
        import_sources="s3://pools/open",
    )


@pytest.fixture(scope="session")
def shared_app(shared_settings: ApiSettings) -> Iterator[FastAPI]:
    """An application that runs for all tests, since starting one takes longer than most of them."""
    app = create_app(shared_settings)
    with TestClient(app):
        yield app


@pytest.fixture
def api_settings(shared_settings: ApiSettings) -> ApiSettings:
    """Settings of an application of a test's own."""
    return shared_settings


@pytest.fixture
def app(api_settings: ApiSettings, engine: Engine, object_store: LocalObjectStore) -> FastAPI:  # noqa: ARG001 - Both are empty.
    """An application of a test's own, not started."""
    return create_app(api_settings)


@pytest.fixture
def key(engine: Engine, workspace: WorkspaceId) -> str:  # noqa: ARG001 - It opens this workspace.
    return make_key(engine, "tests", "read", "write", "admin")


@pytest.fixture
def client(shared_app: FastAPI, object_store: LocalObjectStore, key: str) -> TestClient:  # noqa: ARG001 - It is empty.
    """A caller of the workspace."""
    return TestClient(shared_app, headers=bearer(key))


@pytest.fixture
def stranger(shared_app: FastAPI, engine: Engine) -> TestClient:
    """A caller from another workspace."""
    return TestClient(
        shared_app, headers=bearer(make_key(engine, "elsewhere", "read", "write", "admin"))
    )


@pytest.fixture(scope="session")
def address(shared_settings: ApiSettings) -> Iterator[str]:
    """Where an application for all tests answers over a real socket."""
    with served(create_app(shared_settings)) as address:
        yield address


@pytest.fixture
def live(app: FastAPI, key: str) -> Iterator[httpx2.Client]:
    """The same caller over a real socket."""
    with served(app) as address, httpx2.Client(base_url=address, headers=bearer(key)) as client:
        yield client


@pytest.fixture
def sets(
    engine: Engine,
    object_store: LocalObjectStore,
    workspace: WorkspaceId,
    settings: CurationSettings,
) -> Sets:
    place = JobPlace(engine, object_store, workspace, settings)
    pool = add_dataset(place, Role.SYNTHETIC, make_samples(POOL_SIZE, seed=1))
    return Sets(pool, add_dataset(place, Role.REFERENCE, make_samples(8, seed=2)))


@pytest.fixture
def job_body(sets: Sets) -> dict[str, object]:
    return {"synthetic_id": str(sets.synthetic_id), "reference_id": str(sets.reference_id)}


@pytest.fixture
def queued(client: TestClient, job_body: dict[str, object]) -> JobId:
    """A queued job, made over HTTP."""
    response = client.post("/v1/jobs", json=job_body)
    assert response.status_code == 202, response.text
    return JobId(UUID(response.json()["id"]))


@pytest.fixture
def claim(engine: Engine, queued: JobId) -> jobs.Claim:
    """A worker's claim on the queued job."""
    with unit_of_work(engine) as session:
        claim = jobs.claim_job(session, queued, runner="test", lease_seconds=60)
    assert claim is not None
    return claim


@pytest.fixture
def finished(engine: Engine, object_store: LocalObjectStore, claim: jobs.Claim) -> Finished:
    """The same job with results, written as a worker writes them."""
    rows, features = make_results()
    objects = {
        "features": object_store.put_bytes(features.astype("<f4").tobytes()),
        "map": object_store.put_bytes(make_map().astype("<f4").tobytes()),
        "neighbour_vectors": object_store.put_bytes(make_map().astype("<f2").tobytes()),
        "feature_names": object_store.put_bytes(json.dumps(FEATURE_NAMES).encode()),
    }
    staged = results.stage_results(engine, claim, [rows])
    with unit_of_work(engine) as session:
        assert results.finish_job(
            session,
            claim,
            staged,
            traces={"classifier_loss": results.TraceSeries([0, 10], [2.0, math.nan])},
            report={"rows": [], "recommendation": "mts_weighted"},
            objects=objects,
            selector=NewSelector(object_store.put_bytes(b"a selector"), encoder="identity"),
            now=datetime.now(UTC),
        )
    return Finished(job_id=claim.job_id, rows=rows, features=features)
