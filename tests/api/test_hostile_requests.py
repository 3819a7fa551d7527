"""Requests of somebody who means ill get a stable reason, and forge neither headers nor logs."""

import io
import json
import logging

import pytest
import structlog
from fastapi.testclient import TestClient

from curation.log_setup import configure_logging
from curation.settings import CurationSettings, LogFormat

SCRIPT = "<script>alert(1)</script>"


@pytest.mark.parametrize("depth", [2_000, 100_000])
@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_deep_json_is_refused(client: TestClient, depth: int, opening: str) -> None:
    content = f'{{"name": "a", "role": "test", "x": {opening * depth}'
    response = client.post(
        "/v1/datasets", content=content, headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 400, response.text
    assert response.json()["reason"] in {"MALFORMED_JSON", "BAD_REQUEST"}


@pytest.mark.parametrize(
    "name",
    [
        "a\x00b",
        "a\r\nSet-Cookie: x=1",
        "a\x1b[31m",
        "cat\u202egnp",
        "a\u2028b",
        "a\x85b",
        "\u2066a",
    ],
)
def test_deceiving_name_is_refused(client: TestClient, name: str) -> None:
    response = client.post("/v1/datasets", json={"name": name, "role": "test"})
    assert response.status_code == 422
    assert (response.json()["reason"], response.json()["field"]) == ("INVALID_REQUEST", "name")


@pytest.mark.parametrize(
    "file_name", ["../a.csv", "a\\b.csv", "a\r\nb.csv", "a\x00.csv", "\u202evsc.a.csv", ".."]
)
def test_file_name_that_is_a_path_or_deceives_is_refused(
    client: TestClient, file_name: str
) -> None:
    dataset = client.post("/v1/datasets", json={"name": "a", "role": "test"}).json()
    response = client.put(
        f"/v1/datasets/{dataset['id']}/content", params={"file_name": file_name}, content=b"x"
    )
    assert response.status_code == 422
    assert response.json()["field"] == "file_name"


def test_script_in_a_name_is_a_text_that_no_browser_runs(client: TestClient) -> None:
    made = client.post("/v1/datasets", json={"name": SCRIPT, "role": "test"})
    assert made.json()["name"] == SCRIPT
    for answer in (made, client.get(f"/v1/datasets/{SCRIPT}"), client.get(f"/{SCRIPT}")):
        assert answer.headers["content-type"] in {"application/json", "application/problem+json"}
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_line_feed_in_a_header_or_path_reaches_no_header(client: TestClient) -> None:
    response = client.get("/v1/jobs/a%0d%0aSet-Cookie:%20x=1")
    assert "set-cookie" not in response.headers
    forged = client.get("/healthz", headers={"X-Request-ID": "a%0d%0aX-Evil: 1"})
    assert "%0d" not in forged.headers["x-request-id"]
    assert "x-evil" not in forged.headers


@pytest.mark.parametrize("log_format", list(LogFormat))
def test_line_feed_and_escape_forge_no_line_of_the_log(
    settings: CurationSettings, log_format: LogFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers, root.level
    try:
        configure_logging(settings.model_copy(update={"log_format": log_format}))
        hostile = "/a\nlevel=error event=forged\x1b[2J\u2028b"
        structlog.get_logger("test").info("request_finished", path=hostile)
        logging.getLogger("library").warning("Bad request: %s", hostile)
    finally:
        root.handlers, root.level = handlers, level
        structlog.configure(**before)
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert "\x1b[2J" not in stream.getvalue()
    if log_format is LogFormat.JSON:
        assert json.loads(lines[0])["path"] == hostile
