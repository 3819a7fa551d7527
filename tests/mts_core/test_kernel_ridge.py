import itertools

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import distance
from scipy.special import log_softmax

from mts_core.kernel_ridge import (
    candidate_temperatures,
    choose_kernel_setting,
    fit_kernel_posterior,
    leave_one_out_log_loss,
    left_out_log_probabilities,
    radial_kernel,
    whole_folds,
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
    vectors: Vectors,
    labels: NDArray[np.int64],
    ridge: float,
    temperature: float,
    folds: NDArray[np.int64] | None = None,
) -> float:
    """Leave each sample or fold out in turn, solve again and predict it.

    The mean of the targets is that of all where samples are left out one by one, and that of the
    others where folds are.
    """
    targets = np.eye(labels.max() + 1)[labels]
    squared = ((vectors[:, None].astype(np.float64) - vectors) ** 2).sum(axis=2)
    bandwidth = np.median(squared[np.triu_indices(len(labels), k=1)])
    kernel = np.exp(-squared / bandwidth)
    losses = []
    for left in range(len(labels)):
        used = np.arange(len(labels)) != left if folds is None else folds != folds[left]
        centre = targets.mean(axis=0) if folds is None else targets[used].mean(axis=0)
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


def _cost(
    vectors: Vectors,
    labels: NDArray[np.int64],
    setting: tuple[float, float],
    folds: NDArray[np.int64] | None,
) -> float:
    """Return the loss, with a quarter of a nat on a factor e of temperature for folds.

    The quarter is for the whole set, and the temperature that costs nothing is 4.
    """
    loss = _refitted_loss(vectors, labels, *setting, folds)
    if folds is None:
        return loss
    return float(loss + 0.25 * np.log(setting[1] / 4.0) ** 2 / len(labels))


def _settings_and_folds(
    labels: NDArray[np.int64], per_class: int
) -> tuple[list[tuple[float, float]], NDArray[np.int64] | None]:
    """Return what is to be compared, and the folds: labels take turns, so the k-th of each."""
    if per_class < 4:
        return list(itertools.product([0.1], TEMPERATURES)), np.arange(len(labels)) // (
            len(labels) // per_class
        )
    return list(itertools.product(RIDGES, TEMPERATURES)), None


@pytest.mark.parametrize("per_class", [6, 3, 2])
def test_left_out_predictions_are_those_of_the_others(per_class: int) -> None:
    vectors, labels = _clusters(spread=0.7, per_class=per_class)
    found = left_out_log_probabilities(vectors, labels, 3)
    assert np.allclose(np.exp(found).sum(axis=1), 1.0, atol=1e-12)
    loss = -found[np.arange(len(labels)), labels].mean()
    settings, folds = _settings_and_folds(labels, per_class)
    chosen = min(settings, key=lambda pair: _cost(vectors, labels, pair, folds))
    expected = _refitted_loss(vectors, labels, *chosen, folds)
    assert loss == pytest.approx(expected, rel=1e-8)


def test_folds_of_a_small_set_hold_an_equal_part_of_every_class() -> None:
    labels = np.array([0, 1, 1, 0, 1, 2, 1, 2, 0, 1, 1])
    folds = whole_folds(labels)
    assert folds is not None
    counts = [np.bincount(labels[folds == fold], minlength=3) for fold in (0, 1)]
    assert (np.abs(counts[0] - counts[1]) <= 1).all()
    assert np.min(counts) >= 1
    assert whole_folds(np.arange(12) % 3) is None


# One left out of two lets the others' classes outnumber its own two to one: by itself that makes
# its label look less probable than a guess, in a view that tells all samples apart.
def test_clear_samples_of_a_small_set_are_not_held_against_their_own_class() -> None:
    vectors = np.eye(8, dtype=np.float32)[np.arange(16) % 8]
    vectors += np.random.default_rng(0).normal(scale=0.3, size=vectors.shape).astype(np.float32)
    found = left_out_log_probabilities(vectors, np.arange(16) % 8, 8)
    assert -found[np.arange(16), np.arange(16) % 8].mean() < np.log(8) - 0.5


def test_four_samples_that_are_all_right_do_not_make_a_posterior_all_but_certain() -> None:
    vectors, labels = _clusters(spread=0.01, per_class=2, classes=2)
    found = left_out_log_probabilities(vectors, labels, 2)
    assert (found.argmax(axis=1) == labels).all()
    assert fit_kernel_posterior(vectors, labels, 2).temperature < 16


@pytest.mark.parametrize(("per_class", "classes"), [(6, 3), (3, 4), (2, 5)])
def test_a_posterior_is_the_regression_at_the_best_of_its_settings(
    per_class: int, classes: int
) -> None:
    vectors, labels = _clusters(spread=0.7, per_class=per_class, classes=classes)
    queries, _ = _clusters(spread=1.5, per_class=8, classes=classes, seed=1)
    settings, folds = _settings_and_folds(labels, per_class)
    ridge, temperature = min(settings, key=lambda pair: _cost(vectors, labels, pair, folds))
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


@pytest.mark.parametrize(("class_count", "highest"), [(2, 32), (63, 32), (64, 64), (200, 128)])
def test_temperatures_go_as_high_as_there_are_classes(class_count: int, highest: int) -> None:
    temperatures = candidate_temperatures(class_count)
    assert temperatures[:6] == TEMPERATURES
    assert temperatures[-1] == highest
    assert all(later == 2 * earlier for earlier, later in itertools.pairwise(temperatures))


def test_many_classes_choose_a_temperature_that_few_do_not_have() -> None:
    vectors, labels = _clusters(spread=0.02, per_class=5, classes=150)
    assert choose_kernel_setting(vectors, labels, 150).temperature > max(TEMPERATURES)
