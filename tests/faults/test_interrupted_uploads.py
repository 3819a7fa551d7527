"""The API is killed in the middle of an upload: what has arrived is not sent again."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
from embedding_jobs import JobPlace
from service import Service
from sqlalchemy import text
from worker_processes import WorkerProcesses, wait_until

from curation.objects import LocalObjectStore

PART_BYTES = 1 << 20
# Long rows: several parts, and yet few rows to validate.
CONTENT = b"label,x,note\n" + b"".join(
    b"%s,%d,%s\n" % (b"ab"[row % 2 : row % 2 + 1], row, b"long " * 100) for row in range(11_000)
)
PARTS = [CONTENT[start : start + PART_BYTES] for start in range(0, len(CONTENT), PART_BYTES)]

pytestmark = pytest.mark.slow


@pytest.fixture
def api(unstarted_api: Service) -> Service:
    """Started by each test, which kills it."""
    return unstarted_api


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put_part(api: Service, path: str, number: int) -> None:
    part = PARTS[number - 1]
    api.request("PUT", f"{path}/parts/{number}", params={"sha256": sha256(part)}, content=part)


def create_dataset(api: Service) -> str:
    created = api.request("POST", "/v1/datasets", 201, json={"name": "a", "role": "synthetic"})
    return f"/v1/datasets/{created['id']}"


def complete(api: Service, path: str) -> dict[str, Any]:
    body = {"file_name": "a.csv", "sha256": sha256(CONTENT), "part_count": len(PARTS)}
    return dict(api.request("POST", f"{path}/complete", 202, json=body))


def test_upload_goes_on_by_its_parts_after_the_api_was_killed(
    api: Service, workers: WorkerProcesses, object_store: LocalObjectStore
) -> None:
    assert len(PARTS) > 4
    process = workers.start_api(api.socket)
    api.wait_until_ready()
    path = create_dataset(api)
    for number in (1, 2):
        put_part(api, path, number)

    def half_a_part() -> Iterator[bytes]:
        yield PARTS[2][: PART_BYTES // 2]
        process.kill()
        process.wait()
        yield PARTS[2][PART_BYTES // 2 :]

    with pytest.raises(httpx2.TransportError):
        api.request(
            "PUT", f"{path}/parts/3", params={"sha256": sha256(PARTS[2])}, content=half_a_part()
        )
    workers.start_api(api.socket)
    api.wait_until_ready()

    arrived = api.request("GET", f"{path}/parts")["items"]
    assert [(part["number"], part["sha256"]) for part in arrived] == [
        (1, sha256(PARTS[0])),
        (2, sha256(PARTS[1])),
    ]
    for number in range(3, len(PARTS) + 1):
        put_part(api, path, number)
    completed = complete(api, path)
    assert completed["content"]["sha256"] == sha256(CONTENT)
    with object_store.open(sha256(CONTENT)) as file:
        assert file.read() == CONTENT
    assert list(object_store.list_digests()) == [sha256(CONTENT)]

    workers.start("short")
    wait_until(lambda: api.request("GET", path)["state"] == "ready")


def test_upload_is_completed_again_after_the_api_was_killed_while_it_completed_it(
    api: Service, job_place: JobPlace, workers: WorkerProcesses, object_store: LocalObjectStore
) -> None:
    process = workers.start_api(api.socket)
    api.wait_until_ready()
    path = create_dataset(api)
    for number in range(1, len(PARTS) + 1):
        put_part(api, path, number)

    with job_place.engine.begin() as holder, ThreadPoolExecutor() as pool:
        # The whole can be stored, but not become the dataset's content before this ends.
        holder.execute(text("SELECT id FROM datasets FOR UPDATE"))
        completed = pool.submit(complete, api, path)
        wait_until(lambda: object_store.exists(sha256(CONTENT)))
        process.kill()
        process.wait()
        assert isinstance(completed.exception(), httpx2.TransportError)
    workers.start_api(api.socket)
    api.wait_until_ready()

    assert api.request("GET", path)["content"] is None
    assert len(api.request("GET", f"{path}/parts")["items"]) == len(PARTS)
    assert complete(api, path)["content"]["sha256"] == sha256(CONTENT)
    assert list(object_store.list_digests()) == [sha256(CONTENT)]
