"""The page about Python says what works: its code is run, in order, against the whole service."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from embedding_jobs import make_samples

from winnow import FinishedJob
from winnow.data_folder import DataFolder, StackAddress
from winnow.stack import Stack, StackOptions

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
# A stack of its own, two trainings and a scoring.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[StackAddress]:
    """Where a whole service answers, with a key to it."""
    # Unlike pytest's own folders it lets the user pass as whom PostgreSQL runs.
    with tempfile.TemporaryDirectory(prefix="winnow-test-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        monkeypatch.setenv("WINNOW_GRACE_SECONDS", "2")
        with Stack(StackOptions(data=DataFolder(Path(name) / "data"))) as stack:
            yield stack.start()


def write_embeddings(path: Path, count: int, *, seed: int, bad_fraction: float = 0.0) -> None:
    samples = make_samples(count, seed=seed, bad_fraction=bad_fraction)
    np.savez(path, x=samples.embeddings, y=np.array(samples.labels))


def test_every_block_of_the_page_runs(
    address: StackAddress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_embeddings(tmp_path / "synthetic.npz", 60, seed=1, bad_fraction=0.3)
    write_embeddings(tmp_path / "reference.npz", 16, seed=2)
    write_embeddings(tmp_path / "fresh.npz", 20, seed=3)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"server": address.server, "api_key": address.api_key}
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) > 10
    for number, block in enumerate(blocks):
        exec(compile(block, f"block {number} of python.md", "exec"), names)  # noqa: S102 - Ours.
    assert pq.read_table(tmp_path / "out" / "manifest.parquet").num_rows == 60
    assert len((tmp_path / "quarter.csv").read_text().splitlines()) == 16
    scored = names["scored"]
    assert isinstance(scored, FinishedJob)
    assert scored.job.sample_count == 20
    scores = names["scores"]
    # The newest job is the one that was watched.
    assert isinstance(scores, list)
    assert len(scores) == 60
