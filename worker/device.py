"""Chooses where a training process computes, and sets torch up for it."""

import os
from typing import Final

import faiss
import torch

from worker.cpus import available_cpus

AUTO: Final = "auto"


class DeviceError(Exception):
    """The settings name a device that this machine does not have."""


def count_processes(setting: str, wanted: int | None) -> int:
    """Return how many processes share a training.

    Args:
        setting: `auto`, `cpu`, `cuda` or `cuda:N`.
        wanted: What the settings ask for; if none, one process for each GPU that they name.
    """
    if wanted is not None:
        return wanted
    if setting not in {AUTO, "cuda"} or not torch.cuda.is_available():
        return 1
    return torch.cuda.device_count()


def choose_device(setting: str, *, process: int = 0) -> torch.device:
    """Return the device that the settings name, or the best that there is.

    Args:
        setting: `auto`, `cpu`, `cuda` or `cuda:N`; `auto` takes the first GPU, else the CPU.
        process: Number of this process among those that share a training; each takes the GPU that
            lies so many places further.

    Raises:
        DeviceError: A GPU is asked for and is not there. Falling back to the CPU would turn
            minutes into days without a word.
    """
    if setting == AUTO:
        setting = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(setting)
    if device.type == "cpu":
        return device
    index = (device.index or 0) + process
    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        raise DeviceError(
            f"The worker is set to {setting} and needs GPU {index}; this machine has {found} GPUs."
        )
    return torch.device("cuda", index)


def set_up_torch(device: torch.device, *, threads: int | None, processes: int = 1) -> None:
    """Set thread counts and, on a GPU, the modes in which a run can be repeated.

    Args:
        device: Where the run computes.
        threads: Threads of one operation; all CPUs that this process may use if none.
        processes: Processes that share the training. On GPUs the CPU has its work before and after
            it, while the others wait; on the CPU they share the threads.
    """
    sharing = processes if device.type == "cpu" else 1
    used_threads = threads or max(1, available_cpus() // sharing)
    torch.set_num_threads(used_threads)
    # The search for neighbours has threads of its own.
    faiss.omp_set_num_threads(used_threads)
    if device.type == "cuda":
        # cuBLAS repeats itself only with a workspace of fixed size, chosen before its first use.
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.cuda.set_device(device)
        # Autotuning picks kernels by timing, so two runs could add in different orders.
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True
        # TF32 keeps ten bits of the mantissa: too few for differences of nearby gradients.
        torch.set_float32_matmul_precision("highest")
        torch.backends.cudnn.allow_tf32 = False
        # Operations without a repeatable version still run, with a warning in the log.
        torch.use_deterministic_algorithms(True, warn_only=True)


def describe_device(device: torch.device) -> str:
    """Return a short name for people: `cpu` or the GPU's index and model."""
    if device.type == "cpu":
        return "cpu"
    return f"{device} ({torch.cuda.get_device_name(device)})"
