"""A control group of the kernel with little memory, for the processes of one test."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

_VERSION_1 = Path("/sys/fs/cgroup/memory")
_VERSION_2 = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class MemoryGroup:
    """A group whose processes the kernel kills, the largest first, once they need too much."""

    folder: Path

    def add(self, pid: int) -> None:
        """Take in a process; those that it starts from now on belong to the group as well."""
        (self.folder / "cgroup.procs").write_text(str(pid))


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[MemoryGroup]:
    """Provide a group for as long as the context lasts; skips where the kernel gives none."""
    is_version_1 = (_VERSION_1 / "memory.limit_in_bytes").exists()
    root, limit = (
        (_VERSION_1, "memory.limit_in_bytes") if is_version_1 else (_VERSION_2, "memory.max")
    )
    folder = root / f"winnow-test-{uuid4().hex}"
    try:
        folder.mkdir()
        (folder / limit).write_text(str(limit_bytes))
    except OSError:
        if folder.exists():
            folder.rmdir()
        pytest.skip("limiting memory by a control group needs rights that are missing here")
    try:
        yield MemoryGroup(folder)
    finally:
        for pid in (folder / "cgroup.procs").read_text().split():
            (root / "cgroup.procs").write_text(pid)
        folder.rmdir()
