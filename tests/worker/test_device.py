"""The device is the one that the settings name, and never a silent substitute."""

import pytest
import torch

from worker.device import DeviceError, choose_device, count_processes, describe_device


def test_cpu_is_taken_where_it_is_named() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert describe_device(torch.device("cpu")) == "cpu"


def test_auto_takes_a_gpu_only_where_one_is() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"

    assert choose_device("auto").type == expected


def test_missing_gpu_is_an_error_and_not_the_cpu() -> None:
    with pytest.raises(DeviceError, match="cuda:63"):
        choose_device("cuda:63")


@pytest.mark.parametrize("setting", ["cpu", "cuda:1"])
def test_one_device_is_one_process(setting: str) -> None:
    assert count_processes(setting, None) == 1


@pytest.mark.parametrize("setting", ["auto", "cuda"])
def test_every_gpu_is_a_process_and_no_gpu_is_one(setting: str) -> None:
    assert count_processes(setting, None) == max(1, torch.cuda.device_count())


def test_wanted_number_of_processes_is_taken() -> None:
    assert count_processes("cpu", 3) == 3


def test_processes_need_a_gpu_each() -> None:
    with pytest.raises(DeviceError, match="GPU 64"):
        choose_device("cuda:63", process=1)
