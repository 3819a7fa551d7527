"""Over HTTP, with every process of the service: upload, validate, train, cut and download."""

import csv
import io
import json
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from embedding_jobs import TINY_CONFIG, Samples, make_samples
from service import Service


def npz(samples: Samples, prefix: str) -> bytes:
    content = io.BytesIO()
    ids = np.array([f"{prefix}/{position}.png" for position in range(len(samples.labels))])
    np.savez(content, x=samples.embeddings, y=np.array(samples.labels), id=ids)
    return content.getvalue()


def upload_sets(service: Service) -> dict[str, str]:
    sets = {
        "synthetic": make_samples(80, seed=1, bad_fraction=0.3),
        "reference": make_samples(20, seed=2),
        "test": make_samples(20, seed=3),
    }
    ids = {}
    for role, samples in sets.items():
        dataset = service.upload(role, f"{role}.npz", npz(samples, role))
        assert dataset["state"] == "ready", dataset
        ids[f"{role}_id"] = dataset["id"]
    return ids


def read_manifest(content: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(content)).to_pylist()
    return rows


def test_upload_to_manifest_over_http(service: Service) -> None:
    datasets = upload_sets(service)
    config = {**TINY_CONFIG, "evaluate": True, "evaluation_seeds": 2}
    job = service.run_job(**datasets, config=config, seed=3)
    assert job["state"] == "succeeded", job["failure"]
    assert (job["attempt"], job["sample_count"], job["fraction"]) == (1, 80, 1.0)
    path = f"/v1/jobs/{job['id']}"

    rows = read_manifest(service.download(f"{path}/manifest", format="parquet"))
    assert [row["sample_id"] for row in rows] == [f"synthetic/{i}.png" for i in range(80)]
    assert {row["label"] for row in rows} == {0, 1}
    assert np.mean([row["weight"] for row in rows]) == pytest.approx(1.0, abs=1e-3)
    kept = read_manifest(service.download(f"{path}/manifest", format="parquet", kept_only="true"))
    assert [row["sample_id"] for row in kept] == [row["sample_id"] for row in rows if row["keep"]]

    lines = service.download(f"{path}/manifest", format="jsonl").decode().splitlines()
    assert [json.loads(line)["sample_id"] for line in lines] == [row["sample_id"] for row in rows]
    table = csv.DictReader(io.StringIO(service.download(f"{path}/manifest", format="csv").decode()))
    assert len(list(table)) == 80

    rule = {"kind": "top_count", "count": 10}
    selection = service.request(
        "POST", f"{path}/selections", 201, json={"name": "ten best", "rule": rule}
    )
    best = service.download(f"/v1/selections/{selection['id']}/manifest", kept_only="true")
    assert sorted(row["rank"] for row in read_manifest(best)) == list(range(10))

    report = service.request("GET", f"{path}/report")
    assert {row["method"] for row in report["rows"]} == {
        "no_selection",
        "reference_only",
        "no_selection_upweighted",
        "random",
        "el2n",
        "cosine",
        "knn_shapley",
        "mts_weighted",
        "mts_selected",
        "winnow_weighted",
        "winnow_selected",
    }
    assert set(report["seconds_by_phase"]) >= {"load", "encode", "features", "train", "write"}
    traces = service.request("GET", f"{path}/traces")
    assert "classifier_loss" in json.dumps(traces)


def test_a_job_names_the_method_that_weighs_its_samples(service: Service) -> None:
    config = {**TINY_CONFIG, "reference_batch_size": 8}
    datasets = upload_sets(service)
    job = service.run_job(**datasets, method="meta_weight_net", config=config)
    assert job["state"] == "succeeded", job["failure"]
    path = f"/v1/jobs/{job['id']}"
    report = service.request("GET", f"{path}/report")
    assert report["method"] == "meta_weight_net"
    assert report["config"]["reference_batch_size"] == 8
    sample = service.request("GET", f"{path}/samples/0")
    assert [feature["name"] for feature in sample["features"]][-1] == "training_loss"


def test_bad_uploads_say_why_and_run_no_job(service: Service) -> None:
    samples = make_samples(20, seed=1)
    one_class = Samples(samples.embeddings, ["ant"] * 20)

    assert service.upload("synthetic", "one.npz", npz(one_class, "a"))["state"] == "invalid"
    broken = samples.embeddings.copy()
    broken[3, 2] = np.nan
    ready = service.upload("synthetic", "some.npz", npz(Samples(broken, samples.labels), "a"))
    assert (ready["state"], ready["sample_count"], ready["rejected_count"]) == ("ready", 19, 1)
    wrong = {"synthetic_id": ready["id"], "reference_id": ready["id"], "config": {"stepz": 3}}
    assert service.request("POST", "/v1/jobs", 422, json=wrong)["reason"] != ""
