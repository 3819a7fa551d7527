import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax

from mts_core.kernel_ridge import fit_kernel_posterior, leave_one_out_log_loss

Vectors = NDArray[np.float32]


def _clusters(
    spread: float, per_class: int = 6, classes: int = 3, seed: int = 0
) -> tuple[Vectors, NDArray[np.int64]]:
    generator = np.random.default_rng(seed)
    labels = np.arange(per_class * classes) % classes
    centres = generator.normal(size=(classes, 4))
    noise = generator.normal(scale=spread, size=(len(labels), 4))
    return (centres[labels] + noise).astype(np.float32), labels


def _refitted_loss(
    vectors: Vectors, labels: NDArray[np.int64], ridge: float, temperature: float
) -> float:
    """Leave each sample out in turn, solve again and predict it."""
    targets = np.eye(labels.max() + 1)[labels]
    squared = ((vectors[:, None].astype(np.float64) - vectors) ** 2).sum(axis=2)
    bandwidth = np.median(squared[np.triu_indices(len(labels), k=1)])
    kernel = np.exp(-squared / bandwidth)
    centre = targets.mean(axis=0)
    losses = []
    for left in range(len(labels)):
        used = np.arange(len(labels)) != left
        system = kernel[np.ix_(used, used)] + ridge * np.eye(used.sum())
        prediction = centre + kernel[left, used] @ np.linalg.solve(system, (targets - centre)[used])
        losses.append(-log_softmax(prediction * temperature)[labels[left]])
    return float(np.mean(losses))


def test_closed_form_equals_leaving_each_sample_out() -> None:
    vectors, labels = _clusters(spread=0.7)
    expected = min(
        _refitted_loss(vectors, labels, ridge, temperature)
        for ridge in (1e-3, 1e-2, 1e-1, 1.0)
        for temperature in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
    )
    assert leave_one_out_log_loss(vectors, labels, 3) == pytest.approx(expected, rel=1e-8)


def test_the_clearer_view_has_the_lower_loss() -> None:
    clear, labels = _clusters(spread=0.2)
    blurred, _ = _clusters(spread=2.0)
    assert leave_one_out_log_loss(clear, labels, 3) < leave_one_out_log_loss(blurred, labels, 3)


def test_two_samples_a_class_are_enough() -> None:
    vectors, labels = _clusters(spread=0.2, per_class=2)
    assert _refitted_loss(vectors, labels, 0.1, 4.0) == pytest.approx(
        leave_one_out_log_loss(vectors, labels, 3), rel=1e-8
    )


def test_identical_vectors_give_a_finite_loss() -> None:
    labels = np.arange(8) % 2
    assert np.isfinite(leave_one_out_log_loss(np.zeros((8, 3), np.float32), labels, 2))


def test_posterior_solves_the_regression_of_the_best_setting() -> None:
    vectors, labels = _clusters(spread=0.7)
    posterior = fit_kernel_posterior(vectors, labels, 3)
    squared = ((vectors[:, None].astype(np.float64) - vectors) ** 2).sum(axis=2)
    kernel = np.exp(-squared / np.median(squared[np.triu_indices(len(labels), k=1)]))
    targets = np.eye(3)[labels]
    losses = {
        (ridge, temperature): _refitted_loss(vectors, labels, ridge, temperature)
        for ridge in (1e-3, 1e-2, 1e-1, 1.0)
        for temperature in (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
    }
    ridge, temperature = min(losses, key=lambda setting: losses[setting])
    dual = np.linalg.inv(kernel + ridge * np.eye(len(labels))) @ (targets - targets.mean(axis=0))
    expected = log_softmax(temperature * (targets.mean(axis=0) + kernel @ dual), axis=1)
    np.testing.assert_allclose(posterior.log_probabilities(vectors), expected, rtol=1e-6)


def test_posterior_knows_the_class_of_a_new_sample() -> None:
    vectors, labels = _clusters(spread=0.2)
    moved = vectors + np.float32(0.05)
    found = fit_kernel_posterior(vectors, labels, 3).log_probabilities(moved).argmax(axis=1)
    np.testing.assert_array_equal(found, labels)
