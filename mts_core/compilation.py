"""Settles whether a run's classifier is compiled: where the job asks for it and the worker can."""

import dataclasses
import functools
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, TypeVar

import torch
from torch import Tensor

from mts_core.config import MtsConfig, TessConfig

_Config = TypeVar("_Config", MtsConfig, TessConfig)

_CURES: Final = MappingProxyType({"cpu": "a C++ compiler", "cuda": "Triton and a C compiler"})


@dataclass(frozen=True)
class CompilationNote:
    """What the report says of the compilation that a job asked for.

    Attributes:
        is_used: Whether the classifier ran as compiled code.
        problem: Why not, in a sentence; none where it did.
    """

    is_used: bool
    problem: str | None


def settle_compilation(
    config: _Config, device: torch.device
) -> tuple[_Config, CompilationNote | None]:
    """Return a run's settings without a compilation that the worker cannot do, and what to say.

    Args:
        config: Resolved settings.
        device: Where to train.

    Returns:
        The settings; and the note, or none where the job asks for nothing.
    """
    if not config.compile:
        return config, None
    problem = find_compiler_problem(device.type)
    note = CompilationNote(is_used=problem is None, problem=problem)
    return dataclasses.replace(config, compile=problem is None), note


def compilation_summary(
    note: CompilationNote | None,
) -> dict[str, Any]:  # Any: a JSON object.
    """Return what the report says of the compilation: nothing where nothing was asked for."""
    return {} if note is None else {"compile": dataclasses.asdict(note)}


@functools.cache
def find_compiler_problem(device_type: str) -> str | None:
    """Return why torch cannot compile code here, in a sentence, or none where it can.

    Costs some seconds at the first call for a kind of device: a small function is compiled.

    Args:
        device_type: "cpu" or "cuda".
    """
    # Loading the compiler takes a second, which only its use is worth.
    from torch._dynamo.exc import BackendCompilerFailed, TorchDynamoException  # noqa: PLC0415
    from torch._inductor import config  # noqa: PLC0415

    # Compiling processes of its own would outlive a run that is stopped at once.
    config.compile_threads = 1
    try:
        torch.compile(_probe)(torch.zeros(16, device=device_type))
    except (TorchDynamoException, RuntimeError, OSError, ImportError) as error:
        cause = error.inner_exception if isinstance(error, BackendCompilerFailed) else error
        cure = _CURES.get(device_type, "what torch.compile needs")
        # The error's own text may quote paths of the worker.
        return (
            f"The worker cannot compile code for its {device_type} ({type(cause).__name__}); its "
            f"operator can install {cure}."
        )
    return None


def _probe(values: Tensor) -> Tensor:
    return torch.relu(values) + 1.0
