"""Files that come out: whole, tagged, resumable, and readable by the tools they are for."""

import csv
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from callers import POOL_SIZE, Finished
from fastapi.testclient import TestClient


def read_rows(file_format: str, content: bytes) -> list[dict[str, object]]:
    match file_format:
        case "parquet":
            rows: list[dict[str, object]] = pq.read_table(io.BytesIO(content)).to_pylist()
            return rows
        case "jsonl":
            return [json.loads(line) for line in content.splitlines()]
        case _:
            return list(csv.DictReader(io.StringIO(content.decode())))


@pytest.mark.parametrize("file_format", ["parquet", "jsonl", "csv"])
def test_all_weights_come_as_one_file(
    client: TestClient, finished: Finished, file_format: str
) -> None:
    response = client.get(f"/v1/jobs/{finished.job_id}/weights.{file_format}")
    assert response.status_code == 200
    assert f"weights.{file_format}" in response.headers["content-disposition"]
    rows = read_rows(file_format, response.content)
    scores = np.array([float(str(row["score"])) for row in rows], np.float32)
    assert np.array_equal(scores, finished.rows.scores)
    assert [row["sample_id"] for row in rows] == list(finished.rows.sample_ids)


def test_rendered_weights_leave_no_temporary_file(
    client: TestClient, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    response = client.get(f"/v1/jobs/{finished.job_id}/weights.csv")
    assert response.status_code == 200
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("file_format", ["parquet", "jsonl", "csv"])
@pytest.mark.parametrize("kept_only", [False, True])
def test_manifest_of_a_job_tells_the_suggested_cut(
    client: TestClient, finished: Finished, *, file_format: str, kept_only: bool
) -> None:
    response = client.get(
        f"/v1/jobs/{finished.job_id}/manifest",
        params={"format": file_format, "kept_only": kept_only},
    )
    assert response.status_code == 200, response.text
    name = "kept" if kept_only else "manifest"
    assert f'"{name}.{file_format}"' in response.headers["content-disposition"]
    rows = read_rows(file_format, response.content)
    keep = [str(row["keep"]) == "True" for row in rows]
    expected = finished.rows.keep[finished.rows.keep] if kept_only else finished.rows.keep
    assert keep == expected.tolist()


def test_manifest_names_its_classes_for_datasets(client: TestClient, finished: Finished) -> None:
    response = client.get(f"/v1/jobs/{finished.job_id}/manifest")
    metadata = pq.read_schema(io.BytesIO(response.content)).metadata
    features = json.loads(metadata[b"huggingface"])["info"]["features"]
    assert features["label"]["names"] == ["ant", "bee"]


@pytest.mark.parametrize("tail", ["manifest", "weights.parquet"])
def test_file_that_the_client_has_is_not_sent_again(
    client: TestClient, finished: Finished, tail: str
) -> None:
    path = f"/v1/jobs/{finished.job_id}/{tail}"
    tag = client.get(path).headers["etag"]
    again = client.get(path, headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert again.content == b""


def test_broken_download_goes_on_where_it_stopped(client: TestClient, finished: Finished) -> None:
    path = f"/v1/jobs/{finished.job_id}/manifest"
    whole = client.get(path)
    half = len(whole.content) // 2
    rest = client.get(path, headers={"Range": f"bytes={half}-", "If-Range": whole.headers["etag"]})
    assert rest.status_code == 206
    assert whole.content[:half] + rest.content == whole.content


def test_range_beyond_the_file_is_refused(client: TestClient, finished: Finished) -> None:
    path = f"/v1/jobs/{finished.job_id}/manifest"
    response = client.get(path, headers={"Range": "bytes=9999999-"})
    assert response.status_code == 416


def test_unknown_format_is_refused(client: TestClient, finished: Finished) -> None:
    path = f"/v1/jobs/{finished.job_id}"
    by_query = client.get(f"{path}/manifest", params={"format": "pickle"})
    assert by_query.json()["field"] == "format"
    assert client.get(f"{path}/weights.pickle").status_code == 422


def test_selection_keeps_what_its_rule_says(client: TestClient, finished: Finished) -> None:
    made = client.post(
        f"/v1/jobs/{finished.job_id}/selections",
        json={"name": "best quarter", "rule": {"kind": "top_fraction", "fraction": 0.25}},
    )
    assert made.status_code == 201
    assert made.json()["kept_count"] == POOL_SIZE // 4
    assert made.json()["rule"] == {"kind": "top_fraction", "fraction": 0.25, "balanced": False}
    location = made.headers["location"]
    assert client.get(location).json() == made.json()
    rows = read_rows("jsonl", client.get(f"{location}/manifest?format=jsonl").content)
    kept = {row["sample_id"] for row in rows if row["keep"]}
    best = np.argsort(finished.rows.ranks)[: POOL_SIZE // 4]
    assert kept == {finished.rows.sample_ids[position] for position in best}
    only = client.get(f"{location}/manifest", params={"format": "jsonl", "kept_only": True})
    assert {row["sample_id"] for row in read_rows("jsonl", only.content)} == kept


@pytest.mark.parametrize(
    ("rule", "kept"),
    [
        ({"kind": "top_count", "count": 3}, 3),
        ({"kind": "top_count", "count": 3, "balanced": True}, 3),
        ({"kind": "threshold", "threshold": 0.0}, POOL_SIZE),
        ({"kind": "suggested"}, None),
    ],
)
def test_each_rule_makes_a_cut(
    client: TestClient, finished: Finished, rule: dict[str, object], kept: int | None
) -> None:
    made = client.post(f"/v1/jobs/{finished.job_id}/selections", json={"name": "cut", "rule": rule})
    expected = int(finished.rows.keep.sum()) if kept is None else kept
    assert made.json()["kept_count"] == expected


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "top_fraction", "fraction": 0},
        {"kind": "top_fraction", "fraction": 1.5},
        {"kind": "top_count", "count": POOL_SIZE + 1},
        {"kind": "top_count", "count": True},
        {"kind": "threshold", "threshold": "0.5"},
        {"kind": "threshold"},
        {"kind": "best"},
        {},
    ],
)
def test_wrong_rule_names_its_field(
    client: TestClient, finished: Finished, rule: dict[str, object]
) -> None:
    path = f"/v1/jobs/{finished.job_id}/selections"
    response = client.post(path, json={"name": "cut", "rule": rule})
    assert response.status_code == 422
    assert response.json()["field"].startswith("rule")
    assert client.get(path).json()["items"] == []


def test_name_of_a_selection_is_taken_once(client: TestClient, finished: Finished) -> None:
    path = f"/v1/jobs/{finished.job_id}/selections"
    for expected in (201, 409):
        response = client.post(path, json={"name": "a", "rule": {"kind": "suggested"}})
        assert response.status_code == expected
    assert response.json()["reason"] == "SELECTION_NAME_TAKEN"
    assert len(client.get(path).json()["items"]) == 1
