"""What Prometheus reads: requests by process, and the service's state from the database."""

import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import httpx2
import pytest
from callers import bearer
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine, text, update

from api.main import create_app
from api.service_metrics import ServiceMetrics
from api.settings import ApiSettings
from curation import jobs
from curation.clock import utc_now
from curation.database import unit_of_work
from curation.identifiers import DatasetId, JobId, WorkspaceId
from curation.ingest import validate_and_record
from curation.models import Job, JobEvent
from curation.objects import LocalObjectStore
from curation.settings import CurationSettings
from curation.webhook_outbox import ping
from curation.webhooks import EndpointRequest, WebhookEvent, create_endpoint

REPOSITORY = Path(__file__).parents[2]
SERVER = (sys.executable, "-m", "uvicorn", "--factory", "api.main:create_app")
NOWHERE = "127.0.0.1:1"
QUEUE_AGE = "winnow_oldest_queued_job_age_seconds"


def parsed(content: str) -> dict[str, float]:
    """Return the value of each series, by its name and labels as they are written."""
    pairs = [line.rsplit(" ", 1) for line in content.splitlines() if line[0] != "#"]
    return {name: float(value) for name, value in pairs}


def read_metrics(client: TestClient) -> dict[str, float]:
    response = client.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    return parsed(response.text)


def read_state(engine: Engine) -> dict[str, float]:
    """Return the state as a process reads it that was not asked a moment ago."""
    return parsed(ServiceMetrics(engine, utc_now).render().decode())


def test_requests_are_timed_by_route_and_class_and_counted_by_status(
    client: TestClient, queued: JobId
) -> None:
    route = 'method="GET",route="/v1/jobs/{job_id}"'
    timed = f'winnow_http_request_duration_seconds_count{{{route},status="2xx"}}'
    counted = f'winnow_http_requests_total{{{route},status="200"}}'
    before = read_metrics(client)
    client.get(f"/v1/jobs/{queued}")
    after = read_metrics(client)
    for name in (timed, counted):
        assert after[name] == before.get(name, 0) + 1
    assert not [name for name in after if str(queued) in name]


def test_jobs_are_counted_by_state_and_the_longest_wait_is_told(
    queued: JobId, engine: Engine
) -> None:
    make_older(engine, queued)
    state = read_state(engine)
    assert state['winnow_jobs{state="queued"}'] == 1
    assert state['winnow_jobs{state="failed"}'] == 0
    assert 3600 <= state[QUEUE_AGE] < 3700


def test_job_that_is_retried_waits_from_then(
    client: TestClient, queued: JobId, engine: Engine
) -> None:
    client.post(f"/v1/jobs/{queued}:cancel")
    make_older(engine, queued)
    assert client.post(f"/v1/jobs/{queued}:retry").status_code == 202
    assert 0 < read_state(engine)[QUEUE_AGE] < 60


def make_older(engine: Engine, job_id: JobId) -> None:
    hour = timedelta(hours=1)
    with unit_of_work(engine) as session:
        session.execute(
            update(Job).where(Job.id == job_id).values(created_at=Job.created_at - hour)
        )
        session.execute(
            update(JobEvent).where(JobEvent.job_id == job_id).values(at=JobEvent.at - hour)
        )


def test_worker_is_busy_while_its_lease_holds_and_silent_after(
    claim: jobs.Claim, engine: Engine
) -> None:
    state = read_state(engine)
    assert (state["winnow_busy_workers"], state["winnow_expired_leases"]) == (1, 0)
    with unit_of_work(engine) as session:
        lapsed = utc_now() - timedelta(seconds=1)
        session.execute(update(Job).where(Job.id == claim.job_id).values(lease_expires_at=lapsed))
    state = read_state(engine)
    assert (state["winnow_busy_workers"], state["winnow_expired_leases"]) == (0, 1)


def test_failures_are_counted_by_reason_and_seconds_by_phase(
    claim: jobs.Claim, engine: Engine
) -> None:
    failed = 'winnow_job_ends_total{reason="OUT_OF_MEMORY",state="failed"}'
    assert read_state(engine)[failed] == 0
    with unit_of_work(engine) as session:
        progress = jobs.Progress(phase="train", fraction=0.5, seconds_by_phase={"train": 12.5})
        jobs.record_progress(session, claim, progress)
        failure = jobs.Failure(jobs.FailureReason.OUT_OF_MEMORY, "It ran out.")
        jobs.fail_job(session, claim, failure, utc_now())
    state = read_state(engine)
    assert state[failed] == 1
    assert state['winnow_attempt_ends_total{event="failed",reason="OUT_OF_MEMORY"}'] == 1
    assert state['winnow_job_phase_seconds_total{phase="train"}'] == 12.5


