"""Checks that the share of wrong labels is found from probabilities of the given ones."""

import numpy as np
import pytest
from numpy.typing import NDArray

from mts_core.label_noise import estimate_label_noise

SAMPLES = 20_000


def _given(noise: float, class_count: int, *, overlap: float, seed: int) -> NDArray[np.float64]:
    """Return probabilities of noisy labels by the posterior that the true ones are drawn from."""
    generator = np.random.default_rng(seed)
    posteriors = generator.dirichlet(np.full(class_count, overlap), SAMPLES)
    uniform = generator.random((SAMPLES, 1))
    true = (posteriors.cumsum(axis=1) < uniform).sum(axis=1).clip(max=class_count - 1)
    shift = generator.integers(1, class_count, SAMPLES)
    labels = np.where(generator.random(SAMPLES) < noise, (true + shift) % class_count, true)
    return posteriors[np.arange(SAMPLES), labels]


@pytest.mark.parametrize(
    ("noise", "class_count"), [(0.0, 2), (0.05, 2), (0.3, 2), (0.0, 10), (0.05, 10), (0.7, 10)]
)
def test_the_share_of_wrong_labels_is_found(noise: float, class_count: int) -> None:
    given = _given(noise, class_count, overlap=0.2, seed=1)
    assert estimate_label_noise(given, class_count) == pytest.approx(noise, abs=0.02)


def test_classes_that_overlap_are_not_taken_for_noise() -> None:
    given = _given(0.0, 5, overlap=2.0, seed=2)
    assert (given < 0.5).mean() > 0.5
    assert estimate_label_noise(given, 5) < 0.03


def test_one_class_has_no_wrong_labels() -> None:
    assert estimate_label_noise(np.ones(10), 1) == pytest.approx(0.001)


def test_probabilities_of_zero_and_one_are_allowed() -> None:
    given = np.repeat([0.0, 1.0], [25, 75])
    assert estimate_label_noise(given, 4) == pytest.approx(0.25, abs=0.01)
