"""Counts the CPUs that this process may use, and keeps numerical libraries to them."""

import os
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

_CGROUP_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")
_THREAD_VARIABLES: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def limit_library_threads(environment: MutableMapping[str, str], threads: int | None) -> None:
    """Set how many threads numerical libraries start; they look when they are loaded.

    In a container they would else count the machine's cores, and dozens of threads would fight
    for the container's two.

    Args:
        environment: This process's own; variables that are set already stay as they are.
        threads: Threads of one operation; all CPUs that this process may use if none.
    """
    for variable in _THREAD_VARIABLES:
        environment.setdefault(variable, str(threads or available_cpus()))


def available_cpus(quota_file: Path = _CGROUP_QUOTA) -> int:
    """Return how many CPUs this process may use: its affinity, under its container's quota."""
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    quota = _container_quota(quota_file)
    return allowed if quota is None else max(1, min(allowed, quota))


def _container_quota(quota_file: Path) -> int | None:
    try:
        limit, period = quota_file.read_text().split()
    except (OSError, ValueError):
        return None
    return None if limit == "max" else round(int(limit) / int(period))
