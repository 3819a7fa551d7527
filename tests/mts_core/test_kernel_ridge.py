import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import distance
from scipy.special import log_softmax

from mts_core.kernel_ridge import (
    fit_kernel_posterior,
    leave_one_out_log_loss,
    left_out_log_probabilities,
    radial_kernel,
)

Vectors = NDArray[np.float32]
RIDGES = (1e-3, 1e-2, 1e-1, 1.0)
TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


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
        for ridge, temperature in itertools.product(RIDGES, TEMPERATURES)
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


def _refitted(
    vectors: Vectors, labels: NDArray[np.int64], queries: Vectors, ridge: float
) -> NDArray[np.float64]:
    """Solve the regression by distances of scipy and predict, without a temperature."""
    known, asked = vectors.astype(np.float64), queries.astype(np.float64)
    bandwidth = np.median(distance.pdist(known, "sqeuclidean"))
    kernel, likeness = (
        np.exp(-distance.cdist(rows, known, "sqeuclidean") / bandwidth) for rows in (known, asked)
    )
    targets = np.eye(labels.max() + 1)[labels]
    centre = targets.mean(axis=0)
    solution = np.linalg.solve(kernel + ridge * np.eye(len(known)), targets - centre)
    return np.asarray(centre + likeness @ solution)


# A squared distance out of a product loses what the squared norms have above it: at norms of 1e3
# that is 1e-16 of 1e6, over a bandwidth near 1.
@pytest.mark.parametrize(("offset", "tolerance"), [(0.0, 1e-13), (1e3, 1e-8)])
def test_the_kernel_is_that_of_the_distances(offset: float, tolerance: float) -> None:
    generator = np.random.default_rng(0)
    queries, vectors = (
        (generator.normal(size=(count, 5)) + offset).astype(np.float32) for count in (7, 11)
    )
    squared = distance.cdist(queries.astype(np.float64), vectors.astype(np.float64), "sqeuclidean")
    found = radial_kernel(queries, vectors, 3.0)
    assert np.allclose(found, np.exp(-squared / 3.0), rtol=0, atol=tolerance)
    assert (np.diag(radial_kernel(vectors, vectors, 3.0)) <= 1.0).all()


@pytest.mark.parametrize("per_class", [6, 2])
def test_left_out_predictions_are_those_of_the_others(per_class: int) -> None:
    vectors, labels = _clusters(spread=0.7, per_class=per_class)
    found = left_out_log_probabilities(vectors, labels, 3)
    assert np.allclose(np.exp(found).sum(axis=1), 1.0, atol=1e-12)
    loss = -found[np.arange(len(labels)), labels].mean()
    expected = leave_one_out_log_loss(vectors, labels, 3)
    if per_class < 4:
        expected = _refitted_loss(vectors, labels, 0.1, 12.0)
    assert loss == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("per_class", "classes"), [(6, 3), (2, 5)])
def test_a_posterior_is_the_regression_at_the_best_of_its_settings(
    per_class: int, classes: int
) -> None:
    vectors, labels = _clusters(spread=0.7, per_class=per_class, classes=classes)
    queries, _ = _clusters(spread=1.5, per_class=8, classes=classes, seed=1)
    settings = [(0.1, 12.0)] if per_class < 4 else list(itertools.product(RIDGES, TEMPERATURES))
    ridge, temperature = min(settings, key=lambda pair: _refitted_loss(vectors, labels, *pair))
    expected = log_softmax(temperature * _refitted(vectors, labels, queries, ridge), axis=1)
    posterior = fit_kernel_posterior(vectors, labels, classes)
    # The smallest ridge leaves a system of condition 1e4.
    assert np.allclose(posterior.log_probabilities(queries), expected, atol=1e-9)


def test_far_from_everything_a_posterior_knows_the_shares_of_the_classes_alone() -> None:
    vectors, _ = _clusters(spread=0.5)
    labels = np.repeat([0, 1, 2], [9, 6, 3])
    posterior = fit_kernel_posterior(vectors, labels, 3)
    far = posterior.log_probabilities(np.full((1, 4), 1e3, np.float32))
    shares = np.array([9, 6, 3]) / 18
    assert np.allclose(far, log_softmax(posterior.temperature * shares), atol=1e-12)


def test_a_class_without_samples_is_never_the_most_probable() -> None:
    vectors, labels = _clusters(spread=0.5)
    found = fit_kernel_posterior(vectors, labels, 5).log_probabilities(vectors)
    assert found.shape == (len(labels), 5)
    assert (found.argmax(axis=1) < 3).all()
