"""Predicts classes from a small labelled set, by kernel ridge regression."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import distance
from scipy.special import log_softmax

_RIDGES: Final = (1e-3, 1e-2, 1e-1, 1.0)
_HIGHEST_USUAL_TEMPERATURE: Final = 32
_FEWEST_PER_CLASS: Final = 4
"""Samples of a class below which the ridge is fixed and whole folds are left out."""
_FIXED_RIDGE: Final = 1e-1
_FIXED_TEMPERATURE_WITHOUT_ONE: Final = 4.0
_USUAL_TEMPERATURE: Final = 4.0
_TEMPERATURE_PENALTY: Final = 0.25
"""Cost in nats, over a whole small set, of a temperature a factor e away from the usual one."""


def leave_one_out_log_loss(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], class_count: int
) -> float:
    """Return the mean log loss of each sample, predicted from the others, in nats.

    A radial kernel whose bandwidth is the median squared distance; ridge and temperature are those
    of the lowest loss. Below four samples a class, where one left out speaks against its own label,
    both are fixed: the loss then compares vectors of the same samples, and is no estimate.

    Args:
        vectors: [sample, dimension] float32.
        labels: [sample] int64.
        class_count: Number of classes.

    Cost: cubic in the number of samples, which is small for a reference set.

    Source: [hastie2009elements], equation 7.64: leave-one-out residuals in closed form.
    """
    kernel = _radial_kernel(vectors, median_squared_distance(vectors))
    ridges: Sequence[float] = _RIDGES
    temperatures: Sequence[float] = candidate_temperatures(class_count)
    if _is_small(labels):
        ridges, temperatures = (_FIXED_RIDGE,), (_FIXED_TEMPERATURE_WITHOUT_ONE,)
    losses = _losses(kernel, labels, class_count, ridges=ridges, temperatures=temperatures)
    return min(losses.values())


def candidate_temperatures(class_count: int) -> tuple[float, ...]:
    """Return the temperatures that are compared: powers of two up to 32, or the classes' number.

    A class among many has little of the kernel's mass, so that a regression's outputs are small and
    need a larger factor to say the same.

    Args:
        class_count: Number of classes.
    """
    highest = max(_HIGHEST_USUAL_TEMPERATURE, class_count)
    return tuple(float(1 << power) for power in range(highest.bit_length()))


def whole_folds(labels: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the folds that are left out as a whole, or none where samples are, one by one.

    Without one of its two samples a class has half as many as any other, so that what is left
    speaks against the sample's own label however clear the vectors are. Below four samples of some
    class every class is therefore spread over as many folds as the smallest has samples.

    Args:
        labels: [known] int64.

    Returns:
        [known] int64, or none.
    """
    if not _is_small(labels):
        return None
    counts = np.bincount(labels)
    count = max(2, counts[counts > 0].min())
    folds = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        folds[members] = np.arange(len(members)) % count
    return folds


@dataclass(frozen=True)
class KernelSetting:
    """How smooth a kernel regression is and how sure.

    Attributes:
        ridge: What is added to the diagonal of the kernel.
        temperature: Factor between a regression's output and a logit.
    """

    ridge: float
    temperature: float


