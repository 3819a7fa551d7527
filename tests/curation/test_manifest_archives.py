"""Archives of images, read back by the tools that they are for, whatever the user calls things."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import jsonschema
import numpy as np
import pytest
from image_rows import CLASSES as PLAIN_CLASSES
from image_rows import image_rows
from PIL import Image
from sample_world import World, result_rows
from sqlalchemy import update
from uploads import image, jsonl, zipped

from curation.database import unit_of_work
from curation.errors import InvalidInputError
from curation.identifiers import DatasetId, JobId, SelectionId
from curation.manifest_archives import class_folders, open_archive
from curation.manifest_formats import MANIFEST_FORMATS, ManifestFormat
from curation.manifest_rows import ImageRows, ManifestRows, ManifestSource
from curation.manifests import ManifestRequest, write_manifest
from curation.models import Dataset, Job
from curation.sample_files import ROW_GROUP_ROWS
from curation.selections import TopCount, create_selection
from curation.validation import Refusal, Validation

COUNT = 24
KEPT = 9
# A class for which no folder may be made, two that Windows takes for one, and plain ones.
CLASSES = ["../../etc", "Cat", "NUL", "cat", "class-2", "grüne Äpfel"]
FORMATS = [("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp")]
ARCHIVES = [kind for kind, facts in MANIFEST_FORMATS.items() if facts.holds_images]
Maker = Callable[..., DatasetId]


def listed() -> list[dict[str, Any]]:
    """What the list of the upload says of each image; its own columns mean ill too."""
    return [
        {
            "file_name": f"images/a.b.{index}.{FORMATS[index % 3][1]}",
            "label": CLASSES[index % len(CLASSES)],
            "id": f"../../../../tmp/{index}.tar.gz",
            "mask_file_name": "/etc/passwd",
            "image": f"own {index}",
            "score": index,
        }
        for index in range(COUNT)
    ]


def content(index: int) -> bytes:
    return image(index, file_format=FORMATS[index % 3][0])


@pytest.fixture
def images(world: World, ready_dataset: Maker) -> JobId:
    """A finished job over images of three formats, in classes and with ids that mean ill."""
    rows = listed()
    files = {row["file_name"]: content(index) for index, row in enumerate(rows)}
    pool = ready_dataset(zipped({"metadata.jsonl": jsonl(rows), **files}), "a.zip")
    order = np.random.default_rng(1).permutation(COUNT)
    scores = np.float32((COUNT - order) / COUNT)
    job_id = world.finished_job(
        result_rows(
            COUNT,
            sample_ids=[row["id"] for row in rows],
            labels=np.array([sorted(CLASSES).index(row["label"]) for row in rows]),
            scores=scores,
            weights=scores / scores.mean(),
            ranks=order,
            keep=order < KEPT,
        )
    )
    with unit_of_work(world.engine) as session:
        session.execute(update(Job).where(Job.id == job_id).values(synthetic_id=pool))
    return job_id


def write(world: World, job_id: JobId, path: Path, kind: ManifestFormat, **changes: Any) -> int:
    request = ManifestRequest(workspace_id=world.workspace, job_id=job_id, format=kind, **changes)
    return write_manifest(world.engine, world.store, request, path)


@pytest.fixture
def expected(world: World, images: JobId, tmp_path: Path) -> dict[str, dict[str, Any]]:
    """The manifest's rows by sample_id."""
    path = tmp_path / "expected.jsonl"
    write(world, images, path, ManifestFormat.JSONL)
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return {row["sample_id"]: row for row in rows}


def unzipped(path: Path) -> Path:
    folder = path.with_suffix("")
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        archive.extractall(folder)  # noqa: S202 - Made by the code under test, a moment ago.
    return folder


def pixels(picture: Any) -> np.ndarray:
    return np.asarray(picture.convert("RGB"))


def position_of(sample_id: str) -> int:
    return int(PurePosixPath(sample_id).name.split(".")[0])


