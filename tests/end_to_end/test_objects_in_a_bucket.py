"""A whole job whose files lie in a bucket: upload by parts, training, and a signed download."""

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from embedding_jobs import TINY_CONFIG, make_samples
from s3_server import S3Server, s3_server
from service import Service
from sqlalchemy import Engine
from test_upload_to_manifest import npz
from worker_processes import WorkerProcesses, wait_until

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.keys import create_key
from curation.settings import CurationSettings

pytestmark = pytest.mark.slow


@pytest.fixture
def server() -> Iterator[S3Server]:
    with s3_server() as server:
        yield server


@pytest.fixture
def service(
    server: S3Server,
    engine: Engine,
    settings: CurationSettings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Service]:
    for name, value in server.credentials.items():
        monkeypatch.setenv(name, value)
    in_bucket = settings.model_copy(update={"object_store": server.new_bucket()})
    with unit_of_work(engine) as session:
        _, key = create_key(
            session, workspace_name="bucket", name="test", scopes=["read", "write"], now=utc_now()
        )
    with (
        tempfile.TemporaryDirectory(prefix="winnow-api-") as folder,
        WorkerProcesses(in_bucket, tmp_path) as processes,
        Service(Path(folder) / "api.sock", key) as service,
    ):
        processes.start_api(service.socket, downloads="redirect")
        processes.start("short")
        processes.start("train")
        service.wait_until_ready()
        yield service


def upload_in_parts(service: Service, role: str, content: bytes) -> str:
    created = service.request("POST", "/v1/datasets", 201, json={"name": role, "role": role})
    path = f"/v1/datasets/{created['id']}"
    half = len(content) // 2
    for number, part in enumerate([content[:half], content[half:]], start=1):
        digest = hashlib.sha256(part).hexdigest()
        service.request("PUT", f"{path}/parts/{number}", params={"sha256": digest}, content=part)
    digest = hashlib.sha256(content).hexdigest()
    body = {"file_name": f"{role}.npz", "sha256": digest, "part_count": 2}
    service.request("POST", f"{path}/complete", 202, json=body)
    wait_until(lambda: service.request("GET", path)["state"] == "ready")
    return str(created["id"])


def test_whole_job_with_all_its_files_in_a_bucket(service: Service, server: S3Server) -> None:
    pool = npz(make_samples(64, seed=1, bad_fraction=0.3), "synthetic")
    job = service.run_job(
        synthetic_id=upload_in_parts(service, "synthetic", pool),
        reference_id=upload_in_parts(
            service, "reference", npz(make_samples(16, seed=2), "reference")
        ),
        config=TINY_CONFIG,
    )
    assert job["state"] == "succeeded", job["failure"]
    path = f"/v1/jobs/{job['id']}"
    response = service.ask("GET", f"{path}/manifest", params={"format": "csv"})
    assert response.status_code == 302
    assert response.headers["cache-control"] == "no-store"
    # Nobody's key is needed at the address itself.
    manifest = httpx2.get(response.headers["location"])
    assert manifest.status_code == 200
    assert len(manifest.text.splitlines()) == 65
    assert service.request("GET", f"{path}/samples/0")["position"] == 0
    assert any(key.endswith(hashlib.sha256(pool).hexdigest()) for key in server.stored_keys())
