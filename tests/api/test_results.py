"""Results over HTTP agree with what the worker wrote, in every order and page."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from callers import FEATURE_NAMES, POOL_SIZE, Finished
from fastapi.testclient import TestClient

from curation.identifiers import JobId


def all_weights(
    client: TestClient, job_id: JobId, **query: str | int
) -> list[Mapping[str, Any]]:  # JSON values.
    path = f"/v1/jobs/{job_id}/weights"
    items, params = [], {"limit": 7, **query}
    while True:
        page = client.get(path, params=params)
        assert page.status_code == 200, page.text
        items += page.json()["items"]
        if page.json()["next_cursor"] is None:
            return items
        params["cursor"] = page.json()["next_cursor"]


@pytest.mark.parametrize(("sort", "sign"), [("position", 0), ("score", 1), ("-score", -1)])
def test_pages_hold_every_sample_once_in_the_order_asked_for(
    client: TestClient, finished: Finished, sort: str, sign: int
) -> None:
    found = [item["position"] for item in all_weights(client, finished.job_id, sort=sort)]
    expected = np.argsort(sign * finished.rows.scores) if sign else np.arange(POOL_SIZE)
    assert found == expected.tolist()


def test_weights_are_those_that_were_written(client: TestClient, finished: Finished) -> None:
    items = all_weights(client, finished.job_id)
    rows = finished.rows
    assert np.array_equal(np.array([item["score"] for item in items], np.float32), rows.scores)
    assert np.array_equal(np.array([item["weight"] for item in items], np.float32), rows.weights)
    assert [item["rank"] for item in items] == rows.ranks.tolist()
    assert [item["keep"] for item in items] == rows.keep.tolist()
    assert [item["sample_id"] for item in items] == list(rows.sample_ids)
    assert {(item["label"], item["class_name"]) for item in items} == {(0, "ant"), (1, "bee")}


def test_weights_are_filtered_by_class(client: TestClient, finished: Finished) -> None:
    items = all_weights(client, finished.job_id, sort="-score", label=1)
    assert len(items) == POOL_SIZE // 2
    assert {item["class_name"] for item in items} == {"bee"}
    assert all_weights(client, finished.job_id, label=2) == []


def test_cursor_of_one_order_is_refused_by_another(client: TestClient, finished: Finished) -> None:
    path = f"/v1/jobs/{finished.job_id}/weights"
    cursor = client.get(path, params={"limit": 3}).json()["next_cursor"]
    response = client.get(path, params={"sort": "score", "cursor": cursor})
    assert response.status_code == 422
    assert response.json()["reason"] == "INVALID_CURSOR"


def test_traces_give_null_where_a_value_was_not_finite(
    client: TestClient, finished: Finished
) -> None:
    traces = client.get(f"/v1/jobs/{finished.job_id}/traces").json()
    assert traces == {"series": {"classifier_loss": {"steps": [0, 10], "values": [2.0, None]}}}


def test_report_is_given_as_it_was_written(client: TestClient, finished: Finished) -> None:
    report = client.get(f"/v1/jobs/{finished.job_id}/report").json()
    assert report == {"rows": [], "recommendation": "mts_weighted"}


@pytest.mark.parametrize("bins", [1, 7, 50])
def test_histogram_counts_every_sample_in_its_bin(
    client: TestClient, finished: Finished, bins: int
) -> None:
    path = f"/v1/jobs/{finished.job_id}/histogram"
    histogram = client.get(path, params={"bins": bins}).json()
    scores = finished.rows.scores.astype(np.float64)
    expected, edges = np.histogram(scores, bins=bins, range=(0.0, 1.0))
    assert histogram["counts"] == expected.tolist()
    assert histogram["edges"] == pytest.approx(edges.tolist())
    by_class = [item["counts"] for item in histogram["classes"]]
    assert np.sum(by_class, axis=0).tolist() == expected.tolist()
    assert [item["name"] for item in histogram["classes"]] == ["ant", "bee"]


def test_sample_shows_where_its_features_lie_among_the_kept(
    client: TestClient, finished: Finished
) -> None:
    position = 11
    sample = client.get(f"/v1/jobs/{finished.job_id}/samples/{position}").json()
    assert sample["sample_id"] == finished.rows.sample_ids[position]
    assert sample["rank"] == finished.rows.ranks[position]
    kept = finished.features[finished.rows.keep]
    for column, name in enumerate(FEATURE_NAMES):
        feature = sample["features"][column]
        own = finished.features[position, column]
        assert feature["name"] == name
        assert feature["value"] == pytest.approx(float(own))
        expected = 100 * np.mean(kept[:, column] < own)
        assert feature["percentile_among_kept"] == pytest.approx(expected)


@pytest.mark.parametrize(("position", "status"), [(POOL_SIZE, 404), (2**31, 422), ("x", 422)])
def test_sample_that_is_not_there_is_refused(
    client: TestClient, finished: Finished, position: int | str, status: int
) -> None:
    response = client.get(f"/v1/jobs/{finished.job_id}/samples/{position}")
    assert response.status_code == status


@pytest.mark.parametrize(
    "tail",
    ["weights", "weights.csv", "traces", "report", "histogram", "samples/0", "manifest"],
)
def test_unfinished_job_has_no_results_yet(client: TestClient, queued: JobId, tail: str) -> None:
    response = client.get(f"/v1/jobs/{queued}/{tail}")
    assert response.status_code == 409
    assert response.json()["reason"] == "RESULTS_NOT_READY"
    assert response.json()["cure"]
