"""The Croissant description, validated and read by the format's own library."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sample_world import World, result_rows
from sqlalchemy import update
from uploads import jsonl

from curation.database import unit_of_work
from curation.identifiers import DatasetId, JobId
from curation.manifest_formats import ManifestFormat
from curation.manifests import ManifestRequest, write_manifest
from curation.models import Job

COUNT = 12
KEPT = 5
Maker = Callable[..., DatasetId]


@pytest.fixture
def texts(world: World, ready_dataset: Maker) -> JobId:
    """A finished job over texts, whose own columns have names that are no identifiers."""
    rows = [
        {
            "text": f"text {index}",
            "label": ["good", 'so "so"'][index % 2],
            "id": f"id/{index}",
            "@id": f"own {index}",
            "a b/é": index / 4,
            "is_long": index > 6,
        }
        for index in range(COUNT)
    ]
    pool = ready_dataset(jsonl(rows), "texts.jsonl")
    ranks = np.arange(COUNT)[::-1].copy()
    job_id = world.finished_job(
        result_rows(
            COUNT,
            sample_ids=[row["id"] for row in rows],
            labels=np.arange(COUNT) % 2,
            ranks=ranks,
            keep=ranks < KEPT,
        )
    )
    with unit_of_work(world.engine) as session:
        session.execute(update(Job).where(Job.id == job_id).values(synthetic_id=pool))
    return job_id


@pytest.fixture
def folder(world: World, texts: JobId, tmp_path: Path) -> Path:
    """The description beside what it describes."""
    folder = tmp_path / "out"
    folder.mkdir()
    for name, kind, kept_only in (
        ("manifest.parquet", ManifestFormat.PARQUET, False),
        ("kept.parquet", ManifestFormat.PARQUET, True),
        ("croissant.json", ManifestFormat.CROISSANT, None),
    ):
        request = ManifestRequest(
            workspace_id=world.workspace, job_id=texts, format=kind, kept_only=kept_only
        )
        write_manifest(world.engine, world.store, request, folder / name)
    return folder


def described(folder: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / "croissant.json").read_text("utf-8"))
    return document


def test_description_names_the_files_by_their_digests(folder: Path) -> None:
    for entry in described(folder)["distribution"]:
        content = (folder / entry["contentUrl"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["contentSize"] == f"{len(content)} B"


def test_mlcroissant_finds_no_fault_and_reads_every_record(folder: Path) -> None:
    import mlcroissant  # noqa: PLC0415 - it takes seconds, which other tests need not wait for.

    dataset = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
    assert not dataset.metadata.ctx.issues.errors
    for name, file_name, count in (
        ("weighted", "manifest.parquet", COUNT),
        ("kept", "kept.parquet", KEPT),
    ):
        expected = pq.read_table(folder / file_name).to_pylist()
        records = list(dataset.records(name))
        assert len(records) == len(expected) == count
        for record, row in zip(records, expected, strict=True):
            assert record[f"{name}/sample_id"].decode() == row["sample_id"]
            assert record[f"{name}/weight"] == pytest.approx(row["weight"])
            assert record[f"{name}/label"] == row["label"]
            assert record[f"{name}/keep"] == row["keep"]
            own = {key: value for key, value in record.items() if "column-" in key}
            assert sorted(map(str, own.values())) == sorted(
                [str(row["@id"].encode()), str(row["a b/é"])]
            )
    names = {row["classes/label"]: row["classes/name"] for row in dataset.records("classes")}
    assert names == {0: "good", 1: 'so "so"'}


def test_kept_only_describes_the_kept_rows_alone(
    world: World, texts: JobId, tmp_path: Path
) -> None:
    path = tmp_path / "croissant.json"
    request = ManifestRequest(
        workspace_id=world.workspace,
        job_id=texts,
        format=ManifestFormat.CROISSANT,
        kept_only=True,
    )
    write_manifest(world.engine, world.store, request, path)
    files = [entry["name"] for entry in described(tmp_path)["distribution"]]
    assert files == ["kept.parquet"]
