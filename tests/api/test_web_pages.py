"""The dashboard is served with the right rules for caches, compression and scripts."""

import gzip
import re

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient


@pytest.fixture
def visitor(shared_app: FastAPI) -> TestClient:
    return TestClient(shared_app, headers={"Accept-Encoding": "identity"})


@pytest.fixture
def asset(visitor: TestClient) -> str:
    """The address of the page's script."""
    found = re.search(r'src="\./(assets/[^"]+\.js)"', visitor.get("/").text)
    assert found is not None
    return f"/{found[1]}"


@pytest.mark.parametrize("path", ["/", "/datasets", "/jobs", "/jobs/new", "/jobs/1/x", "/compare"])
def test_every_address_of_the_dashboard_is_its_page(visitor: TestClient, path: str) -> None:
    response = visitor.get(path, headers={"Accept": "text/html"})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/html")
    assert response.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("path", ["/v1/nothing", "/v1", "/api/nothing", "/api", "/assets/no.js"])
def test_unknown_path_of_the_api_stays_a_problem(visitor: TestClient, path: str) -> None:
    response = visitor.get(path, headers={"Accept": "text/html"})
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"


def test_policy_admits_the_builds_own_files_alone(visitor: TestClient) -> None:
    first, second = visitor.get("/"), visitor.get("/")
    policies = [page.headers["content-security-policy"] for page in (first, second)]
    nonces = [re.search(r"'nonce-([\w-]+)'", policy)[1] for policy in policies]  # type: ignore[index]
    assert nonces[0] != nonces[1]
    assert nonces[0] in first.text
    assert "unsafe" not in policies[0]
    assert "script-src 'self';" in policies[0]
    # Nothing stands in the page that the policy would stop.
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|style=", first.text)
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", first.text)


def test_hashed_files_are_kept_for_good(visitor: TestClient, asset: str) -> None:
    response = visitor.get(asset)
    assert response.status_code == 200
    assert "immutable" in response.headers["cache-control"]
    assert response.headers["content-type"].startswith("text/javascript")
    again = visitor.get(asset, headers={"If-None-Match": response.headers["etag"]})
    assert again.status_code == 304


def test_files_are_compressed_for_those_who_take_it(visitor: TestClient, asset: str) -> None:
    plain = visitor.get(asset)
    assert "content-encoding" not in plain.headers
    with visitor.stream("GET", asset, headers={"Accept-Encoding": "br, gzip"}) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.headers["vary"] == "Accept-Encoding"
        sent = b"".join(packed.iter_raw())
    assert gzip.decompress(sent) == plain.content
    assert len(sent) < len(plain.content) / 2
    refused = visitor.get(asset, headers={"Accept-Encoding": "gzip;q=0"})
    assert "content-encoding" not in refused.headers


def test_page_holds_behind_a_proxy_that_adds_a_path(shared_app: FastAPI) -> None:
    visitor = TestClient(shared_app, root_path="/winnow")
    assert '<base href="/winnow/"' in visitor.get("/winnow/jobs").text
