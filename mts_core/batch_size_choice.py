"""Chooses the training batch from the noise that the first part of a run measures."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mts_core.gsnr import GsnrRung, recent_critical_batch_size

LARGEST_COST_FACTOR: Final = 4
"""How many times the samples of a start batch a chosen batch may hold, and so cost."""

SMALLEST_BATCH_COUNT: Final = 4
"""Batches that the pool has to hold: more of it at once would make steps repeat each other."""

_WARM_UP_SHARE: Final = 4
_MEASUREMENTS: Final = 12


class BatchSizeReason(StrEnum):
    """Why a run's batches have the size they have."""

    JOB = "job"
    CRITICAL_BATCH_SIZE = "critical_batch_size"
    NO_SIGNAL = "no_signal"
    NOT_MEASURED = "not_measured"


class BatchSizeLimit(StrEnum):
    """What kept the batch from the size that was wished for."""

    START = "start"
    POOL = "pool"
    COST = "cost"


@dataclass(frozen=True)
class BatchSizeChoice:
    """The size of a run's batches after its warm-up.

    Attributes:
        value: Samples in a batch.
        reason: Why.
        critical_batch_size: Where the GSNR of the warm-up reaches one; None where it shows no
            signal or was not measured.
        limit: What kept the batch from the wished size; None where it has that size.
    """

    value: int
    reason: BatchSizeReason
    critical_batch_size: float | None
    limit: BatchSizeLimit | None


def warm_up_steps(steps: int) -> int:
    """Return after how many steps of a run its batch size is chosen."""
    return steps // _WARM_UP_SHARE


def is_choice_measured(number: int, steps: int) -> bool:
    """Return whether a step is one of the about twelve whose noise decides the batch size.

    They lie in the second half of the warm-up: before, the classifier's features are those of its
    random start.

    Args:
        number: Number of the step, from 1.
        steps: Steps of the run.
    """
    end = warm_up_steps(steps)
    pause = max(1, end // (2 * _MEASUREMENTS))
    return end // 2 < number <= end and (end - number) % pause == 0


def choose_batch_size(
    measurements: Sequence[Sequence[GsnrRung]], *, start: int, pool_size: int
) -> BatchSizeChoice:
    """Return the batch size for the rest of a run.

    The wish is the critical batch size, rounded up to the start size times a power of two: there
    signal and noise of the meta-gradient are equal, and a larger batch would buy little. Where the
    warm-up shows no signal, the wish is as large as allowed. It is granted up to a quarter of the
    pool and four times the start size, and never falls below the start size.

    Args:
        measurements: Rungs of each measurement of the warm-up.
        start: Samples in a batch of the warm-up.
        pool_size: Samples in the pool.

    Source: docs/mathematics.md, "Automatic batch size".
    """
    if not measurements:
        return BatchSizeChoice(start, BatchSizeReason.NOT_MEASURED, None, None)
    critical = recent_critical_batch_size(measurements)
    if critical is None:
        wish, reason = math.inf, BatchSizeReason.NO_SIGNAL
    else:
        wish = start * 2.0 ** math.ceil(math.log2(critical / start))
        reason = BatchSizeReason.CRITICAL_BATCH_SIZE
    largest = min(pool_size // SMALLEST_BATCH_COUNT, LARGEST_COST_FACTOR * start)
    value = max(start, int(min(wish, largest)))
    return BatchSizeChoice(value, reason, critical, _limit(wish, value, start, pool_size))


def _limit(wish: float, value: int, start: int, pool_size: int) -> BatchSizeLimit | None:
    if value == wish:
        return None
    if value > wish:
        return BatchSizeLimit.START
    is_of_pool = pool_size // SMALLEST_BATCH_COUNT <= LARGEST_COST_FACTOR * start
    return BatchSizeLimit.POOL if is_of_pool else BatchSizeLimit.COST
