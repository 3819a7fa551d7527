"""No log line of a whole run, with its failures, holds a secret or a sample."""

import io
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
import pytest
import redis
from embedding_jobs import TINY_CONFIG, make_samples
from service import Service
from sqlalchemy import Engine, make_url
from worker_processes import WorkerProcesses

from curation.clock import utc_now
from curation.database import unit_of_work
from curation.keys import create_key
from curation.settings import CurationSettings, LogFormat
from winnow.embedded_valkey import EmbeddedValkey

DATABASE_PASSWORD = "d4tabase-w0rd"  # noqa: S105 - Looked for in logs.
BROKER_PASSWORD = "br0ker-w0rd"  # noqa: S105 - The same.
SAMPLE = "s4mple-of-a-user"


@pytest.mark.slow
@pytest.mark.parametrize("log_format", list(LogFormat))
def test_logs_of_a_whole_run_hold_no_secret_and_no_sample(
    session_engine: Engine,
    postgres_url: str,
    server_folder: Path,
    tmp_path: Path,
    log_format: LogFormat,
) -> None:
    broker = EmbeddedValkey(server_folder / f"guarded-{log_format}")
    log = tmp_path / "log"
    try:
        settings = CurationSettings(
            # The server asks the kernel who is calling and needs no password; it is sent anyway.
            database_url=make_url(postgres_url)
            .set(password=DATABASE_PASSWORD)
            .render_as_string(hide_password=False),
            broker_url=guarded(broker.start()),
            object_store=(tmp_path / "objects").as_uri(),
            log_format=log_format,
            outbound_networks="127.0.0.0/8",
            sweep_seconds=1.0,
        )
        with unit_of_work(session_engine) as session:
            _, key = create_key(
                session,
                workspace_name=f"logs {log_format}",
                name="test",
                scopes=["read", "write", "admin"],
                now=utc_now(),
            )
        with log.open("wb") as output:
            secrets = run_everything(settings, tmp_path, key=key, output=output, broker=broker)
    finally:
        broker.stop()
    said = log.read_text(encoding="utf-8")
    for event in ("request_finished", "job_claimed", "dataset_validated", "webhook_tried"):
        assert event in said, event
    assert "publish_failed" in said
    for secret in (key, key.split("_", 2)[2], *secrets, DATABASE_PASSWORD, BROKER_PASSWORD, SAMPLE):
        assert secret not in said, secret
    if log_format is LogFormat.JSON:
        follow_the_requests(logged_lines(said))


def logged_lines(said: str) -> list[dict[str, Any]]:
    """Return the lines of the log; all must be JSON."""
    # A worker that leaves also says so on standard output, which is no part of the log.
    farewells = {"", "worker: Warm shutdown (MainProcess)"}
    return [json.loads(line) for line in said.splitlines() if line not in farewells]


def follow_the_requests(lines: list[dict[str, Any]]) -> None:
    """Check that what workers did is tied to the requests that asked for it."""
    created = next(line for line in lines if line["event"] == "job_created")
    said_of_job = [line for line in lines if line.get("job_id") == created["job_id"]]
    # In the training process too, whose lines come by the worker's own stream.
    for event in ("job_claimed", "attempt_ended", "run_started"):
        (line,) = [line for line in said_of_job if line["event"] == event]
        assert line["request_id"] == created["request_id"], line
        assert line["workspace_id"] == created["workspace_id"], line
        assert line["attempt"] == 1, line
    routes = {line["request_id"]: line for line in lines if line["event"] == "request_finished"}
    assert routes[created["request_id"]]["route"] == "/v1/jobs"
    for line in [line for line in lines if line["event"] == "dataset_validated"]:
        assert routes[line["request_id"]]["route"] == "/v1/datasets/{dataset_id}/content"
        assert routes[line["request_id"]]["dataset_id"] == line["dataset_id"]


