"""Real file systems that are small enough to be filled."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

# The kernel gives space by pages.
_PIECE_BYTES = 4096


@contextmanager
def small_disk(size_bytes: int) -> Iterator[Path]:
    """Mount a file system of this size for as long as the context lasts; skips where it cannot."""
    with tempfile.TemporaryDirectory(prefix="winnow-test-disk-") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes},mode=0777", "winnow", folder]
        try:
            subprocess.run(mount, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("mounting a small file system needs root's rights")
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def free_bytes(folder: Path) -> int:
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize


@contextmanager
def filled(folder: Path, *, leaving_bytes: int = 0) -> Iterator[None]:
    """Fill the file system but for so many bytes, and make the room again at the end."""
    filler = folder / "filler"
    with filler.open("wb", buffering=0) as file:
        while free_bytes(folder) > max(leaving_bytes, _PIECE_BYTES - 1):
            file.write(bytes(_PIECE_BYTES))
    try:
        yield
    finally:
        filler.unlink()
