"""What operators rely on: alive, ready, measured, swept, and documented without other sites."""

import re
import shutil

from callers import bearer, rung_ids
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
