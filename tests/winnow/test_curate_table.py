"""A table with a label column of any name is curated by one command."""

import csv
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

REPOSITORY = Path(__file__).parents[2]
QUICK = ("steps=20", "gsnr_every=0", "evaluate=false")

# A stack of its own has to come up and to go down again.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
def folder() -> Iterator[Path]:
    # Unlike pytest's own folders it lets the user pass as whom PostgreSQL runs.
    with tempfile.TemporaryDirectory(prefix="winnow-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


def write_table(path: Path, count: int, *, seed: int) -> list[dict[str, object]]:
    generator = np.random.default_rng(seed)
    rows: list[dict[str, object]] = [
        {
            "colour": generator.choice(["red", "blue"]),
            "remark": f"Seen by number {index} in the morning",
            "score": round(float(generator.normal(5 * (index % 2))), 3),
            "y": ("no", "yes")[index % 2],
        }
        for index in range(count)
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return rows


def test_table_comes_back_with_its_own_columns(folder: Path) -> None:
    pool = write_table(folder / "table.csv", 40, seed=1)
    write_table(folder / "ref.csv", 12, seed=2)
    settings = [word for setting in QUICK for word in ("--config", setting)]
    where = ("-o", "out", "--data", "stack")
    command = [sys.executable, "-m", "winnow", "curate", "table.csv", "ref.csv", *where]
    done = subprocess.run(
        [*command, "--label-column", "y", *settings],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = pq.read_table(folder / "out" / "manifest.parquet").to_pylist()
    assert [row["colour"] for row in rows] == [row["colour"] for row in pool]
    # The user's own score gives way to the one that was learned.
    assert [row["original_score"] for row in rows] == [row["score"] for row in pool]
    assert all(0.0 <= row["score"] <= 1.0 for row in rows)
    assert "synthetic: warning: The column 'remark' looks like free text" in done.stderr
    assert "reference: warning: The column 'remark'" in done.stderr
