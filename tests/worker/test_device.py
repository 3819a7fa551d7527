"""The device is the one that the settings name, and never a silent substitute."""

from pathlib import Path

import pytest
import torch

from worker.device import DeviceError, available_cpus, choose_device, describe_device


def test_cpu_is_taken_where_it_is_named() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert describe_device(torch.device("cpu")) == "cpu"


def test_auto_takes_a_gpu_only_where_one_is() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"

    assert choose_device("auto").type == expected


def test_missing_gpu_is_an_error_and_not_the_cpu() -> None:
    with pytest.raises(DeviceError, match="cuda:63"):
        choose_device("cuda:63")


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
