"""Tells whether the kernel killed a process because memory ran out."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, final

import psutil

_CGROUP_ROOT: Final = Path("/sys/fs/cgroup")
_HOST_COUNTER: Final = Path("/proc/vmstat")
# The host's counter also counts other containers' kills, so it convicts only a process that held
# at least this share of all memory.
_HOST_SHARE: Final = 0.25


def own_cgroup_counters() -> tuple[Path, ...]:
    """Return the files that count out-of-memory kills in this process's control groups."""
    with contextlib.suppress(OSError):
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        candidates = [path for line in lines for path in _candidates(line)]
        return tuple(path for path in candidates if _kill_count(path) is not None)
    return ()


def _candidates(line: str) -> list[Path]:
    _, controllers, group = line.split(":", 2)
    relative = group.lstrip("/")
    if not controllers:
        return [
            _CGROUP_ROOT / relative / "memory.events",
            _CGROUP_ROOT / "memory.events",
        ]
    if "memory" in controllers.split(","):
        return [
            _CGROUP_ROOT / "memory" / relative / "memory.oom_control",
            _CGROUP_ROOT / "memory" / "memory.oom_control",
        ]
    return []


def _kill_count(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    return None


@dataclass(frozen=True)
class _Reading:
    cgroup: tuple[int | None, ...]
    host: int | None


@final
class MemoryEvidence:
    """Compares the kernel's counters of out-of-memory kills before and after a child's life."""

    def __init__(
        self,
        *,
        cgroup_counters: Sequence[Path] | None = None,
        host_counter: Path = _HOST_COUNTER,
    ) -> None:
        """Take the first reading.

        Args:
            cgroup_counters: Counter files of the control groups; this process's own if not given.
            host_counter: The machine's counter file.
        """
        self._cgroup_counters = (
            own_cgroup_counters() if cgroup_counters is None else tuple(cgroup_counters)
        )
        self._host_counter = host_counter
        self._before = self._read()
        self._peak_bytes = 0

    def observe(self, pid: int) -> None:
        """Note how much memory the process holds now."""
        with contextlib.suppress(psutil.Error):
            self._peak_bytes = max(self._peak_bytes, psutil.Process(pid).memory_info().rss)

    def observe_family(self, pid: int) -> None:
        """Note how much memory the process and each of its descendants holds now.

        It reads the whole table of processes, so it is not for every sign of life.
        """
        with contextlib.suppress(psutil.Error):
            for member in psutil.Process(pid).children(recursive=True):
                self.observe(member.pid)
        self.observe(pid)

    def shows_kill(self) -> bool:
        """Return whether the kernel killed for memory since the first reading."""
        now = self._read()
        in_cgroup = any(
            _has_grown(before, after)
            for before, after in zip(self._before.cgroup, now.cgroup, strict=True)
        )
        was_large = self._peak_bytes >= _HOST_SHARE * psutil.virtual_memory().total
        return in_cgroup or (was_large and _has_grown(self._before.host, now.host))

    def _read(self) -> _Reading:
        return _Reading(
            cgroup=tuple(_kill_count(path) for path in self._cgroup_counters),
            host=_kill_count(self._host_counter),
        )


def _has_grown(before: int | None, after: int | None) -> bool:
    return before is not None and after is not None and after > before
