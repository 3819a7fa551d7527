"""Manifests: what the service knows about each sample, read back by other people's tools."""

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sample_world import World, result_rows
from sqlalchemy import update
from uploads import class_folders, jsonl, zipped

from curation.csv_lines import csv_id, csv_text
from curation.database import unit_of_work
from curation.errors import ConflictError, NotFoundError
from curation.identifiers import DatasetId, JobId, SelectionId, new_id
from curation.manifest_formats import ManifestFormat
from curation.manifests import ManifestRequest, manifest_object, write_manifest
from curation.models import Job, JobObject
from curation.selections import TopCount, create_selection

COUNT = 3_000
Maker = Callable[..., DatasetId]


def write(world: World, job_id: JobId, path: Path, **changes: Any) -> int:
    options = {"format": ManifestFormat.PARQUET, **changes}
    request = ManifestRequest(workspace_id=world.workspace, job_id=job_id, **options)
    return write_manifest(world.engine, world.store, request, path)


@pytest.fixture
def texts(world: World, ready_dataset: Maker) -> JobId:
    """A finished job over a table with columns of the user's own, longer than a row group.

    Jobs do not run on texts yet, so the pool is put under a finished job by hand.
    """
    rows = [
        {
            "text": f"=sum({index})" if index % 2 else f"text {index}",
            "label": ["good", "bad"][index % 2],
            "id": f"{index:05}",
            "stars": index % 5,
            "score": f"own {index}",
            "tags": ["a", "b"],
        }
        for index in range(COUNT)
    ]
    pool = ready_dataset(jsonl(rows), "texts.jsonl")
    ranks = np.random.default_rng(0).permutation(COUNT)
    job_id = world.finished_job(
        result_rows(
            COUNT,
            sample_ids=[row["id"] for row in rows],
            labels=np.array([1 - index % 2 for index in range(COUNT)]),
            scores=np.float32((COUNT - ranks) / COUNT),
            weights=np.float32((COUNT - ranks) / COUNT * 2),
            ranks=ranks,
            keep=ranks < 100,
        )
    )
    put_under_job(world, job_id, pool)
    return job_id


def put_under_job(world: World, job_id: JobId, pool: DatasetId) -> None:
    with unit_of_work(world.engine) as session:
        session.execute(update(Job).where(Job.id == job_id).values(synthetic_id=pool))


def test_parquet_has_the_columns_in_their_order_and_types(
    world: World, texts: JobId, tmp_path: Path
) -> None:
    assert write(world, texts, tmp_path / "m.parquet") == COUNT
    file = pq.ParquetFile(tmp_path / "m.parquet")
    schema = file.schema_arrow
    assert schema.names == [
        *("sample_id", "file_name", "label", "score", "weight", "keep", "rank"),
        *("text", "stars", "original_score", "tags"),
    ]
    assert [schema.field(name).type for name in schema.names[:7]] == [
        *(pa.string(), pa.string(), pa.int64(), pa.float32(), pa.float32(), pa.bool_()),
        pa.int64(),
    ]
    assert all(field.nullable for field in schema)
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"


def test_rows_are_those_of_the_job_and_of_the_user(
    world: World, texts: JobId, tmp_path: Path
) -> None:
    write(world, texts, tmp_path / "m.parquet")
    frame = pd.read_parquet(tmp_path / "m.parquet")
    assert frame["sample_id"].tolist() == [f"{index:05}" for index in range(COUNT)]
    assert sorted(frame["rank"]) == list(range(COUNT))
    assert frame.sort_values("rank")["score"].is_monotonic_decreasing
    assert frame["keep"].sum() == 100
    assert frame["original_score"].tolist() == [f"own {index}" for index in range(COUNT)]
    assert frame["stars"].tolist() == [index % 5 for index in range(COUNT)]
    assert json.loads(frame["tags"][0]) == ["a", "b"]
    assert frame["file_name"].isna().all()


