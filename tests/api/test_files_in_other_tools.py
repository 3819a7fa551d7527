"""What a user downloads, opened with the tools that it is for, in the versions that are about."""

import importlib.metadata
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest
from callers import POOL_SIZE, Finished, served
from fastapi import FastAPI
from fastapi.testclient import TestClient
from image_rows import CLASSES, image_rows

from curation.manifest_archives import open_archive
from curation.manifest_formats import ManifestFormat
from winnow.client import Client
from winnow.errors import ApiError, InputError
from winnow.resources import JobId

# Reads the folder, its files by name, and prints what it found; run by each version of `datasets`.
READER = """
import json, sys
import datasets
folder = sys.argv[1]
label = lambda loaded: loaded.features["label"].names
weighted = datasets.load_dataset(folder, "weighted", split="train")
kept = datasets.load_dataset(folder, "kept", split="train")
images = datasets.load_dataset(
    "imagefolder", data_files=f"{folder}/kept.imagefolder.zip", split="train"
)
plain = datasets.load_dataset("parquet", data_files=f"{folder}/manifest.parquet", split="train")
print(json.dumps({
    "version": datasets.__version__,
    "weighted": len(weighted),
    "kept": len(kept),
    "names": [label(weighted), label(kept), label(plain)],
    "weights": plain["weight"][:],
    "images": [[row["label"], row["image"].size] for row in images],
    "first": weighted.features["label"].int2str(weighted[0]["label"]),
}))
"""
# The newest release of the major version before the one that the tests are installed with.
MAJOR = int(importlib.metadata.version("datasets").split(".")[0])


@pytest.fixture
def caller(app: FastAPI, key: str) -> Client:
    """The Python client of a service that is up."""
    with served(app) as address, Client(address, key) as client:
        yield client


@pytest.fixture
def folder(caller: Client, finished: Finished, tmp_path: Path) -> Path:
    """All results of a job, as `winnow download` writes them, and an archive of images."""
    job = caller.get_job(JobId(finished.job_id))
    folder = caller.write_results(job, tmp_path / "out").folder
    path = folder / "kept.imagefolder.zip"
    with open_archive(path, ManifestFormat.IMAGEFOLDER, CLASSES) as archive:
        archive.write(image_rows(4))
    return folder


def read_with(python: Path | str, folder: Path, cache: Path) -> dict[str, object]:
    done = subprocess.run(
        [python, "-c", READER, str(folder)],
        env={**os.environ, "HF_HOME": str(cache), "HF_HUB_OFFLINE": "1", "PYTHONPATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def check(found: dict[str, object], finished: Finished, *, major: int) -> None:
    assert str(found["version"]).startswith(f"{major}.")
    assert found["weighted"] == POOL_SIZE
    assert found["kept"] == finished.rows.keep.sum()
    assert found["names"] == [["ant", "bee"]] * 3
    assert found["first"] == "ant"
    assert found["images"] == [[name, [8, 8]] for name in ("ant", "bee", "ant", "bee")]
    assert np.array_equal(np.float32(found["weights"]), finished.rows.weights)


def test_this_version_of_datasets_reads_folder_and_files(
    folder: Path, finished: Finished, tmp_path: Path
) -> None:
    check(read_with(sys.executable, folder, tmp_path / "hf"), finished, major=MAJOR)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_major_version_before_reads_them_too(
    folder: Path, finished: Finished, tmp_path: Path
) -> None:
    home = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", home], check=True)
    python = home / "bin" / "python"
    # What is installed here lies in pip's cache, so the download is small.
    same = [f"{name}=={importlib.metadata.version(name)}" for name in ("pyarrow", "pandas")]
    command = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries=1"]
    installed = subprocess.run(
        [python, *command, f"datasets=={MAJOR - 1}.*", *same, "pillow"],
        capture_output=True,
        text=True,
        check=False,
    )
    if installed.returncode and not packages_are_reachable():
        pytest.skip(f"no package index answers: {installed.stderr.splitlines()[-1]}")
    assert installed.returncode == 0, installed.stderr
    check(read_with(python, folder, tmp_path / "hf"), finished, major=MAJOR - 1)


def packages_are_reachable() -> bool:
    """Return whether the index that pip is set to answers at all."""
    asked = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
    )
    index = asked.stdout.strip() or "https://pypi.org/simple"
    try:
        with urlopen(f"{index.rstrip('/')}/datasets/", timeout=10):  # noqa: S310 - pip's own index.
            return True
    except (URLError, TimeoutError):
        return False


def test_tables_read_alike_in_pandas_polars_and_pyarrow(
    caller: Client, finished: Finished, tmp_path: Path
) -> None:
    job_id = JobId(finished.job_id)
    for ending in ("parquet", "csv", "jsonl"):
        caller.download_manifest(job_id, tmp_path / f"manifest.{ending}")
    arrow = pq.read_table(tmp_path / "manifest.parquet")
    frames = [
        pd.read_parquet(tmp_path / "manifest.parquet"),
        pd.read_csv(tmp_path / "manifest.csv"),
        pd.read_json(tmp_path / "manifest.jsonl", lines=True),
        pl.read_parquet(tmp_path / "manifest.parquet"),
        pl.read_csv(tmp_path / "manifest.csv"),
        pl.read_ndjson(tmp_path / "manifest.jsonl"),
    ]
    for frame in frames:
        assert list(frame["sample_id"]) == arrow.column("sample_id").to_pylist()
        assert list(frame["keep"]) == arrow.column("keep").to_pylist()
        assert list(frame["label"]) == arrow.column("label").to_pylist()
        assert np.array_equal(np.float32(frame["weight"]), arrow.column("weight").to_numpy())


def test_ids_load_without_pickle(caller: Client, finished: Finished, tmp_path: Path) -> None:
    caller.download_manifest(JobId(finished.job_id), tmp_path / "kept.npy")
    ids = np.load(tmp_path / "kept.npy", allow_pickle=False)
    kept = np.flatnonzero(finished.rows.keep)
    assert ids.tolist() == [finished.rows.sample_ids[position] for position in kept]
    caller.download_manifest(JobId(finished.job_id), tmp_path / "all.npy", is_kept_only=False)
    assert np.load(tmp_path / "all.npy").tolist() == list(finished.rows.sample_ids)


def test_formats_that_hold_images_are_refused_for_other_samples(
    caller: Client, finished: Finished, tmp_path: Path
) -> None:
    for ending in ("imagefolder.zip", "webdataset.zip", "fiftyone.zip"):
        with pytest.raises(ApiError) as refusal:
            caller.download_manifest(JobId(finished.job_id), tmp_path / f"kept.{ending}")
        assert refusal.value.problem.status == 422
        assert refusal.value.problem.reason == "IMAGES_NEEDED"
    assert list(tmp_path.iterdir()) == []


def test_unknown_ending_is_refused_before_the_service_is_asked(
    caller: Client, finished: Finished, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="has to end in"):
        caller.download_manifest(JobId(finished.job_id), tmp_path / "kept.zip")


@pytest.mark.parametrize(
    ("file_format", "name", "media_type"),
    [
        ("npy", "kept.npy", "application/octet-stream"),
        ("croissant", "croissant.json", "application/ld+json"),
    ],
)
def test_file_says_its_name_and_type(
    client: TestClient, finished: Finished, file_format: str, name: str, media_type: str
) -> None:
    response = client.get(f"/v1/jobs/{finished.job_id}/manifest", params={"format": file_format})
    assert response.status_code == 200, response.text
    assert f'"{name}"' in response.headers["content-disposition"]
    assert response.headers["content-type"] == media_type
