"""Holds what the trainer learns from: the pool and the reference set."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from mts_core.axes import FeatureColumns, GroupFlags, Inputs, Labels
from mts_core.errors import MissingClassError, NonFiniteError


@final
@dataclass(frozen=True)
class LabelledInputs:
    """Inputs with their classes: a batch, or a set small enough to be one.

    Attributes:
        inputs: ``[sample, channel, height, width]`` uint8 or ``[sample, d]`` float.
        labels: ``[sample]`` int64.
    """

    inputs: Inputs
    labels: Labels

    @property
    def sample_count(self) -> int:
        """Number of samples."""
        return int(self.labels.shape[0])

    def take(self, positions: NDArray[np.int64]) -> "LabelledInputs":
        """Return the samples at some positions, on the same device."""
        chosen = torch.from_numpy(positions).to(self.labels.device)
        return LabelledInputs(self.inputs[chosen], self.labels[chosen])

    def part(self, rows: slice) -> "LabelledInputs":
        """Return some consecutive samples."""
        return LabelledInputs(self.inputs[rows], self.labels[rows])

    def split(self, size: int | None) -> Iterator["LabelledInputs"]:
        """Yield consecutive parts of at most `size` samples; None yields the whole."""
        for start in range(0, self.sample_count, size or max(1, self.sample_count)):
            stop = None if size is None else start + size
            yield LabelledInputs(self.inputs[start:stop], self.labels[start:stop])


@final
@dataclass(frozen=True)
class TrainingPool:
    """The samples to be weighted.

    Attributes:
        inputs: ``[sample, channel, height, width]`` uint8 or ``[sample, d]`` float.
        labels: ``[sample]`` int64 in ``[0, class_count)``.
        is_real: ``[sample]`` bool.
        offline_features: ``[sample, 13]`` float, standardised over the pool.
        class_count: Number of classes of the task.

    Raises:
        NonFiniteError: A feature or an embedding is infinite or not a number.
    """

    inputs: Inputs
    labels: Labels
    is_real: GroupFlags
    offline_features: FeatureColumns
    class_count: int

    def __post_init__(self) -> None:
        """Refuse values that no gradient could come from."""
        _check_finite("offline_features", self.offline_features)
        _check_finite("pool inputs", self.inputs)

    @property
    def sample_count(self) -> int:
        """Number of samples in the pool."""
        return int(self.labels.shape[0])

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one input: ``(d,)`` or ``(channel, height, width)``."""
        return tuple(self.inputs.shape[1:])


@final
@dataclass(frozen=True)
class ReferenceSet:
    """The small real set whose loss the weights are to lower.

    Attributes:
        inputs: Same kind and shape as the pool's.
        labels: ``[sample]`` int64.

    Raises:
        NonFiniteError: An embedding is infinite or not a number.
    """

    inputs: Inputs
    labels: Labels

    def __post_init__(self) -> None:
        """Refuse values that no gradient could come from."""
        _check_finite("reference inputs", self.inputs)

    @property
    def sample_count(self) -> int:
        """Number of reference samples."""
        return int(self.labels.shape[0])


def check_classes(pool: TrainingPool, reference: ReferenceSet) -> None:
    """Check that the reference set shows every class of the task.

    Raises:
        MissingClassError: A class has no reference sample, so nothing could teach its weights.
    """
    counts = torch.bincount(reference.labels, minlength=pool.class_count)
    missing = torch.nonzero(counts == 0).flatten().tolist()
    if missing:
        names = ", ".join(map(str, missing))
        raise MissingClassError(
            f"The reference set holds no sample of class {names}.", classes=missing
        )


def _check_finite(name: str, values: torch.Tensor) -> None:
    if values.is_floating_point() and not bool(torch.isfinite(values).all()):
        raise NonFiniteError(name)
