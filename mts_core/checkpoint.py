"""Saves and loads tensors with JSON metadata as one safetensors file, with nothing pickled."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from mts_core.errors import CheckpointError

_METADATA_KEY = "json"
_LARGEST_COPY_BYTES = 1 << 26


class Checkpoint(NamedTuple):
    """What a checkpoint file holds.

    Attributes:
        tensors: Named tensors, on the CPU.
        metadata: The JSON object saved beside them.
    """

    tensors: dict[str, Tensor]
    metadata: dict[str, Any]  # A JSON object.


def save_checkpoint(
    path: Path,
    tensors: Mapping[str, Tensor],
    metadata: Mapping[str, Any],  # A JSON object.
) -> None:
    """Write a checkpoint file; a crash in between leaves no file under that name.

    Args:
        path: Where to write; an existing file is replaced.
        tensors: Named tensors on any device, of any dtype that safetensors knows.
        metadata: A JSON object.

    Raises:
        CheckpointError: The metadata cannot be written as JSON, or the disk refuses the file.
    """
    partial = path.with_name(path.name + ".partial")
    try:
        text = json.dumps(dict(metadata), allow_nan=False)
        separate = {name: _on_its_own(tensor) for name, tensor in tensors.items()}
        save_file(separate, partial, metadata={_METADATA_KEY: text})
        partial.replace(path)
    except (OSError, SafetensorError, TypeError, ValueError) as error:
        partial.unlink(missing_ok=True)
        raise CheckpointError(f"The checkpoint {path.name} cannot be written.") from error


def load_checkpoint(path: Path) -> Checkpoint:
    """Return the tensors and the metadata of a checkpoint file.

    Raises:
        CheckpointError: The file is missing, truncated or not one of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # No mapping.
        metadata = json.loads(header[_METADATA_KEY])
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise CheckpointError(f"The checkpoint {path.name} cannot be read.") from error
    if not isinstance(metadata, dict):
        raise CheckpointError(f"The checkpoint {path.name} has no JSON object beside its tensors.")
    return Checkpoint(tensors, metadata)


def _on_its_own(tensor: Tensor) -> Tensor:
    """Return a tensor as safetensors takes it: whole, in order, and alone in its memory."""
    local = tensor.detach().cpu()
    is_small = local.nbytes <= _LARGEST_COPY_BYTES
    # A large tensor is captured as a copy already, and a second one would be felt.
    return local.clone() if is_small or not local.is_contiguous() else local
