"""Temporary folders that go with their process, or are found once it was killed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def locked_folder(root: Path, prefix: str) -> Iterator[Path]:
    """Provide a fresh folder, locked while in use and removed afterwards.

    The lock is held by this process alone: descriptors are not inherited, so the lock ends with
    the process, however that ends.

    Args:
        root: Where the folder is made; made itself where missing.
        prefix: What the folder's name begins with.
    """
    root.mkdir(parents=True, exist_ok=True)
    folder, descriptor = _make_locked(root, prefix)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def remove_abandoned(root: Path, prefix: str) -> int:
    """Remove the folders that a killed process left and return how many."""
    removed = 0
    for folder in root.glob(f"{prefix}*"):
        with suppress(OSError):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
            finally:
                os.close(descriptor)
    return removed


def _make_locked(root: Path, prefix: str) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, dir=root))
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Whoever removes abandoned folders may have found it before it was locked.
        if folder.is_dir():
            return folder, descriptor
        os.close(descriptor)
