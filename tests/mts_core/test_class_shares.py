"""Checks how the classes' shares of all scores are held near those of the pool."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mts_core.class_shares import hold_class_shares

LABELS = np.repeat([0, 1, 3], [40, 5, 15])
"""Class 2 has no sample."""


def _scores(seed: int = 0) -> NDArray[np.float64]:
    """Return scores of which class 1 has far too few and class 3 too many."""
    generator = np.random.default_rng(seed)
    return generator.uniform(0.1, 1.0, len(LABELS)) * np.array([0.3, 1e-4, 0.0, 1.0])[LABELS]


def _shares(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.bincount(LABELS, scores) / scores.sum()


def test_no_prior_changes_nothing() -> None:
    scores = _scores()
    assert np.array_equal(hold_class_shares(scores, LABELS, prior=0.0), scores)


def test_a_heavy_prior_gives_every_class_its_share_of_the_pool() -> None:
    held = hold_class_shares(_scores(), LABELS, prior=1e9)
    assert _shares(held) == pytest.approx(np.bincount(LABELS) / len(LABELS), rel=1e-5)


def test_where_the_effective_samples_equal_the_prior_a_class_has_the_geometric_mean() -> None:
    # Equal scores within a class: its effective samples are its samples, 5 of class 1.
    scores = np.array([0.4, 0.01, 0.0, 0.9])[LABELS]
    held = hold_class_shares(scores, LABELS, prior=5.0)
    few, many = (np.flatnonzero(label == LABELS)[0] for label in (1, 0))
    ratios = scores / scores.mean()
    expected = ratios[few] ** -0.5 / ratios[many] ** -(5 / 45)
    assert (held / scores)[few] / (held / scores)[many] == pytest.approx(expected)


def test_the_heavier_the_prior_the_nearer_a_class_comes_to_its_share_of_the_pool() -> None:
    scores = _scores()
    pool = (LABELS == 1).mean()
    distances = [
        abs(np.log(_shares(hold_class_shares(scores, LABELS, prior=prior))[1] / pool))
        for prior in (0.0, 1.0, 5.0, 50.0)
    ]
    assert distances == sorted(distances, reverse=True)


def test_within_a_class_scores_keep_their_ratios_and_none_exceeds_one() -> None:
    scores = _scores()
    held = hold_class_shares(scores, LABELS, prior=20.0)
    for label in np.unique(LABELS):
        factors = (held / scores)[label == LABELS]
        assert factors == pytest.approx(factors[0])
    assert held.max() <= 1.0
    assert (held > 0).all()
