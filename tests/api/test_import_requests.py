"""Imports over HTTP: what is begun, and what is refused before any worker looks at it."""

import pytest
from callers import bearer
from fastapi.testclient import TestClient

from api.main import create_app
from api.settings import ApiSettings

BODY = {"name": "digits", "role": "synthetic", "url": "s3://pools/open/digits.zip"}
PATH = "/v1/datasets:import"


def test_import_is_begun_and_found_where_its_location_says(client: TestClient) -> None:
    begun = client.post(PATH, json={**BODY, "image_size": 28})
    assert begun.status_code == 202, begun.text
    shown = client.get(begun.headers["location"]).json()
    assert shown == begun.json()
    assert (shown["state"], shown["content"], shown["image_size"]) == ("validating", None, 28)
    refused = client.put(
        f"{begun.headers['location']}/content", params={"file_name": "a.csv"}, content=b"a"
    )
    assert refused.json()["reason"] == "DATASET_HAS_CONTENT"


@pytest.mark.parametrize(
    ("url", "status", "reason"),
    [
        ("s3://pools/closed/digits.zip", 403, "IMPORT_NOT_ALLOWED"),
        ("https://pools/open/digits.zip", 422, "INVALID_IMPORT_URL"),
        ("s3://pools/open/digits.exe", 422, "UNSUPPORTED_FORMAT"),
    ],
)
def test_what_can_never_be_imported_is_refused_at_once(
    client: TestClient, url: str, status: int, reason: str
) -> None:
    refused = client.post(PATH, json={**BODY, "url": url})
    assert (refused.status_code, refused.json()["reason"]) == (status, reason)
    assert refused.json()["field"] == "url"
    assert client.get("/v1/datasets").json()["items"] == []


def test_installation_without_sources_imports_nothing(api_settings: ApiSettings, key: str) -> None:
    settings = api_settings.model_copy(update={"import_sources": None})
    with TestClient(create_app(settings), headers=bearer(key)) as client:
        refused = client.post(PATH, json=BODY)
    assert (refused.status_code, refused.json()["reason"]) == (403, "IMPORTS_DISABLED")


def test_import_over_the_quota_is_refused(api_settings: ApiSettings, key: str) -> None:
    settings = api_settings.model_copy(update={"quota_datasets": 0})
    with TestClient(create_app(settings), headers=bearer(key)) as client:
        refused = client.post(PATH, json=BODY)
    assert (refused.status_code, refused.json()["reason"]) == (409, "QUOTA_DATASETS_EXCEEDED")
