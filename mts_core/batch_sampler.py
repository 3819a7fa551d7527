"""Draws the indices of training batches without replacement, epoch by epoch."""

from collections.abc import Mapping
from typing import Final, final

import torch
from torch import Tensor

from mts_core.axes import Indices

_GENERATOR: Final = "generator"
_ORDER: Final = "order"
_CURSOR: Final = "cursor"
_BATCH_SIZE: Final = "batch_size"


@final
class BatchSampler:
    """An endless row of batches in which every sample comes equally often.

    A batch that reaches the end of an epoch is filled from the next one. Where the batch holds the
    whole pool, every batch is the pool in its own order and nothing is drawn.
    """

    def __init__(self, sample_count: int, batch_size: int, generator: torch.Generator) -> None:
        self._sample_count = sample_count
        self._batch_size = min(batch_size, sample_count)
        self._generator = generator
        self._order = torch.empty(0, dtype=torch.int64)
        self._cursor = 0

    @property
    def batch_size(self) -> int:
        """Samples in each batch."""
        return self._batch_size

    @property
    def sample_count(self) -> int:
        """Samples that batches are drawn from."""
        return self._sample_count

    def resize(self, batch_size: int) -> None:
        """Draw batches of another size from here on, in the order that is under way."""
        self._batch_size = min(batch_size, self._sample_count)

    def draw(self) -> Indices:
        """Return the indices of the next batch, on the CPU."""
        if self._batch_size == self._sample_count:
            return torch.arange(self._sample_count)
        parts = [self._order[self._cursor : self._cursor + self._batch_size]]
        self._cursor += self._batch_size
        missing = self._batch_size - parts[0].shape[0]
        if missing:
            self._order = torch.randperm(self._sample_count, generator=self._generator)
            parts.append(self._order[:missing])
            self._cursor = missing
        return torch.cat(parts)

    def to_tensors(self) -> dict[str, Tensor]:
        """Return the state from which the same batches follow."""
        return {
            _GENERATOR: self._generator.get_state(),
            _ORDER: self._order,
            _CURSOR: torch.tensor(self._cursor),
            _BATCH_SIZE: torch.tensor(self._batch_size),
        }

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from a state that `to_tensors` returned."""
        self._generator.set_state(tensors[_GENERATOR])
        self._order = tensors[_ORDER]
        self._cursor = int(tensors[_CURSOR])
        self._batch_size = int(tensors[_BATCH_SIZE])