def choose_kernel_setting(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], class_count: int
) -> KernelSetting:
    """Return the setting of the lowest log loss on labelled samples that are left out.

    Below four samples a class a small penalty holds the temperature: of four samples all may be
    right by chance, and would be surest at the highest one.

    Args:
        vectors: [known, dimension] float32.
        labels: [known] int64.
        class_count: Number of classes.

    Cost: as `leave_one_out_log_loss`.
    """
    folds = whole_folds(labels)
    kernel = _radial_kernel(vectors, median_squared_distance(vectors))
    ridges = _RIDGES if folds is None else (_FIXED_RIDGE,)
    losses = _losses(
        kernel,
        labels,
        class_count,
        ridges=ridges,
        temperatures=candidate_temperatures(class_count),
        folds=folds,
    )
    penalty = 0.0 if folds is None else _TEMPERATURE_PENALTY / len(labels)

    def cost(setting: KernelSetting) -> float:
        distance_to_usual = np.log(setting.temperature / _USUAL_TEMPERATURE)
        return float(losses[setting] + penalty * distance_to_usual**2)

    return min(losses, key=cost)


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
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    class_count: int,
    setting: KernelSetting | None = None,
) -> KernelPosterior:
    """Return the regression on labelled samples.

    Args:
        vectors: [known, dimension] float32.
        labels: [known] int64.
        class_count: Number of classes.
        setting: Ridge and temperature; none takes those of `choose_kernel_setting`.

    Cost: as `leave_one_out_log_loss`.
    """
    setting = setting or choose_kernel_setting(vectors, labels, class_count)
    bandwidth = median_squared_distance(vectors)
    kernel = _radial_kernel(vectors, bandwidth)
    targets = np.eye(class_count)[labels]
    centre = targets.mean(axis=0)
    coefficients = np.linalg.solve(kernel + setting.ridge * np.eye(len(kernel)), targets - centre)
    return KernelPosterior(vectors, coefficients, centre, bandwidth, setting.temperature)


def left_out_log_probabilities(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    class_count: int,
    setting: KernelSetting | None = None,
) -> NDArray[np.float64]:
    """Return what `fit_kernel_posterior` says of each labelled sample without it or its fold.

    Args:
        vectors: [known, dimension] float32.
        labels: [known] int64.
        class_count: Number of classes.
        setting: Ridge and temperature; none takes those of `choose_kernel_setting`.

    Returns:
        [known, class] float64.

    Cost: as `leave_one_out_log_loss`.

    Source: [hastie2009elements], equation 7.64, where samples are left out one by one.
    """
    setting = setting or choose_kernel_setting(vectors, labels, class_count)
    kernel = _radial_kernel(vectors, median_squared_distance(vectors))
    targets = np.eye(class_count)[labels]
    left_out = _left_out_predictions(kernel, targets, setting.ridge, whole_folds(labels))
    log_probabilities: NDArray[np.float64] = log_softmax(setting.temperature * left_out, axis=1)
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


def _losses(  # noqa: PLR0913  # Data, and the settings to compare.
    kernel: NDArray[np.float64],
    labels: NDArray[np.int64],
    class_count: int,
    *,
    ridges: Sequence[float],
    temperatures: Sequence[float],
    folds: NDArray[np.int64] | None = None,
) -> dict[KernelSetting, float]:
    """Return the log loss on samples that are left out, by setting.

    Args:
        kernel: [sample, sample].
        labels: [sample] int64.
        class_count: Number of classes.
        ridges: Ridges to compare.
        temperatures: Temperatures to compare.
        folds: [sample] int64, left out as a whole; none leaves samples out one by one.
    """
    targets = np.eye(class_count)[labels]
    return {
        KernelSetting(ridge, temperature): _log_loss(left_out * temperature, labels)
        for ridge in ridges
        for left_out in (_left_out_predictions(kernel, targets, ridge, folds),)
        for temperature in temperatures
    }


def _is_small(labels: NDArray[np.int64]) -> bool:
    counts = np.bincount(labels)
    return bool(counts[counts > 0].min() < _FEWEST_PER_CLASS)


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
    kernel: NDArray[np.float64],
    targets: NDArray[np.float64],
    ridge: float,
    folds: NDArray[np.int64] | None,
) -> NDArray[np.float64]:
    if folds is None:
        inverse = np.linalg.inv(kernel + ridge * np.eye(len(kernel)))
        centred = targets - targets.mean(axis=0)
        residuals = (inverse @ centred) / np.diag(inverse)[:, None]
        return np.asarray(targets - residuals)
    left_out = np.empty_like(targets)
    for fold in np.unique(folds):
        is_out = folds == fold
        centre = targets[~is_out].mean(axis=0)
        system = kernel[np.ix_(~is_out, ~is_out)] + ridge * np.eye(int((~is_out).sum()))
        coefficients = np.linalg.solve(system, targets[~is_out] - centre)
        left_out[is_out] = centre + kernel[np.ix_(is_out, ~is_out)] @ coefficients
    return left_out


def _log_loss(logits: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    return -float(log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean())
