"""Predicts classes from a small labelled set, by kernel ridge regression."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import distance
from scipy.special import log_softmax

_RIDGES: Final = (1e-3, 1e-2, 1e-1, 1.0)
_TEMPERATURES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_FEWEST_PER_CLASS: Final = 4
"""Samples of a class below which ridge and temperature are fixed."""
_FIXED_RIDGE: Final = 1e-1
_FIXED_TEMPERATURE: Final = 12.0
# What is left of two or three samples of a class without one of them allows a softer statement.
_FIXED_TEMPERATURE_WITHOUT_ONE: Final = 4.0


def leave_one_out_log_loss(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], class_count: int
) -> float:
    """Return the mean log loss of each sample, predicted from the others, in nats.

    A radial kernel whose bandwidth is the median squared distance; ridge and temperature are those
    of the lowest loss. Below four samples a class the search would follow noise, so both are fixed.

    Args:
        vectors: [sample, dimension] float32.
        labels: [sample] int64.
        class_count: Number of classes.

    Cost: cubic in the number of samples, which is small for a reference set.

    Source: [hastie2009elements], equation 7.64: leave-one-out residuals in closed form.
    """
    kernel = _radial_kernel(vectors, median_squared_distance(vectors))
    losses = _losses(kernel, labels, class_count, fixed=_FIXED_TEMPERATURE_WITHOUT_ONE)
    return min(losses.values())


@dataclass(frozen=True, eq=False)
class KernelPosterior:
    """What a small labelled set says of other samples' classes.

    Attributes:
        vectors: [known, dimension] float32, the labelled set.
        coefficients: [known, class] float64.
        centre: [class] float64, shares of the classes in the set.
        bandwidth: Squared distance over which likeness falls to 1/e.
        temperature: Factor between a regression's output and a logit.
    """

    vectors: NDArray[np.float32]
    coefficients: NDArray[np.float64]
    centre: NDArray[np.float64]
    bandwidth: float
    temperature: float

    def log_probabilities(self, queries: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the log probability of each class, [query, class].

        Args:
            queries: [query, dimension] float32.
        """
        kernel = radial_kernel(queries, self.vectors, self.bandwidth)
        outputs = self.centre + kernel @ self.coefficients
        log_probabilities: NDArray[np.float64] = log_softmax(self.temperature * outputs, axis=1)
        return log_probabilities


def fit_kernel_posterior(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], class_count: int
) -> KernelPosterior:
    """Return the regression whose ridge and temperature have the lowest leave-one-out log loss.

    Args:
        vectors: [sample, dimension] float32.
        labels: [sample] int64.
        class_count: Number of classes.

    Cost: as `leave_one_out_log_loss`.
    """
    bandwidth = median_squared_distance(vectors)
    kernel = _radial_kernel(vectors, bandwidth)
    losses = _losses(kernel, labels, class_count)
    ridge, temperature = min(losses, key=lambda setting: losses[setting])
    targets = np.eye(class_count)[labels]
    centre = targets.mean(axis=0)
    coefficients = np.linalg.solve(kernel + ridge * np.eye(len(kernel)), targets - centre)
    return KernelPosterior(vectors, coefficients, centre, bandwidth, temperature)


def left_out_log_probabilities(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], class_count: int
) -> NDArray[np.float64]:
    """Return what `fit_kernel_posterior` says of each labelled sample from the others alone.

    Args:
        vectors: [known, dimension] float32.
        labels: [known] int64.
        class_count: Number of classes.

    Returns:
        [known, class] float64.

    Cost: as `leave_one_out_log_loss`.

    Source: [hastie2009elements], equation 7.64.
    """
    kernel = _radial_kernel(vectors, median_squared_distance(vectors))
    losses = _losses(kernel, labels, class_count)
    ridge, temperature = min(losses, key=lambda setting: losses[setting])
    left_out = _left_out_predictions(kernel, np.eye(class_count)[labels], ridge)
    log_probabilities: NDArray[np.float64] = log_softmax(temperature * left_out, axis=1)
    return log_probabilities


def radial_kernel(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], bandwidth: float
) -> NDArray[np.float64]:
    """Return the likeness of each query with each vector, [query, vector] in (0, 1].

    Args:
        queries: [query, dimension] float32.
        vectors: [vector, dimension] float32.
        bandwidth: Squared distance over which likeness falls to 1/e.
    """
    left, right = queries.astype(np.float64), vectors.astype(np.float64)
    # One matrix product instead of a loop over pairs, which would take ten times as long.
    squared = (
        np.square(left).sum(axis=1)[:, None] + np.square(right).sum(axis=1) - 2 * left @ right.T
    )
    # Rounding can take the distance of equal vectors just below zero.
    likeness: NDArray[np.float64] = np.exp(-np.maximum(squared, 0.0) / bandwidth)
    return likeness


def _losses(
    kernel: NDArray[np.float64],
    labels: NDArray[np.int64],
    class_count: int,
    *,
    fixed: float = _FIXED_TEMPERATURE,
) -> dict[tuple[float, float], float]:
    """Return the leave-one-out log loss by ridge and temperature.

    Args:
        kernel: [sample, sample].
        labels: [sample] int64.
        class_count: Number of classes.
        fixed: Temperature where a class has too few samples to choose one.
    """
    targets = np.eye(class_count)[labels]
    counts = np.bincount(labels, minlength=class_count)
    is_small = counts[counts > 0].min() < _FEWEST_PER_CLASS
    ridges = (_FIXED_RIDGE,) if is_small else _RIDGES
    temperatures = (fixed,) if is_small else _TEMPERATURES
    return {
        (ridge, temperature): _log_loss(left_out * temperature, labels)
        for ridge in ridges
        for left_out in (_left_out_predictions(kernel, targets, ridge),)
        for temperature in temperatures
    }


def median_squared_distance(vectors: NDArray[np.float32]) -> float:
    """Return the median squared distance of two vectors; 1 where all are equal.

    Args:
        vectors: [vector, dimension] float32.

    Cost: quadratic in the number of vectors.
    """
    squared = distance.pdist(vectors.astype(np.float64), "sqeuclidean")
    # Identical vectors have no bandwidth of their own; any positive one gives the same kernel.
    return (float(np.median(squared)) if len(squared) else 1.0) or 1.0


def _radial_kernel(vectors: NDArray[np.float32], bandwidth: float) -> NDArray[np.float64]:
    squared = distance.pdist(vectors.astype(np.float64), "sqeuclidean")
    kernel: NDArray[np.float64] = np.exp(-distance.squareform(squared) / bandwidth)
    return kernel


def _left_out_predictions(
    kernel: NDArray[np.float64], targets: NDArray[np.float64], ridge: float
) -> NDArray[np.float64]:
    inverse = np.linalg.inv(kernel + ridge * np.eye(len(kernel)))
    centred = targets - targets.mean(axis=0)
    residuals = (inverse @ centred) / np.diag(inverse)[:, None]
    left_out: NDArray[np.float64] = targets - residuals
    return left_out


def _log_loss(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return -float(log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())
