"""Temporary folders go with their attempt, and with a supervisor that was killed."""

import subprocess
import sys
from pathlib import Path

import pytest

from worker.scratch import attempt_scratch, remove_abandoned_scratch

HOLDER = """
import sys, time
from pathlib import Path
from worker.scratch import attempt_scratch
with attempt_scratch(Path(sys.argv[1])) as folder:
    (folder / "big").write_bytes(b"x")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_folder_is_removed_with_its_content_after_an_error(tmp_path: Path) -> None:
    def fail_with_files() -> None:
        with attempt_scratch(tmp_path) as folder:
            (folder / "inner").mkdir()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_with_files()

    assert list(tmp_path.iterdir()) == []


def test_folder_in_use_is_spared(tmp_path: Path) -> None:
    with attempt_scratch(tmp_path) as folder:
        assert remove_abandoned_scratch(tmp_path) == 0
        assert folder.is_dir()


def test_folder_of_a_killed_process_is_removed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        folder = Path(holder.stdout.readline().strip())
        assert remove_abandoned_scratch(tmp_path) == 0
        holder.kill()
        holder.wait()

    assert folder.is_dir()
    assert remove_abandoned_scratch(tmp_path) == 1
    assert not folder.exists()


def test_strange_folders_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "somebody-elses").mkdir()

    assert remove_abandoned_scratch(tmp_path) == 0
    assert (tmp_path / "somebody-elses").is_dir()
