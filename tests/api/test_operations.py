"""What operators rely on: alive, ready, measured, swept, and documented without other sites."""

import re
import shutil
import time
from datetime import timedelta

import pytest
from callers import bearer, rung_ids, silent_server
from fastapi.testclient import TestClient
from sqlalchemy import Engine, update

from api.main import create_app
from api.settings import ApiSettings
from curation.database import unit_of_work
from curation.identifiers import JobId
from curation.models import Job

NOWHERE = "127.0.0.1:1"


def test_alive_process_says_so_though_nothing_else_answers(api_settings: ApiSettings) -> None:
    settings = api_settings.model_copy(
        update={
            "database_url": f"postgresql+psycopg://{NOWHERE}/none",
            "broker_url": f"redis://{NOWHERE}",
        }
    )
    with TestClient(create_app(settings)) as client:
        assert client.get("/healthz").json() == {"status": "ok"}


def test_service_is_ready_when_all_parts_answer(client: TestClient) -> None:
    response = client.get("/readyz")
    assert response.status_code == 200
    assert response.json() == {"status": "ready"}


@pytest.mark.parametrize(
    ("part", "change"),
    [
        ("database", {"database_url": f"postgresql+psycopg://{NOWHERE}/none"}),
        ("broker", {"broker_url": f"redis://{NOWHERE}"}),
    ],
)
def test_part_that_does_not_answer_is_named(
    api_settings: ApiSettings, part: str, change: dict[str, str]
) -> None:
    with TestClient(create_app(api_settings.model_copy(update=change))) as client:
        response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["reason"] == "NOT_READY"
    assert response.json()["field"] == part
    assert [cause["field"] for cause in response.json()["errors"]] == [part]


def test_part_that_never_answers_is_named_in_time(api_settings: ApiSettings) -> None:
    with silent_server() as address:
        settings = api_settings.model_copy(update={"broker_url": f"redis://{address}"})
        with TestClient(create_app(settings)) as client:
            began = time.monotonic()
            response = client.get("/readyz")
            assert time.monotonic() - began < 5
    assert response.json()["field"] == "broker"


def test_store_that_cannot_be_written_is_named(
    client: TestClient, api_settings: ApiSettings
) -> None:
    folder = re.sub("^file://", "", api_settings.object_store)
    shutil.rmtree(f"{folder}/unfinished")
    assert client.get("/readyz").json()["field"] == "store"


def test_absence_of_the_database_is_told_without_its_address(api_settings: ApiSettings) -> None:
    url = f"postgresql+psycopg://secretary:password@{NOWHERE}/none"
    settings = api_settings.model_copy(update={"database_url": url})
    with TestClient(create_app(settings), headers=bearer("wnw_a_b")) as client:
        response = client.get("/v1/jobs")
    assert response.status_code == 503
    assert response.json()["reason"] == "DATABASE_UNAVAILABLE"
    assert response.headers["retry-after"] == "5"
    assert "secretary" not in response.text
    assert "password" not in response.text


def test_metrics_count_jobs_by_state_and_time_requests_by_route(
    client: TestClient, queued: JobId, engine: Engine
) -> None:
    with unit_of_work(engine) as session:
        session.execute(update(Job).values(created_at=Job.created_at - timedelta(hours=1)))
    labels = 'method="GET",route="/v1/jobs/{job_id}",status="200"'
    count = f"winnow_http_request_duration_seconds_count{{{labels}}}"
    before = read_metrics(client).get(count, 0)
    client.get(f"/v1/jobs/{queued}")
    after = read_metrics(client)
    assert after['winnow_jobs{state="queued"}'] == 1
    assert after['winnow_jobs{state="failed"}'] == 0
    assert 3600 <= after["winnow_oldest_queued_job_age_seconds"] < 3700
    assert after[count] == before + 1
    assert not [name for name in after if str(queued) in name]


def read_metrics(client: TestClient) -> dict[str, float]:
    response = client.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    pairs = [line.rsplit(" ", 1) for line in response.text.splitlines() if line[0] != "#"]
    return {name: float(value) for name, value in pairs}


def test_sweep_of_the_process_rings_for_a_job_that_nobody_heard_of(
    *,
    queued: JobId,
    engine: Engine,
    api_settings: ApiSettings,
    emptied_broker_url: str,
) -> None:
    with unit_of_work(engine) as session:
        session.execute(update(Job).values(last_rung_at=None))
    settings = api_settings.model_copy(update={"sweep_seconds": 0.2})
    with TestClient(create_app(settings)):
        assert rung_ids(emptied_broker_url, "train", count=1) == [str(queued)]


def test_docs_page_needs_no_other_site_and_no_inline_script(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    policy = page.headers["content-security-policy"]
    assert "script-src 'self';" in policy
    scripts = re.findall(r"<script([^>]*)>([^<]*)</script>", page.text)
    assert scripts
    for attributes, body in scripts:
        assert body == ""
        source = re.search(r'src="([^"]+)"', attributes)
        assert source is not None
        assert client.get(f"/{source[1]}").status_code == 200
    style = re.search(r'href="([^"]+)"', page.text)
    assert style is not None
    assert client.get(f"/{style[1]}").headers["content-type"].startswith("text/css")
