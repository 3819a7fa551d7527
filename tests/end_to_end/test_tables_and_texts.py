"""Over HTTP, with every process of the service: tables go the same way as images."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq
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


def run(service: Service, sets: Mapping[str, tuple[str, bytes]], **said: Any) -> dict[str, Any]:
    ids = {}
    for role, (file_name, content) in sets.items():
        dataset = service.upload(role, file_name, content, **said)
        assert dataset["state"] == "ready", dataset
        ids[f"{role}_id"] = dataset["id"]
    return service.run_job(**ids, config=TINY_CONFIG, seed=3)


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
