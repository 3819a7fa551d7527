"""Checks how much more a class weighs that the reference set has more often than the pool."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mts_core.label_shift import label_shift_factors

UNEVEN = (400, 200, 100, 50, 50)


def _labels(*counts: int) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(counts)), counts)


def _factors(pool: tuple[int, ...], reference: tuple[int, ...]) -> NDArray[np.float64]:
    return label_shift_factors(_labels(*pool), _labels(*reference), len(pool))


@pytest.mark.parametrize(
    ("pool", "reference"), [((100, 100, 100), (7, 7, 7)), ((400, 200, 100), (8, 4, 2))]
)
def test_equal_shares_change_nothing_to_the_last_bit(
    pool: tuple[int, ...], reference: tuple[int, ...]
) -> None:
    assert np.array_equal(_factors(pool, reference), np.ones(3))


@pytest.mark.parametrize("references", [2, 10, 50])
def test_an_even_reference_set_makes_an_uneven_pool_nearly_even(references: int) -> None:
    shares = _factors(UNEVEN, (references,) * 5) * UNEVEN / sum(UNEVEN)
    assert shares == pytest.approx(np.full(5, 0.2), rel=0.1)


def test_few_references_that_may_be_drawn_like_the_pool_change_little() -> None:
    assert _factors(UNEVEN, (11, 4, 3, 1, 1)) == pytest.approx(np.ones(5), rel=0.15)


def test_many_references_have_the_last_word() -> None:
    reference = (1000, 4000, 2000, 2000, 1000)
    shares = _factors(UNEVEN, reference) * UNEVEN / sum(UNEVEN)
    assert shares == pytest.approx(np.array(reference) / sum(reference), rel=0.05)


def test_the_factors_of_all_samples_have_a_mean_of_one() -> None:
    factors = _factors(UNEVEN, (9, 3, 5, 2, 4))
    assert np.average(factors, weights=UNEVEN) == pytest.approx(1.0)


def test_no_factor_is_above_ten() -> None:
    factors = _factors((10_000, 10_000, 3), (10, 10, 10))
    assert factors.max() == 10.0


def test_a_class_without_a_pool_sample_is_no_obstacle() -> None:
    factors = _factors((60, 40, 0), (5, 5, 5))
    assert np.isfinite(factors).all()
    assert factors[1] > factors[0]
