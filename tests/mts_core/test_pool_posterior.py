"""Checks the pool's posterior against a kernel regression that is solved again for each sample."""

import itertools
from typing import Any

import numpy as np
import pytest
from curation_problems import CLASSES, auroc, draw
from numpy.typing import NDArray
from scipy.spatial import distance
from scipy.special import log_softmax

from mts_core.kernel_ridge import fit_kernel_posterior
from mts_core.pool_posterior import (
    LabelledVectors,
    PoolPosterior,
    fit_labels_as_given,
    fit_landmark_map,
    fit_pool_posterior,
)

Weights = NDArray[np.float64]
RIDGES = (0.1, 1.0, 10.0)
TEMPERATURES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

# Features are held in single precision, and directions of the kernel below a millionth of its
# largest are left out; outputs of size one then differ by some 1e-3, logits by 32 times that.
OUTPUT_TOLERANCE = 2e-3


def _problem(
    *, pool_size: int = 60, reference_size: int = 12, bad: float = 0.4, seed: int = 0
) -> tuple[LabelledVectors, LabelledVectors, NDArray[np.bool_]]:
    """Return a pool whose labels are wrong in part, a reference set, and which labels are right."""
    generator = np.random.default_rng(seed)
    vectors, truth = draw(pool_size, generator)
    is_good = generator.random(pool_size) >= bad
    wrong = (truth + generator.integers(1, CLASSES, pool_size)) % CLASSES
    pool = LabelledVectors(vectors, np.where(is_good, truth, wrong))
    return pool, LabelledVectors(*draw(reference_size, generator)), is_good


def _prior(pool: LabelledVectors, reference: LabelledVectors) -> Weights:
    posterior = fit_kernel_posterior(reference.vectors, reference.labels, CLASSES)
    given = posterior.log_probabilities(pool.vectors)[np.arange(len(pool.labels)), pool.labels]
    return np.asarray(np.exp(given))


def _fit(
    pool: LabelledVectors,
    reference: LabelledVectors,
    prior: Weights,
    **changes: Any,  # Any: a setting of the fit.
) -> PoolPosterior:
    settings = {
        "class_count": CLASSES,
        "landmark_count": len(pool.labels),
        "rounds": 1,
        "class_factors": np.ones(CLASSES),
        "seed": 0,
    }
    return fit_pool_posterior(pool, reference, prior, **{**settings, **changes})


def _support(posterior: PoolPosterior, labels: NDArray[np.int64]) -> Weights:
    """Return the log probability of each fitted sample's label, without the sample."""
    given = posterior.fitted_log_probabilities[np.arange(len(labels)), labels]
    return given.astype(np.float64)


