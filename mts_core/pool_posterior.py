"""Predicts classes from the pool itself, by a kernel regression that cleans its own labels."""

from dataclasses import dataclass
from typing import Final, final

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from mts_core.kernel_ridge import (
    candidate_temperatures,
    median_squared_distance,
    radial_kernel,
)

FIT_LIMIT: Final = 32_768
"""Pool samples that the regression is fitted on at most; the others are predicted."""

_RIDGES: Final = (0.1, 1.0, 10.0)
_LEAST_REFERENCE_WEIGHT: Final = 0.05
_SMALLEST_EIGENVALUE: Final = 1e-6
"""Share of the largest eigenvalue below which a direction of the landmarks is rounding."""

_MOST_REFERENCE_LANDMARKS: Final = 512


@dataclass(frozen=True, eq=False)
class LandmarkMap:
    """Maps vectors to features whose inner products approximate a radial kernel.

    Attributes:
        landmarks: [landmark, dimension] float32.
        whitening: [landmark, feature] float64.
        bandwidth: Squared distance over which likeness falls to 1/e.

    Source: [williams2001nystrom].
    """

    landmarks: NDArray[np.float32]
    whitening: NDArray[np.float64]
    bandwidth: float

    def apply(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return features [sample, feature] float32 of vectors [sample, dimension]."""
        likeness = radial_kernel(vectors, self.landmarks, self.bandwidth)
        return np.asarray(likeness @ self.whitening, dtype=np.float32)


def fit_landmark_map(landmarks: NDArray[np.float32]) -> LandmarkMap:
    """Return the map of some landmarks, with their median squared distance as bandwidth.

    Args:
        landmarks: [landmark, dimension] float32.

    Cost: cubic in the number of landmarks.
    """
    bandwidth = median_squared_distance(landmarks)
    values, vectors = np.linalg.eigh(radial_kernel(landmarks, landmarks, bandwidth))
    is_kept = values > _SMALLEST_EIGENVALUE * values[-1]
    return LandmarkMap(landmarks, vectors[:, is_kept] / np.sqrt(values[is_kept]), bandwidth)


@dataclass(frozen=True, eq=False)
class LabelledVectors:
    """Vectors of one encoder with the classes that they claim to be of.

    Attributes:
        vectors: [sample, dimension] float32.
        labels: [sample] int64.
    """

    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]


@final
@dataclass(frozen=True, eq=False)
class PoolPosterior:
    """What the cleaned pool says of classes.

    Attributes:
        landmark_map: Features that the regression is linear in.
        coefficients: [feature, class] float64.
        centre: [class] float64, shares of the classes.
        temperature: Factor between a regression's output and a logit.
        fitted_log_probabilities: [fitted, class] float32, of each sample that it was fitted on,
            without the sample itself.
        left_out_reference: [reference, class] float64, the same for the reference set.
    """

    landmark_map: LandmarkMap
    coefficients: NDArray[np.float64]
    centre: NDArray[np.float64]
    temperature: float
    fitted_log_probabilities: NDArray[np.float32]
    left_out_reference: NDArray[np.float64]

    def log_probabilities(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the log probability of each class, [sample, class], of samples not fitted on.

        Args:
            vectors: [sample, dimension] float32.
        """
        outputs = self.centre + self.landmark_map.apply(vectors) @ self.coefficients
        log_probabilities: NDArray[np.float64] = log_softmax(self.temperature * outputs, axis=1)
        return log_probabilities


def fit_pool_posterior(  # noqa: PLR0913  # Data and settings, each of its own meaning.
    pool: LabelledVectors,
    reference: LabelledVectors,
    prior: NDArray[np.float64],
    *,
    class_count: int,
    landmark_count: int,
    rounds: int,
    class_factors: NDArray[np.float64],
    seed: int,
) -> PoolPosterior:
    """Return a regression on pool and reference set, with wrong labels weighed down.

    Each round fits a ridge regression of the one-hot labels, with weight omega_i of sample i, and
    predicts every sample without itself. Ridge and temperature are those of the lowest left-out log
    loss on the reference set. With q_i the probability of the given label, the next round has
    omega_i = q_i / (q_i + 1 / classes): the probability of the label being right where half of the
    labels are and wrong ones are drawn at random. Each class's samples weigh as much more as it is
    more frequent elsewhere than in the pool. Reference samples weigh as much as the mean.

    Args:
        pool: The samples that it is fitted on.
        reference: The real set.
        prior: [sample] probabilities of the given labels by the reference set alone; the first
            round's weights follow from them, so that a majority of wrong labels does not win.
        class_count: Number of classes.
        landmark_count: Pool samples among the landmarks; the reference set is added to them.
        rounds: Rounds, at least one.
        class_factors: [class], as `label_shift_factors` returns them.
        seed: Seed of the draw of landmarks.

    Cost: linear in samples, cubic in landmarks, for each round.

    Source: [hastie2009elements], equation 7.64, for left-out predictions of a linear smoother.
    """
    landmark_map = fit_landmark_map(_landmarks(pool, reference, landmark_count, seed))
    frequency = class_factors[pool.labels]
    features = np.concatenate(
        [landmark_map.apply(pool.vectors), landmark_map.apply(reference.vectors)]
    )
    targets = np.eye(class_count, dtype=np.float32)[np.concatenate([pool.labels, reference.labels])]
    size = len(pool.labels)
    support = prior
    for _ in range(rounds):
        weights = frequency * support / (support + 1.0 / class_count)
        own = np.full(len(reference.labels), max(weights.mean(), _LEAST_REFERENCE_WEIGHT))
        smoother = _fit_smoother(features, targets, np.concatenate([weights, own]))
        ridge, temperature = _best_setting(smoother, slice(size, None), reference.labels)
        left_out = log_softmax(temperature * smoother.left_out(ridge), axis=1)
        support = np.exp(left_out[np.arange(size), pool.labels])
    return PoolPosterior(
        landmark_map=landmark_map,
        coefficients=smoother.coefficients(ridge),
        centre=smoother.centre,
        temperature=temperature,
        fitted_log_probabilities=left_out[:size].astype(np.float32),
        left_out_reference=left_out[size:].astype(np.float64),
    )


def fit_labels_as_given(
    pool: LabelledVectors,
    *,
    class_count: int,
    landmark_count: int,
    class_factors: NDArray[np.float64],
    seed: int,
) -> PoolPosterior:
    """Return the regression on the pool alone, as it is labelled.

    Ridge and temperature are those of the lowest left-out log loss on the pool itself.

    Args:
        pool: The samples that it is fitted on.
        class_count: Number of classes.
        landmark_count: Pool samples among the landmarks.
        class_factors: [class], weights of the classes' samples.
        seed: Seed of the draw of landmarks.

    Cost: as one round of `fit_pool_posterior`.
    """
    nobody = LabelledVectors(pool.vectors[:0], pool.labels[:0])
    landmark_map = fit_landmark_map(_landmarks(pool, nobody, landmark_count, seed))
    targets = np.eye(class_count, dtype=np.float32)[pool.labels]
    smoother = _fit_smoother(landmark_map.apply(pool.vectors), targets, class_factors[pool.labels])
    ridge, temperature = _best_setting(smoother, slice(None), pool.labels)
    left_out = log_softmax(temperature * smoother.left_out(ridge), axis=1)
    return PoolPosterior(
        landmark_map=landmark_map,
        coefficients=smoother.coefficients(ridge),
        centre=smoother.centre,
        temperature=temperature,
        fitted_log_probabilities=left_out.astype(np.float32),
        left_out_reference=left_out[:0],
    )


@dataclass(frozen=True, eq=False)
class _Smoother:
    """A weighted ridge regression for every ridge at once, in the basis of its normal matrix.

    Attributes:
        basis: [feature, feature] float64, eigenvectors of the normal matrix.
        spectrum: [feature] float64, its eigenvalues.
        rotated: [sample, feature] float32, features in that basis.
        moments: [feature, class] float64, weighted targets in that basis.
        targets: [sample, class] float32, less their weighted mean.
        centre: [class] float64, the weighted mean of the targets.
        weights: [sample] float64.
    """

    basis: NDArray[np.float64]
    spectrum: NDArray[np.float64]
    rotated: NDArray[np.float32]
    moments: NDArray[np.float64]
    targets: NDArray[np.float32]
    centre: NDArray[np.float64]
    weights: NDArray[np.float64]

    def left_out(self, ridge: float) -> NDArray[np.float64]:
        """Return what is predicted for each sample without it, [sample, class]."""
        shrinkage = 1.0 / (self.spectrum + ridge)
        predicted = self.rotated @ (self.moments * shrinkage[:, None])
        leverage = (np.square(self.rotated) @ shrinkage) * self.weights
        # A leverage of one would mean that nothing but the sample itself speaks for it.
        share = np.minimum(leverage, 1.0 - 1e-6)[:, None]
        return np.asarray(self.centre + (predicted - share * self.targets) / (1.0 - share))

    def coefficients(self, ridge: float) -> NDArray[np.float64]:
        """Return the coefficients of the features, [feature, class]."""
        return np.asarray(self.basis @ (self.moments / (self.spectrum + ridge)[:, None]))


def _fit_smoother(
    features: NDArray[np.float32], targets: NDArray[np.float32], weights: NDArray[np.float64]
) -> _Smoother:
    weighted = features * weights[:, None].astype(np.float32)
    spectrum, basis = np.linalg.eigh((features.T @ weighted).astype(np.float64))
    centre = (weights @ targets) / weights.sum()
    centred = (targets - centre).astype(np.float32)
    rotated = features @ basis.astype(np.float32)
    moments = rotated.T @ (centred * weights[:, None].astype(np.float32))
    # Rounding in single precision can take the smallest eigenvalues below zero.
    spectrum = np.maximum(spectrum, 0.0)
    return _Smoother(basis, spectrum, rotated, moments.astype(np.float64), centred, centre, weights)


def _best_setting(
    smoother: _Smoother, rows: slice, labels: NDArray[np.int64]
) -> tuple[float, float]:
    """Return the ridge and temperature of the lowest left-out log loss on some rows."""
    losses = {}
    for ridge in _RIDGES:
        outputs = smoother.left_out(ridge)[rows]
        for temperature in candidate_temperatures(smoother.targets.shape[1]):
            log_probabilities = log_softmax(temperature * outputs, axis=1)
            given = log_probabilities[np.arange(len(labels)), labels]
            losses[ridge, temperature] = -np.average(given, weights=smoother.weights[rows])
    return min(losses, key=lambda setting: losses[setting])


def _landmarks(
    pool: LabelledVectors, reference: LabelledVectors, count: int, seed: int
) -> NDArray[np.float32]:
    generator = np.random.default_rng(seed)
    drawn = generator.choice(len(pool.vectors), min(count, len(pool.vectors)), replace=False)
    known = np.arange(len(reference.vectors))
    if len(known) > _MOST_REFERENCE_LANDMARKS:
        known = generator.choice(len(known), _MOST_REFERENCE_LANDMARKS, replace=False)
    return np.concatenate([reference.vectors[known], pool.vectors[drawn]])
