"""A kill for memory is told from other kills by the kernel's counters."""

import os
from pathlib import Path

import pytest

from worker.memory_evidence import MemoryEvidence


@pytest.fixture
def cgroup_counter(tmp_path: Path) -> Path:
    path = tmp_path / "memory.events"
    path.write_text("low 0\noom 4\noom_kill 2\n")
    return path


@pytest.fixture
def host_counter(tmp_path: Path) -> Path:
    path = tmp_path / "vmstat"
    path.write_text("nr_free_pages 10\noom_kill 5\n")
    return path


def test_unchanged_counters_show_no_kill(cgroup_counter: Path, host_counter: Path) -> None:
    evidence = MemoryEvidence(cgroup_counters=[cgroup_counter], host_counter=host_counter)

    assert not evidence.shows_kill()


def test_grown_counter_of_the_own_group_shows_a_kill(
    cgroup_counter: Path, host_counter: Path
) -> None:
    evidence = MemoryEvidence(cgroup_counters=[cgroup_counter], host_counter=host_counter)
    cgroup_counter.write_text("low 0\noom 5\noom_kill 3\n")

    assert evidence.shows_kill()


def test_grown_counter_of_the_machine_does_not_convict_a_small_process(
    host_counter: Path,
) -> None:
    evidence = MemoryEvidence(cgroup_counters=[], host_counter=host_counter)
    evidence.observe(os.getpid())
    host_counter.write_text("oom_kill 6\n")

    assert not evidence.shows_kill()


def test_missing_counters_show_nothing(tmp_path: Path) -> None:
    evidence = MemoryEvidence(
        cgroup_counters=[tmp_path / "none"], host_counter=tmp_path / "none either"
    )

    assert not evidence.shows_kill()


def test_own_counters_are_found_or_absent_without_error() -> None:
    assert not MemoryEvidence().shows_kill()