class _Refitted:
    """The same regression on the kernel itself, solved again without each sample."""

    def __init__(self, pool: LabelledVectors, reference: LabelledVectors) -> None:
        self.vectors = np.concatenate([pool.vectors, reference.vectors]).astype(np.float64)
        self.labels = np.concatenate([pool.labels, reference.labels])
        self.size = len(pool.labels)
        self.bandwidth = np.median(distance.pdist(self.vectors, "sqeuclidean"))

    def outputs(
        self, queries: NDArray[np.float64], weights: Weights, ridge: float, used: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        targets = np.eye(CLASSES)[self.labels]
        centre = np.average(targets, axis=0, weights=weights)
        own = distance.cdist(self.vectors[used], self.vectors[used], "sqeuclidean")
        to_query = distance.cdist(queries, self.vectors[used], "sqeuclidean")
        # A sample of weight w counts as if it were seen w times: its ridge is that much smaller.
        system = np.exp(-own / self.bandwidth) + np.diag(ridge / weights[used])
        solution = np.linalg.solve(system, (targets - centre)[used])
        return np.asarray(centre + np.exp(-to_query / self.bandwidth) @ solution)

    def left_out(self, weights: Weights, ridge: float) -> NDArray[np.float64]:
        count = len(self.labels)
        rows = []
        for sample in range(count):
            used = np.arange(count) != sample
            rows.append(self.outputs(self.vectors[[sample]], weights, ridge, used)[0])
        return np.stack(rows)

    def run(
        self, prior: Weights, rounds: int, class_factors: Weights
    ) -> tuple[Weights, float, float]:
        """Return the last round's weights, ridge and temperature."""
        support = prior
        for _ in range(rounds):
            weights = support / (support + 1.0 / CLASSES)
            weights *= class_factors[self.labels[: self.size]]
            own = np.full(len(self.labels) - self.size, max(weights.mean(), 0.05))
            weights = np.concatenate([weights, own])
            outputs = {ridge: self.left_out(weights, ridge) for ridge in RIDGES}
            ridge, temperature = min(
                itertools.product(RIDGES, TEMPERATURES),
                key=lambda pair: self._loss(pair[1] * outputs[pair[0]]),
            )
            log_probabilities = log_softmax(temperature * outputs[ridge], axis=1)
            support = np.exp(log_probabilities[np.arange(self.size), self.labels[: self.size]])
        return weights, ridge, temperature

    def _loss(self, logits: NDArray[np.float64]) -> float:
        known = log_softmax(logits, axis=1)[self.size :]
        return -float(known[np.arange(len(known)), self.labels[self.size :]].mean())


@pytest.mark.parametrize(
    ("rounds", "class_factors"), [(1, (1.0, 1.0, 1.0)), (3, (1.0, 1.0, 1.0)), (3, (2.5, 0.4, 1.0))]
)
def test_predictions_are_those_of_a_regression_solved_again_without_the_sample(
    rounds: int, class_factors: tuple[float, ...]
) -> None:
    pool, reference, _ = _problem()
    prior = _prior(pool, reference)
    refitted = _Refitted(pool, reference)
    factors = np.array(class_factors)
    weights, ridge, temperature = refitted.run(prior, rounds, factors)
    left_out = log_softmax(temperature * refitted.left_out(weights, ridge), axis=1)
    posterior = _fit(pool, reference, prior, rounds=rounds, class_factors=factors)
    tolerance = OUTPUT_TOLERANCE * temperature
    assert posterior.temperature == temperature
    assert np.allclose(posterior.fitted_log_probabilities, left_out[: len(prior)], atol=tolerance)
    assert np.allclose(posterior.left_out_reference, left_out[len(prior) :], atol=tolerance)
    queries, _ = draw(20, np.random.default_rng(5))
    everything = np.ones(len(weights), dtype=np.bool_)
    outputs = refitted.outputs(queries.astype(np.float64), weights, ridge, everything)
    expected = log_softmax(temperature * outputs, axis=1)
    assert np.allclose(posterior.log_probabilities(queries), expected, atol=tolerance)


def test_labels_as_given_are_fitted_with_the_classes_factors_and_without_a_reference_set() -> None:
    pool, _, _ = _problem()
    factors = np.array([2.5, 0.4, 1.0])
    nobody = LabelledVectors(pool.vectors[:0], pool.labels[:0])
    refitted, weights = _Refitted(pool, nobody), factors[pool.labels]
    places = np.arange(len(weights))
    predicted = {
        (ridge, temperature): log_softmax(temperature * outputs, axis=1)
        for ridge in RIDGES
        for outputs in (refitted.left_out(weights, ridge),)
        for temperature in TEMPERATURES
    }
    best = max(
        predicted,
        key=lambda pair: float(weights @ predicted[pair][places, pool.labels]),
    )
    posterior = fit_labels_as_given(
        pool, class_count=CLASSES, landmark_count=len(weights), class_factors=factors, seed=0
    )
    assert posterior.temperature == best[1]
    tolerance = OUTPUT_TOLERANCE * best[1]
    assert np.allclose(posterior.fitted_log_probabilities, predicted[best], atol=tolerance)


def test_features_reproduce_the_kernel_where_every_sample_is_a_landmark() -> None:
    vectors, _ = draw(50, np.random.default_rng(0))
    features = fit_landmark_map(vectors).apply(vectors)
    squared = distance.pdist(vectors.astype(np.float64), "sqeuclidean")
    kernel = np.exp(-distance.squareform(squared) / np.median(squared))
    # As much as the directions weigh that are left out, and single precision besides.
    assert np.allclose(features @ features.T, kernel, atol=1e-4)


def test_equal_landmarks_take_no_direction_of_their_own() -> None:
    vectors, _ = draw(10, np.random.default_rng(0))
    repeated = fit_landmark_map(np.repeat(vectors, 3, axis=0))
    assert repeated.whitening.shape == (30, 10)
    assert np.isfinite(repeated.apply(vectors)).all()


def _mean_auroc(bad: float, *, with_prior: bool = True) -> float:
    found = []
    for seed in range(4):
        pool, reference, is_good = _problem(pool_size=300, reference_size=30, bad=bad, seed=seed)
        uniform = np.full(len(is_good), 1.0 / CLASSES)
        prior = _prior(pool, reference) if with_prior else uniform
        posterior = _fit(pool, reference, prior, landmark_count=60, rounds=4)
        found.append(auroc(_support(posterior, pool.labels), is_good))
    return float(np.mean(found))


@pytest.mark.parametrize("bad", [0.3, 0.5])
def test_wrong_labels_are_weighed_down(bad: float) -> None:
    assert _mean_auroc(bad) > 0.9


# With 70 % wrong labels among three classes each wrong class has more samples (35 %) in a cluster
# than the right one (30 %): only the reference set knows better.
def test_a_majority_of_wrong_labels_does_not_win_against_the_reference_prior() -> None:
    informed = _mean_auroc(0.7)
    assert informed > 0.75
    assert informed - _mean_auroc(0.7, with_prior=False) > 0.1


def test_a_sample_alone_in_its_place_has_nobody_to_vouch_for_its_label() -> None:
    pool, reference, _ = _problem(pool_size=240, bad=0.0)
    far = np.full((1, pool.vectors.shape[1]), 50.0, np.float32)
    for label in range(CLASSES):
        labels = np.append(pool.labels, label)
        lonely = LabelledVectors(np.concatenate([pool.vectors, far]), labels)
        posterior = _fit(lonely, reference, np.full(len(labels), 0.5))
        with_itself = posterior.log_probabilities(far)[0]
        without = posterior.fitted_log_probabilities[-1]
        assert np.exp(with_itself[label]) > 0.6
        # What is left are the shares of the classes, a third each but for the sample itself.
        assert np.exp(without) == pytest.approx(1 / CLASSES, abs=0.05)


def test_the_order_of_the_pool_does_not_matter_where_nothing_is_drawn() -> None:
    pool, reference, _ = _problem()
    prior = _prior(pool, reference)
    order = np.random.default_rng(1).permutation(len(prior))
    shuffled = LabelledVectors(pool.vectors[order], pool.labels[order])
    one = _fit(pool, reference, prior, rounds=3)
    other = _fit(shuffled, reference, prior[order], rounds=3)
    tolerance = OUTPUT_TOLERANCE * one.temperature
    assert np.allclose(
        other.fitted_log_probabilities, one.fitted_log_probabilities[order], atol=tolerance
    )


def test_a_class_that_no_sample_bears_is_still_predicted() -> None:
    pool, reference, _ = _problem()
    posterior = _fit(pool, reference, _prior(pool, reference), class_count=CLASSES + 1)
    assert posterior.fitted_log_probabilities.shape == (len(pool.labels), CLASSES + 1)
    assert (posterior.fitted_log_probabilities.argmax(axis=1) < CLASSES).all()