def guarded(address: str) -> str:
    path = address.removeprefix("redis+socket://")
    client = redis.Redis(unix_socket_path=path)
    client.config_set("requirepass", BROKER_PASSWORD)
    client.close()
    return f"redis+socket://:{BROKER_PASSWORD}@{path}"


def run_everything(
    settings: CurationSettings, folder: Path, *, key: str, output: Any, broker: EmbeddedValkey
) -> list[str]:
    """Use the service in fair weather and foul, and return the secrets that it gave out."""
    with (
        tempfile.TemporaryDirectory(prefix="winnow-api-") as socket_folder,
        WorkerProcesses(settings, folder, output=output) as processes,
        Service(Path(socket_folder) / "api.sock", key) as service,
    ):
        processes.start_api(service.socket)
        processes.start("short")
        processes.start("train")
        service.wait_until_ready()
        hook = {"url": "http://127.0.0.1:1/", "events": ["job.succeeded", "job.failed"]}
        webhook = service.request("POST", "/v1/webhooks", 201, json=hook)
        made = service.request("POST", "/v1/keys", 201, json={"name": "a", "scopes": ["read"]})
        path = f"/v1/keys/{made['key']['id']}:rotate"
        rotated = service.request("POST", path, 201, json={})
        datasets = {
            "synthetic_id": upload(service, "synthetic", 80),
            "reference_id": upload(service, "reference", 20),
        }
        assert service.run_job(**datasets, config=TINY_CONFIG)["state"] == "succeeded"
        call_wrongly(service, made["secret"])
        path = f"/v1/webhooks/{webhook['webhook']['id']}:rotate"
        replaced = service.request("POST", path)
        words = sign_in(service, key)
        wait_for_a_try(service, webhook["webhook"]["id"])
        broker.stop()
        service.request("POST", "/v1/jobs", 202, json={**datasets, "config": TINY_CONFIG})
        time.sleep(4)
    secrets = [made["secret"], rotated["secret"], webhook["secret"], replaced["secret"]]
    return [*secrets, *words]


def upload(service: Service, role: str, count: int) -> str:
    samples = make_samples(count, seed=count)
    content = io.BytesIO()
    ids = np.array([f"{SAMPLE}-{position}" for position in range(count)])
    # A row that is left out with a word about it.
    samples.embeddings[3, 0] = np.nan
    np.savez(content, x=samples.embeddings, y=np.array(samples.labels), id=ids)
    dataset = service.upload(role, f"{role}.npz", content.getvalue())
    assert dataset["state"] == "ready", dataset
    return str(dataset["id"])


def sign_in(service: Service, key: str) -> list[str]:
    """Use the service as a browser does, and return the session's two words."""
    transport = httpx2.HTTPTransport(uds=str(service.socket))
    with httpx2.Client(transport=transport, base_url="http://winnow") as browser:
        session = browser.post("/api/session", json={"key": key})
        assert session.status_code == 201, session.text
        words = [browser.cookies["winnow_session"], session.json()["csrf_token"]]
        assert browser.get("/v1/jobs").status_code == 200
        headers = {"X-CSRF-Token": words[1]}
        assert browser.post("/v1/datasets", json={}, headers=headers).status_code == 422
        assert browser.delete("/api/session").status_code == 403
        assert browser.delete("/api/session", headers=headers).status_code == 204
    return words


def call_wrongly(service: Service, ended_key: str) -> None:
    transport = httpx2.HTTPTransport(uds=str(service.socket))
    with httpx2.Client(transport=transport, base_url="http://winnow") as client:
        headers = {"Authorization": f"Bearer {ended_key}"}
        assert client.get("/v1/jobs", headers=headers).status_code == 401
        assert client.post("/v1/jobs", headers=headers, content=b"{").status_code in {400, 401}


def wait_for_a_try(service: Service, webhook_id: str) -> None:
    deadline = time.monotonic() + 60
    path = f"/v1/webhooks/{webhook_id}/deliveries"
    while not any(item["attempt"] for item in service.request("GET", path)["items"]):
        assert time.monotonic() < deadline, "no message was tried"
        time.sleep(0.2)
