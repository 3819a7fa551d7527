"""The whole job by one command, through the real service, on embeddings small enough for a test."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyarrow.parquet as pq
import pytest

from winnow.exit_codes import ExitCode

REPOSITORY = Path(__file__).parents[2]
CLASSES = ("left", "right")
METHODS = {
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
QUICK = ("--config", "steps=30", "--config", "evaluation_seeds=2", "--config", "gsnr_every=0")

# The table takes most of it: its protocol does not shrink with the data.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def write_embeddings(path: Path, *, per_class: int, seed: int, noise_share: float = 0.0) -> Path:
    random = np.random.default_rng(seed)
    labels = np.repeat(np.arange(2), per_class)
    embeddings = random.normal(size=(2 * per_class, 6)) + np.where(labels, 2.0, -2.0)[:, None]
    is_noise = random.random(2 * per_class) < noise_share
    embeddings[is_noise] *= -1.0
    names = np.array(CLASSES)[labels]
    np.savez(path, x=embeddings.astype(np.float32), y=names)
    return path


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    # Unlike pytest's own folders it lets the user pass as whom PostgreSQL runs.
    with tempfile.TemporaryDirectory(prefix="winnow-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        write_embeddings(folder / "synthetic.npz", per_class=60, seed=0, noise_share=0.85)
        write_embeddings(folder / "reference.npz", per_class=8, seed=1)
        write_embeddings(folder / "test.npz", per_class=40, seed=2)
        yield folder


def start_curate(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WINNOW_")}
    command = [sys.executable, "-m", "winnow", "curate", "synthetic.npz", "reference.npz"]
    return subprocess.Popen(
        [*command, "--test", "test.npz", "-o", "out", "--data", "stack", *arguments],
        cwd=folder,
        env={**environment, "PYTHONPATH": str(REPOSITORY), "TMPDIR": str(folder / "tmp")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def leftovers(folder: Path) -> list[str]:
    """Names the processes that still work in the folder or on its servers."""
    found = []
    for process in psutil.process_iter(["cmdline", "environ"]):
        words = [*(process.info["cmdline"] or []), *(process.info["environ"] or {}).values()]
        if any(str(folder / "stack") in word for word in words):
            found.append(" ".join(process.info["cmdline"] or []))
    return found


@pytest.fixture(scope="module")
def said(folder: Path) -> str:
    """What the command printed; its results lie in ``out``."""
    (folder / "tmp").mkdir()
    process = start_curate(folder, "--seed", "0", *QUICK)
    said, progress = process.communicate(timeout=800)
    assert process.returncode == ExitCode.OK, progress
    return said


def test_one_command_leaves_results_and_nothing_else(folder: Path, said: str) -> None:
    out = folder / "out"
    assert {path.name for path in out.iterdir()} == {
        "manifest.parquet",
        "kept.parquet",
        "weights.parquet",
        "traces.json",
        "report.json",
        "README.md",
    }
    manifest = pq.read_table(out / "manifest.parquet")
    kept = pq.read_table(out / "kept.parquet")
    assert manifest.num_rows == 120
    assert kept.num_rows == sum(manifest["keep"].to_pylist())
    assert manifest["weight"].to_numpy().mean() == pytest.approx(1.0, abs=1e-5)
    assert pq.read_table(out / "weights.parquet").num_rows == 120

    report = json.loads((out / "report.json").read_text())
    assert {row["method"] for row in report["rows"]} == METHODS
    for row in report["rows"]:
        assert re.search(rf"^ *{row['method']} .*%.* to .*%", said, re.MULTILINE), said
    assert f"  out{os.sep}manifest.parquet\n" in said
    assert said.endswith("Open the service with: winnow up --data stack\n")

    readme = (out / "README.md").read_text()
    # Most of the pool contradicts the few references, which are to count more therefore.
    assert report["reference_weight"] > 1
    counting = f"Count each reference sample {report['reference_weight']:g} times as much as"
    assert report["label_support"]["labels_are_turned"]
    turned = "Of the two classes, most labels of the pool seem to name the other one."
    for line in (counting, turned):
        assert line in said
        assert line in readme
    assert "config_name: weighted" in readme
    assert "data_files: kept.parquet" in readme

    assert leftovers(folder) == []
    assert list((folder / "tmp").iterdir()) == []


@pytest.mark.usefixtures("said")
def test_datasets_reads_the_folder_with_class_names(folder: Path) -> None:
    script = (
        "from datasets import load_dataset\n"
        "kept = load_dataset('out', 'kept', split='train')\n"
        "weighted = load_dataset('out', 'weighted', split='train')\n"
        "print(len(kept), len(weighted), ','.join(kept.features['label'].names))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, "HF_HOME": str(folder / "hf"), "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kept, weighted, names = done.stdout.split()
    assert 0 < int(kept) <= int(weighted) == 120
    assert names == "left,right"


@pytest.mark.usefixtures("said")
def test_commands_on_a_running_stack_show_select_and_download(folder: Path) -> None:
    stack = subprocess.Popen(
        [sys.executable, "-m", "winnow", "up", "--data", "stack", "--port", "0"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert stack.stdout is not None
    try:
        for line in stack.stdout:
            if line.startswith("Data"):
                break
        [job] = [
            j
            for j in answer(folder, "jobs", "list")
            if j["state"] == "succeeded" and j["reference_id"]
        ]
        assert answer(folder, "jobs", "show", job["id"])["fraction"] == 1.0
        shown = answer(folder, "datasets", "show", job["synthetic_id"])
        assert shown["dataset"]["sample_count"] == 120

        half = ("--keep", "0.5", "--balance", "--download", "half.jsonl")
        cut = answer(folder, "select", job["id"], *half)
        rows = [json.loads(line) for line in (folder / "half.jsonl").read_text().splitlines()]
        assert sum(row["keep"] for row in rows) == cut["kept_count"] == 60
        kept_labels = [row["label"] for row in rows if row["keep"]]
        assert kept_labels.count(kept_labels[0]) == 30

        run(folder, "download", job["id"], "-o", "kept.csv", "--kept-only")
        kept = pq.read_table(folder / "out" / "kept.parquet").num_rows
        assert len((folder / "kept.csv").read_text().splitlines()) == kept + 1

        refused = run(folder, "datasets", "delete", job["synthetic_id"], code=ExitCode.REFUSED)
        assert refused.startswith("error: DATASET_IN_USE: ")
        run(folder, "jobs", "delete", job["id"])
        run(folder, "datasets", "delete", job["synthetic_id"])
        gone = run(folder, "jobs", "show", job["id"], code=ExitCode.REFUSED)
        assert "NOT_FOUND" in gone
    finally:
        stack.send_signal(signal.SIGINT)
        stack.communicate(timeout=60)


def run(folder: Path, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "winnow", *arguments, "--data", "stack"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr.splitlines()[-1]


def answer(folder: Path, *arguments: str) -> Any:
    return json.loads(run(folder, *arguments, "-o", "json"))


@pytest.mark.usefixtures("said")
def test_new_dataset_is_scored_by_what_the_job_learned(folder: Path) -> None:
    [selector] = answer(folder, "selectors", "list")
    assert selector["class_names"] == list(CLASSES)
    assert answer(folder, "selectors", "show", selector["id"]) == selector
    write_embeddings(folder / "fresh.npz", per_class=30, seed=9, noise_share=0.3)

    said = run(folder, "score", selector["id"], "fresh.npz", "-o", "scored")
    assert "Scored: 60 samples" in said
    manifest = pq.read_table(folder / "scored" / "manifest.parquet")
    assert manifest.num_rows == 60
    assert manifest["weight"].to_numpy().mean() == pytest.approx(1.0, abs=1e-5)
    random = np.random.default_rng(9)
    random.normal(size=(60, 6))
    is_noise = random.random(60) < 0.3
    scores = manifest["score"].to_numpy()
    assert scores[~is_noise].mean() > scores[is_noise].mean()
    assert selector["id"] in (folder / "scored" / "README.md").read_text()

    refused = run(folder, "selectors", "delete", selector["id"], code=ExitCode.REFUSED)
    assert refused.startswith("error: SELECTOR_IN_USE: ")
    [job] = [j for j in answer(folder, "jobs", "list") if j["method"] == "selector"]
    as_json = ("--output", "json")
    again = run(folder, "score", selector["id"], job["synthetic_id"], "-o", "again", *as_json)
    assert json.loads(again)["selector_id"] == selector["id"]
    for name in ("scored", "again"):
        assert pq.read_table(folder / name / "manifest.parquet")["score"].to_pylist() == list(
            scores
        )


def test_refused_setting_is_named_in_the_last_line(folder: Path) -> None:
    process = start_curate(folder, "--config", "stepz=3")
    said, errors = process.communicate(timeout=120)
    assert process.returncode == ExitCode.REFUSED
    assert said == ""
    assert errors.splitlines()[-1].startswith("error: UNKNOWN_CONFIG_KEY: ")
    assert "Did you mean steps?" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    assert leftovers(folder) == []


def test_invalid_input_is_named_in_the_last_line(folder: Path) -> None:
    broken = folder / "broken"
    broken.mkdir()
    for name in ("synthetic.npz", "test.npz"):
        shutil.copy(folder / name, broken / name)
    np.savez(broken / "reference.npz", x=np.zeros((4, 6), np.float32), y=np.array(["left"] * 4))
    process = start_curate(broken, "--data", str(folder / "stack"))
    _, errors = process.communicate(timeout=120)
    assert process.returncode == ExitCode.REFUSED
    assert "ONE_CLASS" in errors.splitlines()[-1]
    assert "Traceback" not in errors


def test_ctrl_c_cancels_the_job_and_leaves_nothing_running(folder: Path) -> None:
    process = start_curate(folder, "--config", "steps=100000", "-o", "cancelled")
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        seen.append(line)
        if line.startswith("Curating:"):
            break
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=90)
    assert process.returncode == ExitCode.INTERRUPTED, seen
    assert errors.splitlines()[-1] == "error: interrupted"
    assert leftovers(folder) == []
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    listed = subprocess.run(
        [sys.executable, "-m", "winnow", "jobs", "list", "--data", "stack", "-o", "json"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(listed.stdout)[0]["state"] in {"cancelled", "cancelling"}
