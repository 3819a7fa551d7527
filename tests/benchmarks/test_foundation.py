import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from foundation import finish, negative_controls, summarise
from PIL import Image
from problems import blobs

from mts_core.pipeline import pipeline_config_from_mapping

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PARTS = {"train_synthetic": 6, "reference_real": 4, "test_real": 4}


def _files() -> dict[str, bytes]:
    generator = np.random.default_rng(0)
    records, tags, files = [], [], {}
    for part, count in PARTS.items():
        for index in range(count):
            identifier, label = f"{part[0]}{index}", "ab"[index % 2]
            path = f"{part}/{label}/{identifier}.png"
            buffer = io.BytesIO()
            Image.fromarray(generator.integers(0, 256, (9, 7), dtype=np.uint8)).save(buffer, "PNG")
            files[path] = buffer.getvalue()
            records.append({"id": identifier, "path": path, "label": label})
            if part == "train_synthetic":
                quality = "good" if index < 2 else "wrong_label"
                tags.append({"id": identifier, "quality": quality})
    for name, lines in (("manifest", records), ("quality_tags", tags)):
        files[f"{name}.jsonl"] = "\n".join(json.dumps(line) for line in lines).encode()
    return files


def _write_folder(folder: Path) -> Path:
    for name, content in _files().items():
        path = folder / "A_digits" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder / "A_digits"


def _write_archive(folder: Path) -> Path:
    with zipfile.ZipFile(folder / "A_digits.zip", "w") as archive:
        for name, content in _files().items():
            archive.writestr(f"A_digits/{name}", content)
    return folder / "A_digits.zip"


@pytest.mark.parametrize("write", [_write_folder, _write_archive])
def test_a_set_is_read_from_a_folder_and_from_an_archive_alike(
    write: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from quality_sets import find_set, load_set  # noqa: PLC0415  # A script's folder, not a package.

    path = write(tmp_path)
    assert find_set(tmp_path, "A_digits") == path
    assert find_set(tmp_path, "B_missing") is None
    problem = load_set(path)
    assert problem.name == "A_digits"
    assert problem.data.pool_inputs.shape == (6, 1, 9, 7)
    assert problem.data.pool_labels.tolist() == [0, 1, 0, 1, 0, 1]
    assert problem.data.class_count == 2
    assert problem.is_good.tolist() == [True, True, False, False, False, False]


def test_an_absent_set_is_listed_as_skipped() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "WINNOW_BENCH_DATA"}
    finished = subprocess.run(
        [sys.executable, str(BENCHMARKS / "foundation.py")],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    last = json.loads(finished.stdout.splitlines()[-1])
    assert last["sets"] == {}
    assert last["skipped"] == ["A_digits_fonts_to_mnist", "B_emoji_styles"]


def test_runs_and_controls_are_measured_on_the_test_part() -> None:
    problem = blobs()
    settings = {"steps": 10, "evaluation_seeds": 2, "baselines": ["cosine"]}
    config = pipeline_config_from_mapping("mts", settings)
    summary = summarise(problem, [finish(problem.data, config, seed=0)])
    rows = {row["method"]: row for row in summary["rows"]}
    simple = {"no_selection", "reference_only", "no_selection_upweighted"}
    assert set(rows) == simple | {"cosine", "mts_weighted", "mts_selected"}
    assert rows["cosine"]["accuracy_mean"] > 0.9
    controls = negative_controls(problem, config, seeds=1, steps=20)
    assert set(controls) == {"frozen_meta_network", "permuted_reference"}
    for found in controls.values():
        assert 0.0 <= found["auroc_mean"] <= 1.0
        assert abs(found["gain_mean"]) < 0.5
