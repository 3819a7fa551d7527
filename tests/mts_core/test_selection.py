from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from mts_core.errors import ConfigError
from mts_core.selection import SelectionRule, Threshold, TopCount, TopFraction, rank_scores, select

Scores = NDArray[np.floating]

_SCORES = hnp.arrays(
    np.float32, st.integers(1, 60), elements=st.floats(0, 1, width=32, allow_nan=False)
)


def _labels(scores: Scores) -> NDArray[np.int64]:
    return np.arange(len(scores)) % 3


@given(_SCORES)
def test_ranks_are_a_permutation_with_the_best_first(scores: Scores) -> None:
    ranks = rank_scores(scores)
    assert sorted(ranks) == list(range(len(scores)))
    assert (np.diff(scores[np.argsort(ranks)]) <= 0).all()


@given(_SCORES, st.floats(0.01, 1.0))
def test_a_fraction_keeps_its_budget_whatever_the_ties(scores: Scores, fraction: float) -> None:
    keep = select(scores, _labels(scores), TopFraction(fraction))
    assert keep.sum() == max(1, int(np.floor(fraction * len(scores) + 0.5)))


@given(scores=_SCORES, count=st.integers(1, 100), is_balanced=st.booleans())
def test_a_count_is_respected_balanced_or_not(
    scores: Scores, count: int, *, is_balanced: bool
) -> None:
    keep = select(scores, _labels(scores), TopCount(count, is_balanced=is_balanced))
    assert keep.sum() == min(count, len(scores))


@given(_SCORES, st.floats(0.01, 1.0))
def test_no_dropped_sample_beats_a_kept_one(scores: Scores, fraction: float) -> None:
    keep = select(scores, _labels(scores), TopFraction(fraction))
    if not keep.all():
        assert scores[keep].min() >= scores[~keep].max()


@given(_SCORES, st.floats(0.01, 1.0))
def test_a_balanced_cut_takes_the_same_share_of_each_class(scores: Scores, fraction: float) -> None:
    labels = _labels(scores)
    keep = select(scores, labels, TopFraction(fraction, is_balanced=True))
    for index in np.unique(labels):
        members = labels == index
        # Whole samples can miss the exact share by less than one.
        assert abs(keep[members].sum() - keep.sum() * members.sum() / len(scores)) < 1
        if keep[members].any() and not keep[members].all():
            assert scores[members & keep].min() >= scores[members & ~keep].max()


@given(_SCORES, st.floats(0, 1, width=32))
def test_a_threshold_keeps_exactly_what_reaches_it(scores: Scores, threshold: float) -> None:
    keep = select(scores, _labels(scores), Threshold(threshold))
    assert np.array_equal(keep, scores >= threshold)


def test_a_balanced_threshold_keeps_as_many_as_the_plain_one() -> None:
    scores = np.linspace(0, 1, 30, dtype=np.float32)
    labels = (np.arange(30) >= 15).astype(np.int64)
    keep = select(scores, labels, Threshold(0.6, is_balanced=True))
    assert keep.sum() == (scores >= 0.6).sum()
    assert keep[:15].sum() == keep[15:].sum() == 6


@given(_SCORES, st.integers(0, 2**32 - 1), st.floats(0.01, 1.0))
def test_a_cut_of_distinct_scores_follows_a_permutation(
    scores: Scores, seed: int, fraction: float
) -> None:
    distinct = (scores + np.arange(len(scores)) * 2.0).astype(np.float64)
    labels = _labels(scores)
    order = np.random.default_rng(seed).permutation(len(scores))
    rule = TopFraction(fraction)
    assert np.array_equal(
        select(distinct[order], labels[order], rule), select(distinct, labels, rule)[order]
    )


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        (TopFraction, (0.0, -0.1, 1.1, float("nan"))),
        (TopCount, (0, -3)),
        (Threshold, (-0.1, 1.5, float("nan"))),
    ],
)
def test_rules_outside_their_range_are_refused(
    rule: Callable[[float], SelectionRule], values: tuple[float, ...]
) -> None:
    for value in values:
        with pytest.raises(ConfigError):
            rule(value)
