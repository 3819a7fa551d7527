"""Over HTTP, with every process of the service: tables and texts go the same way as images."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from embedding_jobs import TINY_CONFIG
from service import Service

Rows = Sequence[Mapping[str, Any]]


def csv_of(rows: Rows) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def patients(count: int, *, seed: int, cities: Sequence[str] = ("Rome", "Oslo")) -> Rows:
    """Rows whose class shows in a number with gaps and in a category."""
    generator = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        is_ill = index % 2
        rows.append(
            {
                "ward": cities[is_ill] if generator.random() < 0.9 else cities[-1],
                "outcome": ("well", "ill")[is_ill],
                "weight": "" if index % 7 == 0 else round(generator.normal(60 + 20 * is_ill, 5), 1),
                "dose": int(np.exp(generator.normal(3 * is_ill))),
            }
        )
    return rows


def run(
    service: Service,
    sets: Mapping[str, tuple[str, bytes]],
    *,
    config: Mapping[str, Any] | None = None,
    **said: Any,
) -> dict[str, Any]:
    ids = {}
    for role, (file_name, content) in sets.items():
        dataset = service.upload(role, file_name, content, **said)
        assert dataset["state"] == "ready", dataset
        ids[f"{role}_id"] = dataset["id"]
    return service.run_job(**ids, config={**TINY_CONFIG, **(config or {})}, seed=3)


def manifest(service: Service, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    assert job["state"] == "succeeded", job["failure"]
    content = service.download(f"/v1/jobs/{job['id']}/manifest", format="parquet")
    rows: list[dict[str, Any]] = pq.read_table(io.BytesIO(content)).to_pylist()
    return rows


def test_table_is_curated_and_its_columns_ride_along(service: Service) -> None:
    pool = patients(80, seed=1)
    sets = {
        "synthetic": ("pool.csv", csv_of(pool)),
        "reference": ("reference.csv", csv_of(patients(20, seed=2))),
        # A ward that no other set has is no obstacle.
        "test": ("test.csv", csv_of(patients(20, seed=3, cities=("Rome", "Oslo", "Bern")))),
    }
    job = run(service, sets, label_column="outcome")
    rows = manifest(service, job)
    assert [row["sample_id"] for row in rows[:2]] == ["row-1", "row-2"]
    assert [row["ward"] for row in rows] == [row["ward"] for row in pool]
    # The table's own column gives way to the weight that was learned.
    assert [row["original_weight"] for row in rows] == [row["weight"] or None for row in pool]
    assert np.isclose(np.mean([row["weight"] for row in rows]), 1.0, atol=1e-3)
    report = service.request("GET", f"/v1/jobs/{job['id']}/report")
    assert set(report["encoder_log_losses"]) == {"table_scaled", "table_quantiles"}
    assert report["config"]["encoder"] in report["encoder_log_losses"]


def test_tables_that_do_not_agree_are_refused_with_the_column(service: Service) -> None:
    pool = service.upload(
        "synthetic", "pool.csv", csv_of(patients(20, seed=1)), label_column="outcome"
    )
    other = [{**row, "height": 1} for row in patients(20, seed=2)]
    reference = service.upload("reference", "ref.csv", csv_of(other), label_column="outcome")
    assert [column["kind"] for column in pool["feature_columns"]] == [
        "category",
        "number",
        "number",
    ]
    request = {"synthetic_id": pool["id"], "reference_id": reference["id"]}
    problem = service.request("POST", "/v1/jobs", 422, json=request)
    assert (problem["reason"], problem["field"]) == ("COLUMNS_DIFFER", "reference_id")
    assert "'height'" in problem["detail"]


WORDS = {
    "praise": ("lovely", "excellent", "a joy", "well made", "worth every penny"),
    "complaint": ("broken", "awful", "a waste", "badly made", "far too dear"),
}


def reviews(count: int, *, seed: int) -> Rows:
    """Texts whose class shows in their words."""
    generator = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        label = ("praise", "complaint")[index % 2]
        one, other = generator.choice(WORDS[label], 2, replace=False)
        text = f"The kettle was {one} and {other}."
        rows.append({"id": f"r{index}", "text": text, "label": label, "stars": index % 5})
    return rows


@pytest.mark.slow  # Loading the model of language takes most of it.
def test_texts_are_curated_and_come_back_with_their_weights(service: Service) -> None:
    pool = reviews(60, seed=1)
    sets = {
        "synthetic": ("pool.csv", csv_of(pool)),
        "reference": ("reference.csv", csv_of(reviews(16, seed=2))),
    }
    job = run(service, sets)
    rows = manifest(service, job)
    assert [row["text"] for row in rows] == [row["text"] for row in pool]
    assert [row["stars"] for row in rows] == [row["stars"] for row in pool]
    lines = service.download(f"/v1/jobs/{job['id']}/manifest", format="jsonl").decode().splitlines()
    first = json.loads(lines[0])
    assert (first["sample_id"], first["text"], first["label_name"]) == (
        "r0",
        pool[0]["text"],
        "praise",
    )
    report = service.request("GET", f"/v1/jobs/{job['id']}/report")
    assert set(report["encoder_log_losses"]) == {"tfidf_svd", "minilm"}


@pytest.mark.slow  # The same.
def test_model_that_no_worker_has_fails_the_job_with_a_cure(service: Service) -> None:
    sets = {
        "synthetic": ("pool.csv", csv_of(reviews(20, seed=1))),
        "reference": ("reference.csv", csv_of(reviews(8, seed=2))),
    }
    job = run(service, sets, config={"encoder": "sentence_transformers:nobody/has-this"})
    assert (job["state"], job["failure"]["reason"]) == ("failed", "INVALID_DATA")
    assert "hf download nobody/has-this" in job["failure"]["detail"]
