"""The device is the one that the settings name, and never a silent substitute."""

import pytest
import torch

from worker.device import DeviceError, choose_device, describe_device


def test_cpu_is_taken_where_it_is_named() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert describe_device(torch.device("cpu")) == "cpu"


def test_auto_takes_a_gpu_only_where_one_is() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"

    assert choose_device("auto").type == expected


def test_missing_gpu_is_an_error_and_not_the_cpu() -> None:
    with pytest.raises(DeviceError, match="cuda:63"):
        choose_device("cuda:63")
