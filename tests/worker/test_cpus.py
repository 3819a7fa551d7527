"""Threads are kept to the CPUs that the process may use."""

from pathlib import Path

import pytest

from worker.cpus import available_cpus, limit_library_threads


@pytest.mark.parametrize(
    ("quota", "expected"), [("100000 100000", 1), ("50000 100000", 1), ("junk", None)]
)
def test_container_quota_bounds_the_threads(
    tmp_path: Path, quota: str, expected: int | None
) -> None:
    file = tmp_path / "cpu.max"
    file.write_text(quota)

    unbounded = available_cpus(tmp_path / "absent")
    assert available_cpus(file) == (unbounded if expected is None else expected)


def test_unlimited_container_leaves_all_cpus(tmp_path: Path) -> None:
    file = tmp_path / "cpu.max"
    file.write_text("max 100000")

    assert available_cpus(file) == available_cpus(tmp_path / "absent")


def test_libraries_are_kept_to_the_setting_unless_the_operator_said_otherwise() -> None:
    environment = {"OMP_NUM_THREADS": "7"}

    limit_library_threads(environment, 2)

    assert environment == {
        "OMP_NUM_THREADS": "7",
        "OPENBLAS_NUM_THREADS": "2",
        "MKL_NUM_THREADS": "2",
    }