def test_datasets_reads_the_class_names(
    world: World, texts: JobId, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It looks at the environment when it is imported.
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets  # noqa: PLC0415

    write(world, texts, tmp_path / "manifest.parquet")
    write(world, texts, tmp_path / "kept.parquet", kept_only=True)
    files = {name: str(tmp_path / f"{name}.parquet") for name in ("manifest", "kept")}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    label = loaded["manifest"].features["label"]
    assert isinstance(label, datasets.ClassLabel)
    assert label.names == ["bad", "good"]
    assert {type(value) for value in loaded["manifest"].features.values()} == {
        datasets.ClassLabel,
        datasets.Value,
    }
    assert label.int2str(loaded["manifest"][0]["label"]) == "good"
    assert len(loaded["manifest"]) == COUNT
    assert len(loaded["kept"]) == 100
    assert all(loaded["kept"]["keep"])


def test_jsonl_rows_carry_the_weight_beside_the_users_fields(
    world: World, texts: JobId, tmp_path: Path
) -> None:
    path = tmp_path / "m.jsonl"
    assert write(world, texts, path, format=ManifestFormat.JSONL, kept_only=True) == 100
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    write(world, texts, tmp_path / "m.parquet", kept_only=True)
    expected = pq.read_table(tmp_path / "m.parquet").to_pylist()
    assert [row["text"] for row in rows] == [row["text"] for row in expected]
    assert {row["label_name"] for row in rows} <= {"good", "bad"}
    # The digits are those of float32, and read back as the same float32.
    for name in ("weight", "score"):
        assert np.array_equal(
            np.float32([row[name] for row in rows]), np.float32([row[name] for row in expected])
        )
    assert all(len(str(row["weight"])) <= 12 for row in rows)


def test_csv_keeps_ids_as_text_and_holds_no_formula(
    world: World, texts: JobId, tmp_path: Path
) -> None:
    path = tmp_path / "m.csv"
    assert write(world, texts, path, format=ManifestFormat.CSV) == COUNT
    frame = pd.read_csv(path)
    assert frame["sample_id"].tolist() == [f"id:{index:05}" for index in range(COUNT)]
    assert frame["label_name"].tolist()[:2] == ["good", "bad"]
    assert frame["text"][0] == "text 0"
    assert frame["text"][1] == "'=sum(1)"
    assert frame["keep"].dtype == bool
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    starts = {cell[:1] for row in rows for cell in row}
    assert not starts & {"=", "+", "@"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("007", "id:007"),
        ("1e5", "id:1e5"),
        ("-3.5", "id:-3.5"),
        ("NA", "id:NA"),
        ("", "id:"),
        ("True", "id:True"),
        ("cat/1.png", "cat/1.png"),
        ("=1+1", "'=1+1"),
        ("-x", "'-x"),
        ("12a", "12a"),
    ],
)
def test_id_is_never_a_bare_number(value: str, expected: str) -> None:
    assert csv_id(value) == expected
    frame = pd.read_csv(io.StringIO(f"id\n{csv_id(value)}\n"))
    assert frame["id"].tolist() == [expected]


@pytest.mark.parametrize(
    ("value", "expected"),
    [("=cmd", "'=cmd"), ("@x", "'@x"), ("\tx", "'\tx"), ("-1.5", "-1.5"), ("fine", "fine")],
)
def test_text_is_never_a_formula(value: str, expected: str) -> None:
    assert csv_text(value) == expected


def test_selection_decides_what_is_kept(world: World, tmp_path: Path) -> None:
    job_id = world.finished_job()
    with unit_of_work(world.engine) as session:
        selection = create_selection(
            session,
            workspace_id=world.workspace,
            job_id=job_id,
            name="three",
            rule=TopCount(3),
            now=world.now,
        )
        selection_id = SelectionId(selection.id)
    path = tmp_path / "m.parquet"
    assert write(world, job_id, path, selection_id=selection_id, kept_only=True) == 3
    assert sorted(pq.read_table(path).column("rank").to_pylist()) == [0, 1, 2]
    assert write(world, job_id, path, selection_id=selection_id) == 40
    assert sum(pq.read_table(path).column("keep").to_pylist()) == 3


def test_images_are_named_by_their_paths(
    world: World, ready_dataset: Maker, tmp_path: Path
) -> None:
    files = class_folders()
    pool = ready_dataset(zipped(files), "a.zip")
    rows = result_rows(4, sample_ids=list(files), labels=np.array([0, 0, 1, 1]))
    job_id = world.finished_job(rows)
    put_under_job(world, job_id, pool)
    write(world, job_id, tmp_path / "m.parquet")
    table = pq.read_table(tmp_path / "m.parquet")
    assert table.column("file_name").to_pylist() == list(files)
    assert "image" not in table.column_names


def test_manifest_is_rendered_once_and_kept_with_the_job(world: World) -> None:
    job_id = world.finished_job()
    request = ManifestRequest(
        workspace_id=world.workspace, job_id=job_id, format=ManifestFormat.PARQUET
    )
    first = manifest_object(world.engine, world.store, request)
    assert manifest_object(world.engine, world.store, request) == first
    with unit_of_work(world.engine) as session:
        assert session.get(JobObject, (job_id, "manifest:parquet:suggested:all")) is not None
    world.store.delete(first.digest)
    assert manifest_object(world.engine, world.store, request) == first
    assert world.store.exists(first.digest)


def test_manifest_of_an_unfinished_or_unknown_job_is_refused(world: World, tmp_path: Path) -> None:
    with pytest.raises(ConflictError):
        write(world, world.create_job(), tmp_path / "m.parquet")
    with pytest.raises(NotFoundError):
        write(world, JobId(new_id()), tmp_path / "m.parquet")
    with pytest.raises(NotFoundError):
        write(
            world,
            world.finished_job(),
            tmp_path / "m.parquet",
            selection_id=SelectionId(new_id()),
        )
