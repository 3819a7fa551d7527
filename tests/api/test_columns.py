"""Raw columns and neighbours agree with what the worker wrote."""

import numpy as np
import pytest
from callers import POOL_SIZE, Finished, make_map
from fastapi.testclient import TestClient
from sqlalchemy import Engine, delete

from curation.database import unit_of_work
from curation.models import JobObject


@pytest.mark.parametrize(
    ("column", "dtype", "name"),
    [
        ("score", "<f4", "scores"),
        ("label", "<i4", "labels"),
        ("rank", "<i4", "ranks"),
        ("keep", "u1", "keep"),
    ],
)
def test_column_holds_one_number_a_sample(
    client: TestClient, finished: Finished, column: str, dtype: str, name: str
) -> None:
    response = client.get(f"/v1/jobs/{finished.job_id}/columns/{column}")
    assert response.headers["content-type"] == "application/octet-stream"
    values = np.frombuffer(response.content, dtype)
    assert np.array_equal(values, getattr(finished.rows, name))


def test_map_holds_two_coordinates_a_sample(client: TestClient, finished: Finished) -> None:
    response = client.get(f"/v1/jobs/{finished.job_id}/columns/map")
    assert np.array_equal(np.frombuffer(response.content, "<f4").reshape(-1, 2), make_map())


def test_known_column_is_not_sent_again(client: TestClient, finished: Finished) -> None:
    path = f"/v1/jobs/{finished.job_id}/columns/score"
    tag = client.get(path).headers["etag"]
    again = client.get(path, headers={"If-None-Match": tag})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get(path.replace("score", "rank"), headers={"If-None-Match": tag})
    assert other.status_code == 200


def test_neighbours_are_the_nearest_by_angle(client: TestClient, finished: Finished) -> None:
    sample = client.get(f"/v1/jobs/{finished.job_id}/samples/20").json()
    found = [item["position"] for item in sample["neighbours"]]
    assert sorted(found) == [16, 17, 18, 19, 21, 22, 23, 24]
    cosines = [item["cosine"] for item in sample["neighbours"]]
    assert cosines == sorted(cosines, reverse=True)
    assert cosines[0] == pytest.approx(np.cos(np.pi / (POOL_SIZE - 1)), abs=2e-3)
    assert sample["neighbours"][0]["sample_id"] == f"synthetic/{found[0]}"


def test_job_without_a_map_says_so(client: TestClient, finished: Finished, engine: Engine) -> None:
    with unit_of_work(engine) as session:
        session.execute(delete(JobObject).where(JobObject.kind.in_(["map", "neighbour_vectors"])))
    response = client.get(f"/v1/jobs/{finished.job_id}/columns/map")
    assert (response.status_code, response.json()["reason"]) == (404, "MAP_NOT_FOUND")
    assert client.get(f"/v1/jobs/{finished.job_id}/samples/0").json()["neighbours"] == []
