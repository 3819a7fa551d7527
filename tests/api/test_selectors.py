"""Selectors over HTTP: listed, shown, deleted, and asked to score datasets."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from callers import Finished, Sets, rung_ids
from embedding_jobs import JobPlace, Samples, add_dataset, make_samples
from fastapi.testclient import TestClient
from sqlalchemy import Engine
from table_jobs import Rows, add_rows, make_rows
from text_jobs import add_texts, make_texts

from curation.database import unit_of_work
from curation.feature_columns import ColumnKind, FeatureColumn, columns_to_json
from curation.identifiers import JobId, WorkspaceId
from curation.jobs import claim_job
from curation.models import Modality, Role, Selector
from curation.objects import LocalObjectStore
from curation.settings import CurationSettings


@pytest.fixture
def place(
    engine: Engine,
    object_store: LocalObjectStore,
    workspace: WorkspaceId,
    settings: CurationSettings,
) -> JobPlace:
    return JobPlace(engine, object_store, workspace, settings)


@pytest.fixture
def selector(client: TestClient, finished: Finished) -> dict[str, Any]:
    [found] = client.get("/v1/selectors").json()["items"]
    assert found["job_id"] == str(finished.job_id)
    return dict(found)


def _score(client: TestClient, selector: dict[str, Any], dataset_id: object) -> Any:
    body = {"dataset_id": str(dataset_id)}
    return client.post(f"/v1/selectors/{selector['id']}/scores", json=body)


def _add(
    place: JobPlace,
    *,
    role: Role = Role.SYNTHETIC,
    class_names: Sequence[str] = ("ant", "bee"),
    dimension: int = 6,
) -> str:
    samples = make_samples(12, seed=3)
    labels = [class_names[index % len(class_names)] for index in range(12)]
    changed = Samples(samples.embeddings[:, :dimension], labels)
    return str(add_dataset(place, role, changed, class_names=class_names))


def test_finished_job_leaves_a_selector(client: TestClient, selector: dict[str, Any]) -> None:
    assert selector["class_names"] == ["ant", "bee"]
    assert (selector["modality"], selector["input_shape"]) == ("embedding", [6])
    assert client.get(f"/v1/selectors/{selector['id']}").json() == selector


def test_scoring_is_a_job_that_a_worker_claims(
    client: TestClient,
    engine: Engine,
    place: JobPlace,
    selector: dict[str, Any],
    broker_url: str,
) -> None:
    dataset_id = _add(place)
    response = _score(client, selector, dataset_id)
    assert response.status_code == 202, response.text
    job = response.json()
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["method"], job["selector_id"]) == ("selector", selector["id"])
    assert (job["synthetic_id"], job["reference_id"]) == (dataset_id, None)
    # Rings of earlier tests lie before it in the queue.
    while rung_ids(broker_url, "train", count=1) != [job["id"]]:
        pass
    with unit_of_work(engine) as session:
        claim = claim_job(session, JobId(job["id"]), runner="test", lease_seconds=60)
    assert claim is not None
    assert str(claim.selector_id) == selector["id"]


def test_same_key_scores_once(
    client: TestClient, place: JobPlace, selector: dict[str, Any]
) -> None:
    body = {"dataset_id": _add(place)}
    path = f"/v1/selectors/{selector['id']}/scores"
    headers = {"Idempotency-Key": "once"}
    first, second = (client.post(path, json=body, headers=headers) for _ in range(2))
    assert first.json()["id"] == second.json()["id"]
    other = client.post(path, json={"dataset_id": _add(place)}, headers=headers)
    assert other.json()["reason"] == "IDEMPOTENCY_KEY_REUSED"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"class_names": ("ant", "wasp")}, "CLASSES_UNKNOWN"),
        ({"dimension": 5}, "SHAPES_DIFFER"),
        ({"role": Role.REFERENCE}, "WRONG_ROLE"),
    ],
)
def test_dataset_that_does_not_fit_is_refused(
    client: TestClient,
    place: JobPlace,
    selector: dict[str, Any],
    changes: dict[str, Any],
    reason: str,
) -> None:
    response = _score(client, selector, _add(place, **changes))
    assert response.status_code == 422
    problem = response.json()
    assert (problem["reason"], problem["field"]) == (reason, "dataset_id")
    assert problem["cure"]


def test_texts_are_no_samples_for_a_selector_of_embeddings(
    client: TestClient, place: JobPlace, selector: dict[str, Any]
) -> None:
    response = _score(client, selector, add_texts(place, Role.SYNTHETIC, make_texts(12)))
    assert response.status_code == 422
    assert response.json()["reason"] == "MODALITY_DIFFERS"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"city": "Rome"}, None),
        ({"city": "Rome", "height": 1.0}, "COLUMNS_DIFFER"),
        ({"city": 4.0}, "COLUMN_KINDS_DIFFER"),
    ],
)
def test_tables_are_scored_where_their_columns_agree(
    client: TestClient,
    place: JobPlace,
    selector: dict[str, Any],
    changes: dict[str, object],
    reason: str | None,
) -> None:
    taught = make_rows(12, seed=0)
    with unit_of_work(place.engine) as session:
        row = session.get_one(Selector, UUID(selector["id"]))
        row.modality = Modality.TABULAR
        row.feature_columns = columns_to_json(
            [FeatureColumn(name, kind) for name, kind in taught.kinds.items()]
        )
    columns = {"age": taught.columns["age"], **{name: [own] * 12 for name, own in changes.items()}}
    kinds = {
        name: ColumnKind.CATEGORY if isinstance(own[0], str) else ColumnKind.NUMBER
        for name, own in columns.items()
    }
    dataset_id = add_rows(place, Role.SYNTHETIC, Rows(columns, taught.labels, kinds))
    response = _score(client, selector, dataset_id)
    if reason is None:
        assert response.status_code == 202, response.text
    else:
        assert (response.status_code, response.json()["reason"]) == (422, reason)
        assert response.json()["field"] == "dataset_id"


def test_selector_is_no_method_of_a_job(client: TestClient, job_body: dict[str, object]) -> None:
    response = client.post("/v1/jobs", json={**job_body, "method": "selector"})
    assert (response.status_code, response.json()["reason"]) == (422, "UNKNOWN_METHOD")


def test_selector_outlives_its_job_and_its_datasets(
    client: TestClient, place: JobPlace, selector: dict[str, Any], sets: Sets
) -> None:
    assert client.delete(f"/v1/jobs/{selector['job_id']}").status_code == 204
    assert client.delete(f"/v1/datasets/{sets.reference_id}").status_code == 204
    found = client.get(f"/v1/selectors/{selector['id']}").json()
    assert found == {**selector, "job_id": None}
    assert _score(client, selector, _add(place)).status_code == 202


def test_deletion_waits_for_the_jobs_that_score_by_it(
    client: TestClient,
    place: JobPlace,
    object_store: LocalObjectStore,
    selector: dict[str, Any],
) -> None:
    job = _score(client, selector, _add(place)).json()
    path = f"/v1/selectors/{selector['id']}"
    refused = client.delete(path)
    assert (refused.status_code, refused.json()["reason"]) == (409, "SELECTOR_IN_USE")
    client.post(f"/v1/jobs/{job['id']}:cancel")
    assert client.delete(f"/v1/jobs/{job['id']}").status_code == 204
    before = set(object_store.list_digests())
    assert client.delete(path).status_code == 204
    assert client.get(path).json()["reason"] == "SELECTOR_NOT_FOUND"
    assert len(before - set(object_store.list_digests())) == 1
