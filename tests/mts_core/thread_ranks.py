"""Stands in for processes that share a training, where threads will do."""

import threading
from collections.abc import Sequence

import torch

from mts_core.ranks import Ranks


class ThreadRanks(Ranks):
    """Threads that take the place of processes: they meet at a barrier to exchange values."""

    def __init__(self, index: int, barrier: threading.Barrier, desk: list[object]) -> None:
        self._index = index
        self._barrier = barrier
        self._desk = desk

    @property
    def index(self) -> int:
        return self._index

    @property
    def count(self) -> int:
        return self._barrier.parties

    def gather(self, own: torch.Tensor, total: int) -> torch.Tensor:
        rows = self.rows(total)
        assert own.shape[0] == rows.stop - rows.start
        return torch.cat(self._exchange(own))

    def add(self, own: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        received = self._exchange(list(own))
        return [sum(values) for values in zip(*received, strict=True)]

    def _exchange(self, own: object) -> list[object]:
        self._desk[self._index] = own
        self._barrier.wait(timeout=60)
        received = list(self._desk)
        self._barrier.wait(timeout=60)
        return received