@pytest.mark.parametrize("kind", ARCHIVES)
def test_names_inside_stay_inside_and_differ_everywhere(
    world: World, images: JobId, tmp_path: Path, kind: ManifestFormat
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    path = folder / "a.zip"
    assert write(world, images, path, kind) == KEPT
    assert list(folder.iterdir()) == [path]
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        modes = {info.external_attr >> 16 for info in archive.infolist()}
    for name in names:
        parts = PurePosixPath(name).parts
        assert not name.startswith("/")
        assert "\\" not in name
        assert not {"..", "NUL", "."} & set(parts)
    assert len({name.lower() for name in names}) == len(names)
    assert modes == {0o100644}


@pytest.mark.parametrize("kind", [*ARCHIVES, ManifestFormat.NPY, ManifestFormat.CROISSANT])
def test_same_samples_make_the_same_bytes(
    world: World, images: JobId, tmp_path: Path, kind: ManifestFormat
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for path in (first, second):
        write(world, images, path, kind)
    assert first.read_bytes() == second.read_bytes()


def test_dropped_samples_come_along_where_they_are_asked_for(
    world: World, images: JobId, tmp_path: Path
) -> None:
    path = tmp_path / "a.zip"
    assert write(world, images, path, ManifestFormat.FIFTYONE, kept_only=False) == COUNT
    labels = json.loads((unzipped(path) / "labels.json").read_text("utf-8"))["labels"]
    assert sum(target["attributes"]["keep"] for target in labels.values()) == KEPT


def test_selection_decides_which_images_come(
    world: World, images: JobId, tmp_path: Path, expected: dict[str, dict[str, Any]]
) -> None:
    with unit_of_work(world.engine) as session:
        row = create_selection(
            session,
            workspace_id=world.workspace,
            job_id=images,
            name="four",
            rule=TopCount(4),
            now=world.now,
        )
        selection_id = SelectionId(row.id)
    path = tmp_path / "ids"
    assert write(world, images, path, ManifestFormat.NPY, selection_id=selection_id) == 4
    with path.open("rb") as file:
        ids = np.load(file, allow_pickle=False)
    assert {expected[name]["rank"] for name in ids} == {0, 1, 2, 3}
    archive = tmp_path / "a.zip"
    assert write(world, images, archive, ManifestFormat.IMAGEFOLDER, selection_id=selection_id) == 4


def test_datasets_loads_the_image_folder(
    world: World,
    images: JobId,
    tmp_path: Path,
    expected: dict[str, dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets  # noqa: PLC0415 - it looks at the environment when it is imported.

    path = tmp_path / "kept.imagefolder.zip"
    write(world, images, path, ManifestFormat.IMAGEFOLDER)
    loaded = datasets.load_dataset(
        "imagefolder", data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert len(loaded) == KEPT
    for row in loaded:
        known = expected[row["sample_id"]]
        index = position_of(row["sample_id"])
        assert np.array_equal(pixels(row["image"]), pixels(Image.open(io.BytesIO(content(index)))))
        assert row["label"] == known["label_name"]
        assert row["weight"] == pytest.approx(known["weight"], rel=1e-7)
        assert row["source_path"] == known["file_name"]
        assert row["image_"] == f"own {index}"
        assert row["mask_file_name_"] == "/etc/passwd"
        assert row["original_score"] == index


def test_image_folder_may_be_uploaded_again(
    world: World, images: JobId, tmp_path: Path, validate: Callable[..., Validation | Refusal]
) -> None:
    path = tmp_path / "a.zip"
    write(world, images, path, ManifestFormat.IMAGEFOLDER, kept_only=False)
    outcome = validate(path.read_bytes(), "kept.zip", id_column="sample_id")
    assert isinstance(outcome, Validation), outcome
    assert outcome.sample_count == COUNT
    assert sorted(outcome.class_names) == sorted(CLASSES)
    assert not outcome.rejections


def test_webdataset_reads_the_shards(
    world: World, images: JobId, tmp_path: Path, expected: dict[str, dict[str, Any]]
) -> None:
    import webdataset  # noqa: PLC0415 - it takes a second, which other tests need not wait for.

    path = tmp_path / "a.zip"
    write(world, images, path, ManifestFormat.WEBDATASET)
    folder = unzipped(path)
    names = json.loads((folder / "classes.json").read_text("utf-8"))
    samples = list(
        webdataset.WebDataset(str(folder / "shard-000000.tar"), shardshuffle=False).decode("pil")
    )
    assert len(samples) == KEPT
    for sample in samples:
        known = expected[sample["json"]["sample_id"]]
        index = position_of(known["sample_id"])
        assert sample["__key__"] == f"{index:08}"
        assert names[sample["cls"]] == known["label_name"] == sample["json"]["label_name"]
        assert sample["json"] == known
        kind = FORMATS[index % 3][1]
        assert np.array_equal(pixels(sample[kind]), pixels(Image.open(io.BytesIO(content(index)))))


def test_webdataset_begins_a_shard_when_one_is_full(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with open_archive(path, ManifestFormat.WEBDATASET, PLAIN_CLASSES, shard_samples=4) as archive:
        archive.write(image_rows(10))
    folder = unzipped(path)
    keys = []
    for number in range(3):
        with tarfile.open(folder / f"shard-{number:06}.tar") as shard:
            keys.append(sorted({name.partition(".")[0] for name in shard.getnames()}))
    assert [len(part) for part in keys] == [4, 4, 2]
    assert [key for part in keys for key in part] == [f"{index:08}" for index in range(10)]
    assert len(list(folder.glob("shard-*.tar"))) == 3


def test_datasets_loads_shards_of_one_image_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    import datasets  # noqa: PLC0415 - it looks at the environment when it is imported.

    path = tmp_path / "a.zip"
    with open_archive(path, ManifestFormat.WEBDATASET, PLAIN_CLASSES, shard_samples=4) as archive:
        archive.write(image_rows(10))
    loaded = datasets.load_dataset(
        "webdataset",
        data_files=str(unzipped(path) / "shard-*.tar"),
        split="train",
        cache_dir=str(tmp_path / "cache"),
    )
    assert sorted(row["json"]["rank"] for row in loaded) == list(range(10))
    assert {row["cls"] for row in loaded} == {0, 1}


def test_broken_archive_leaves_its_error_alone(tmp_path: Path) -> None:
    rows = image_rows(2)
    short = ImageRows(rows.positions, rows.rows, rows.images.slice(1))
    with (
        pytest.raises(ValueError, match="shorter"),
        open_archive(tmp_path / "a.zip", ManifestFormat.WEBDATASET, PLAIN_CLASSES) as archive,
    ):
        archive.write(short)


# The layout as FiftyOne's user guide describes it for FiftyOneImageClassificationDataset: a class
# index where `classes` is given, beside optional confidence and attributes.
FIFTYONE_LABELS = {
    "type": "object",
    "required": ["labels"],
    "additionalProperties": False,
    "properties": {
        "classes": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "labels": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["label"],
                "additionalProperties": False,
                "properties": {
                    "label": {"type": "integer", "minimum": 0},
                    "confidence": {"type": "number"},
                    "attributes": {
                        "type": "object",
                        "additionalProperties": {"type": ["string", "number", "boolean", "null"]},
                    },
                },
            },
        },
    },
}


def test_fiftyone_finds_its_documented_layout(
    world: World, images: JobId, tmp_path: Path, expected: dict[str, dict[str, Any]]
) -> None:
    path = tmp_path / "a.zip"
    write(world, images, path, ManifestFormat.FIFTYONE)
    folder = unzipped(path)
    labels = json.loads((folder / "labels.json").read_text("utf-8"))
    jsonschema.validate(labels, FIFTYONE_LABELS)
    files = {file.stem: file for file in (folder / "data").iterdir()}
    assert sorted(file.name for file in folder.iterdir()) == ["data", "labels.json"]
    assert files.keys() == labels["labels"].keys()
    assert len(files) == KEPT
    for key, target in labels["labels"].items():
        known = expected[target["attributes"]["sample_id"]]
        assert labels["classes"][target["label"]] == known["label_name"]
        assert target["attributes"]["weight"] == known["weight"]
        assert files[key].read_bytes() == content(position_of(known["sample_id"]))


def test_images_come_a_row_group_at_a_time(world: World, ready_dataset: Maker) -> None:
    """So memory is bounded by a row group, whatever the pool; weights come in larger batches."""
    count = ROW_GROUP_ROWS + 6
    same = image(0)
    pool = ready_dataset(zipped({f"{'ab'[n % 2]}/{n}.png": same for n in range(count)}), "a.zip")
    job_id = world.finished_job(
        result_rows(count, keep=np.arange(count) == count - 1, labels=np.arange(count) % 2)
    )
    with unit_of_work(world.engine) as session:
        digest = session.get_one(Dataset, pool).samples_digest
    assert digest is not None
    source = ManifestSource(job_id, digest, ["a", "b"], None)
    with ManifestRows.opened(world.engine, world.store, source) as rows:
        whole = [len(batch.images) for batch in rows.image_batches(kept_only=False)]
    assert whole == [ROW_GROUP_ROWS, 6]
    with ManifestRows.opened(world.engine, world.store, source) as rows:
        kept = [batch.positions.tolist() for batch in rows.image_batches(kept_only=True)]
    assert kept == [[], [count - 1]]


@pytest.mark.parametrize("kind", ARCHIVES)
def test_samples_that_are_no_images_are_refused(
    world: World, tmp_path: Path, kind: ManifestFormat
) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        write(world, world.finished_job(), tmp_path / "a.zip", kind)
    assert refusal.value.reason == "IMAGES_NEEDED"
    assert refusal.value.field == "format"


def test_class_folders_are_plain_and_no_two_alike() -> None:
    folders = class_folders(["a", "A", "..", "con", "x/y", "b ", "Lpt1.txt", "class-0", "ö 1"])
    assert folders == ["a", *(f"class-{label}" for label in range(1, 8)), "ö 1"]
