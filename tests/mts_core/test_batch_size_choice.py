"""Holds the automatic batch size to its rule and its limits."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mts_core.batch_size_choice import (
    BatchSizeLimit,
    BatchSizeReason,
    choose_batch_size,
    is_choice_measured,
    warm_up_steps,
)
from mts_core.gsnr import GsnrRung


def measurement(critical: float) -> list[GsnrRung]:
    """Return rungs whose GSNR reaches one at a batch size."""
    return [GsnrRung(size, 1.0, critical / size) for size in (32, 64)]


NOISE = [GsnrRung(32, -0.5, 1.0), GsnrRung(64, -0.1, 0.5)]


@pytest.mark.parametrize(
    ("critical", "pool_size", "value", "limit"),
    [
        (100.0, 10_000, 256, BatchSizeLimit.START),
        (256.0, 10_000, 256, None),
        (300.0, 10_000, 512, None),
        (1000.0, 10_000, 1024, None),
        (1100.0, 10_000, 1024, BatchSizeLimit.COST),
        (1000.0, 3000, 750, BatchSizeLimit.POOL),
        (1000.0, 1000, 256, BatchSizeLimit.POOL),
    ],
)
def test_batch_follows_the_critical_size_within_its_limits(
    critical: float, pool_size: int, value: int, limit: BatchSizeLimit | None
) -> None:
    choice = choose_batch_size([measurement(critical)], start=256, pool_size=pool_size)
    assert (choice.value, choice.limit) == (value, limit)
    assert choice.reason == BatchSizeReason.CRITICAL_BATCH_SIZE
    assert choice.critical_batch_size == pytest.approx(critical)


def test_ratios_are_averaged_before_they_are_inverted() -> None:
    measured = [measurement(200.0), measurement(600.0)]
    choice = choose_batch_size(measured, start=256, pool_size=10_000)
    assert choice.critical_batch_size == pytest.approx(2 / (1 / 200 + 1 / 600))


def test_no_signal_takes_what_is_allowed() -> None:
    choice = choose_batch_size([NOISE], start=256, pool_size=100_000)
    assert (choice.value, choice.limit) == (1024, BatchSizeLimit.COST)
    assert choice.reason == BatchSizeReason.NO_SIGNAL
    assert choice.critical_batch_size is None


def test_nothing_measured_keeps_the_start() -> None:
    choice = choose_batch_size([], start=180, pool_size=180)
    assert (choice.value, choice.reason) == (180, BatchSizeReason.NOT_MEASURED)


@given(
    critical=st.floats(1e-3, 1e9), start=st.integers(2, 256), pool_size=st.integers(2, 1_000_000)
)
def test_choice_stays_between_start_and_both_limits(
    critical: float, start: int, pool_size: int
) -> None:
    start = min(start, pool_size)
    value = choose_batch_size([measurement(critical)], start=start, pool_size=pool_size).value
    assert start <= value <= max(start, min(pool_size // 4, 4 * start))
    if math.log2(value / start).is_integer():
        return
    assert value == pool_size // 4


@given(steps=st.integers(1, 5000))
def test_measurements_lie_in_the_second_half_of_the_warm_up(steps: int) -> None:
    measured = [number for number in range(1, steps + 1) if is_choice_measured(number, steps)]
    end = warm_up_steps(steps)
    assert all(end // 2 < number <= end for number in measured)
    assert len(measured) <= 24
    assert not end or measured[-1] == end