def test_uploads_and_refused_datasets_are_counted(
    client: TestClient,
    engine: Engine,
    object_store: LocalObjectStore,
    settings: CurationSettings,
) -> None:
    content = b"label,text\na,one\n"
    made = client.post("/v1/datasets", json={"name": "a", "role": "test"}).json()
    path = f"/v1/datasets/{made['id']}/content"
    assert client.put(path, params={"file_name": "a.csv"}, content=content).status_code == 202
    assert read_state(engine)['winnow_datasets{state="validating"}'] == 1
    validate_and_record(engine, object_store, DatasetId(made["id"]), settings, utc_now())
    state = read_state(engine)
    assert state['winnow_datasets{state="invalid"}'] == 1
    assert state['winnow_dataset_validations_total{reason="ONE_CLASS",state="invalid"}'] == 1
    assert state["winnow_upload_bytes_total"] == len(content)
    assert (state["winnow_stored_objects"], state["winnow_stored_bytes"]) == (1, len(content))


def test_backlog_holds_what_is_due_at_endpoints_that_take_messages(
    workspace: WorkspaceId, engine: Engine
) -> None:
    with unit_of_work(engine) as session:
        wanted = EndpointRequest(url="https://example.org/", events=[WebhookEvent.JOB_FAILED])
        endpoint = create_endpoint(session, workspace, wanted, (), utc_now())
        ping(session, endpoint, utc_now() - timedelta(seconds=30))
    state = read_state(engine)
    assert state["winnow_webhook_backlog"] == 1
    assert 30 <= state["winnow_webhook_backlog_age_seconds"] < 60
    with unit_of_work(engine) as session:
        session.merge(endpoint).disabled_at = utc_now()
    state = read_state(engine)
    assert state["winnow_webhook_backlog"] == 0
    assert state["winnow_webhook_endpoints_disabled"] == 1


def test_database_that_is_away_hides_no_request(api_settings: ApiSettings) -> None:
    url = f"postgresql+psycopg://secretary:password@{NOWHERE}/none"
    settings = api_settings.model_copy(update={"database_url": url})
    with TestClient(create_app(settings), headers=bearer("wnw_a_b")) as client:
        assert client.get("/v1/jobs").status_code == 503
        after = read_metrics(client)
    assert after["winnow_database_up"] == 0
    assert after['winnow_http_requests_total{method="GET",route="/v1/jobs",status="503"}'] == 1
    assert "winnow_busy_workers" not in after


def test_state_is_read_again_only_after_a_while(queued: JobId, engine: Engine) -> None:
    metrics = ServiceMetrics(engine, utc_now)
    first = metrics.render()
    make_older(engine, queued)
    assert metrics.render() == first
    assert read_state(engine)[QUEUE_AGE] > parsed(first.decode())[QUEUE_AGE]


def test_jobs_are_counted_without_their_rows(engine: Engine) -> None:
    with engine.begin() as connection:
        # A few rows are faster to read than their index.
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        count = "EXPLAIN SELECT state, count(*) FROM jobs GROUP BY state"
        plan = "\n".join(connection.execute(text(count)).scalars())
    assert "Index Only Scan using ix_jobs_state" in plan


def test_everything_has_a_name_of_ours_and_a_help_text(client: TestClient) -> None:
    families = list(text_string_to_metric_families(client.get("/metrics").text))
    assert len(families) > 15
    for family in families:
        assert family.name.startswith("winnow_")
        assert family.documentation.endswith(".")


@pytest.mark.slow
def test_processes_of_one_server_share_their_numbers(
    api_settings: ApiSettings,
    engine: Engine,  # noqa: ARG001 - It is empty.
    tmp_path: Path,
) -> None:
    folder = tmp_path / "metrics"
    folder.mkdir()
    socket = tmp_path / "api.sock"
    fields = api_settings.model_dump(mode="json", exclude_none=True)
    process = subprocess.Popen(
        # On a busy machine a process begins later than the server would wait for.
        [*SERVER, "--uds", str(socket), "--workers", "2", "--timeout-worker-healthcheck", "60"],
        env={
            **os.environ,
            **{f"WINNOW_{name}".upper(): str(value) for name, value in fields.items()},
            "PROMETHEUS_MULTIPROC_DIR": str(folder),
        },
        cwd=REPOSITORY,
        start_new_session=True,
    )
    try:
        wait_for_both(socket, folder)
        # A connection each, so that the kernel hands them to whichever process is free.
        for _ in range(20):
            assert ask(socket, "/healthz").status_code == 200
        name = 'winnow_http_requests_total{method="GET",route="/healthz",status="200"}'
        counts = {parsed(ask(socket, "/metrics").text)[name] for _ in range(10)}
        assert counts == {20}
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_both(socket: Path, folder: Path) -> None:
    """Wait until two processes have answered something."""
    deadline = time.monotonic() + 60
    while len({re.sub(r"\D", "", path.name) for path in folder.glob("*.db")}) < 2:
        assert time.monotonic() < deadline, "the server did not come up"
        # Many at once, or the process that answered first answers everything.
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(lambda _: ask_if_there(socket), range(16)))


def ask_if_there(socket: Path) -> None:
    try:
        ask(socket, "/readyz")
    except httpx2.TransportError:
        time.sleep(0.2)


def ask(socket: Path, path: str) -> httpx2.Response:
    transport = httpx2.HTTPTransport(uds=str(socket))
    with httpx2.Client(transport=transport, base_url="http://winnow", timeout=30) as client:
        return client.get(path)
