"""Spreads the classifier's work over several processes that hold the same state.

Every rank draws the same batches and keeps the same networks. The classifier's passes, which cost
nearly all of a step, are cut by samples; what they find of each sample is gathered, and gradients
are summed. All that follows (online features, weights, meta-gradient, GSNR) is small, and every
rank does it on the whole batch, so that it cannot differ from what one process would do.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, final

import torch
from torch import Tensor, distributed

from mts_core.errors import RankLostError


class Ranks(ABC):
    """The processes of one run, seen from one of them.

    All ranks make the same calls in the same order; a call returns when every rank has made it.
    """

    @property
    @abstractmethod
    def index(self) -> int:
        """Number of this process, from 0."""

    @property
    @abstractmethod
    def count(self) -> int:
        """Number of processes."""

    @abstractmethod
    def gather(self, own: Tensor, total: int) -> Tensor:
        """Return the rows of all ranks, in order.

        Args:
            own: Values of the samples in `rows(total)`.
            total: Samples of all ranks together.
        """

    @abstractmethod
    def add(self, own: Sequence[Tensor]) -> list[Tensor]:
        """Return the sum of each tensor over all ranks, with the same rounding on each of them."""

    def rows(self, total: int) -> slice:
        """Return which of a batch's samples this rank works on.

        Args:
            total: Samples in the batch, at least one for each rank.
        """
        return _rows(total, self.index, self.count)


@final
class Alone(Ranks):
    """One process that does everything."""

    @property
    def index(self) -> int:
        """Always 0."""
        return 0

    @property
    def count(self) -> int:
        """Always 1."""
        return 1

    def gather(self, own: Tensor, total: int) -> Tensor:  # noqa: ARG002  # All rows are its own.
        """Return the rows as they are."""
        return own

    def add(self, own: Sequence[Tensor]) -> list[Tensor]:
        """Return the tensors as they are."""
        return list(own)


ALONE: Final = Alone()
"""What a run on one device uses."""


@final
class ProcessGroupRanks(Ranks):
    """The processes of torch's default process group, which must have been set up.

    Raises:
        RankLostError: In every exchange, where another process is gone.
    """

    @property
    def index(self) -> int:
        """Rank in the group."""
        return distributed.get_rank()

    @property
    def count(self) -> int:
        """Size of the group."""
        return distributed.get_world_size()

    def gather(self, own: Tensor, total: int) -> Tensor:
        """Return the rows of all ranks, in order."""
        parts = [_rows(total, index, self.count) for index in range(self.count)]
        sizes = [part.stop - part.start for part in parts]
        # Backends gather equal shapes alone, so shorter parts travel with rows that are cut off.
        padded = own.new_zeros((max(sizes), *own.shape[1:]))
        padded[: own.shape[0]] = own
        received = [torch.empty_like(padded) for _ in parts]
        with _reported_loss():
            distributed.all_gather(received, padded)
        return torch.cat([rows[:size] for rows, size in zip(received, sizes, strict=True)])

    def add(self, own: Sequence[Tensor]) -> list[Tensor]:
        """Return the sum of each tensor over all ranks."""
        # One message for all: a message costs more than the numbers in it.
        flat = torch.cat([value.flatten() for value in own])
        with _reported_loss():
            distributed.all_reduce(flat)
        sums = torch.split(flat, [value.numel() for value in own])
        return [total.view_as(value) for total, value in zip(sums, own, strict=True)]


@contextmanager
def _reported_loss() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        # Backends raise no narrower type for a connection that was closed at the other end.
        raise RankLostError("Another process of this training ended.") from error


def _rows(total: int, index: int, count: int) -> slice:
    return slice(total * index // count, total * (index + 1) // count)
