"""Samples are shown as what they are: pictures, texts and table rows, by their positions."""

import io
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from callers import Sets
from fastapi.testclient import TestClient
from PIL import Image
from sqlalchemy import Engine

from curation.clock import utc_now
from curation.identifiers import DatasetId, WorkspaceId
from curation.ingest import validate_and_record
from curation.objects import LocalObjectStore
from curation.settings import CurationSettings

Upload = Callable[[str, bytes], str]


@pytest.fixture
def upload(
    client: TestClient,
    engine: Engine,
    object_store: LocalObjectStore,
    workspace: WorkspaceId,  # noqa: ARG001 - The dataset lies in it.
    settings: CurationSettings,
) -> Upload:
    """Create a dataset, fill it and validate it as a worker does; return its path."""

    def run(file_name: str, content: bytes) -> str:
        created = client.post("/v1/datasets", json={"name": "a", "role": "synthetic"}).json()
        path = f"/v1/datasets/{created['id']}"
        response = client.put(f"{path}/content", params={"file_name": file_name}, content=content)
        assert response.status_code == 202, response.text
        dataset_id = DatasetId(created["id"])
        assert validate_and_record(engine, object_store, dataset_id, settings, utc_now())
        assert client.get(path).json()["state"] == "ready"
        return path

    return run


def image_archive(side: int) -> bytes:
    generator = np.random.default_rng(side)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name in ("ant", "bee"):
            for index in range(2):
                picture = io.BytesIO()
                noise = generator.integers(0, 255, (side, side, 3), dtype=np.uint8)
                Image.fromarray(noise).save(picture, "PNG")
                archive.writestr(f"{name}/{index}.png", picture.getvalue())
    return written.getvalue()


def test_texts_are_shown_in_the_order_asked_for(client: TestClient, upload: Upload) -> None:
    lines = ["text,label,mood", "first words,ant,3", "second words,bee,4", "third words,ant,5"]
    path = upload("texts.csv", "\n".join(lines).encode())
    items = client.get(f"{path}/samples", params={"position": [2, 0, 99]}).json()["items"]
    assert [item["text"] for item in items] == ["third words", "first words"]
    assert [item["class_name"] for item in items] == ["ant", "ant"]
    assert [item["fields"]["mood"] for item in items] == [5, 3]
    assert not items[0]["has_image"]
    response = client.get(f"{path}/samples/0/thumbnail")
    assert (response.status_code, response.json()["reason"]) == (404, "NO_THUMBNAIL")


def test_table_rows_are_shown_with_their_columns(client: TestClient, upload: Upload) -> None:
    path = upload("rows.csv", b"age,town,label\n41,Ulm,ant\n,Bonn,bee\n")
    items = client.get(f"{path}/samples", params={"position": [0, 1]}).json()["items"]
    assert [item["fields"] for item in items] == [
        {"age": 41, "town": "Ulm"},
        {"age": None, "town": "Bonn"},
    ]


def test_large_images_have_small_pictures(client: TestClient, upload: Upload) -> None:
    path = upload("images.zip", image_archive(300))
    response = client.get(f"{path}/samples/3/thumbnail")
    assert response.headers["content-type"] == "image/webp"
    assert "immutable" in response.headers["cache-control"]
    with Image.open(io.BytesIO(response.content)) as picture:
        assert picture.size == (96, 96)
    again = client.get(
        f"{path}/samples/3/thumbnail", headers={"If-None-Match": response.headers["etag"]}
    )
    assert again.status_code == 304
    assert client.get(f"{path}/samples/4/thumbnail").json()["reason"] == "SAMPLE_NOT_FOUND"


def test_small_images_are_shown_as_they_are(client: TestClient, upload: Upload) -> None:
    content = image_archive(12)
    path = upload("images.zip", content)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        original = archive.read("bee/1.png")
    response = client.get(f"{path}/samples/3/thumbnail")
    assert response.headers["content-type"] == "image/png"
    assert response.content == original


def test_dataset_that_is_not_ready_shows_no_samples(client: TestClient) -> None:
    created = client.post("/v1/datasets", json={"name": "a", "role": "synthetic"}).json()
    response = client.get(f"/v1/datasets/{created['id']}/samples", params={"position": 0})
    assert (response.status_code, response.json()["reason"]) == (409, "SAMPLES_NOT_READY")


def test_embeddings_are_shown_by_name(client: TestClient, sets: Sets) -> None:
    path = f"/v1/datasets/{sets.synthetic_id}/samples"
    items = client.get(path, params={"position": 1}).json()["items"]
    assert [(item["sample_id"], item["text"]) for item in items] == [("synthetic/1", None)]
