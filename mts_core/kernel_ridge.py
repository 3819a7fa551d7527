"""Measures how well a small labelled set predicts itself, by kernel ridge regression."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import distance
from scipy.special import log_softmax

_RIDGES: Final = (1e-3, 1e-2, 1e-1, 1.0)
_TEMPERATURES: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_FIXED_RIDGE: Final = 1e-1
_FIXED_TEMPERATURE: Final = 4.0
_FEWEST_PER_CLASS: Final = 4


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
    targets = np.eye(class_count)[labels]
    kernel = _radial_kernel(vectors)
    counts = np.bincount(labels, minlength=class_count)
    is_small = counts[counts > 0].min() < _FEWEST_PER_CLASS
    ridges = (_FIXED_RIDGE,) if is_small else _RIDGES
    temperatures = (_FIXED_TEMPERATURE,) if is_small else _TEMPERATURES
    losses = [
        _log_loss(left_out * temperature, labels)
        for left_out in (_left_out_predictions(kernel, targets, ridge) for ridge in ridges)
        for temperature in temperatures
    ]
    return min(losses)


def _radial_kernel(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    squared = distance.pdist(vectors.astype(np.float64), "sqeuclidean")
    # Identical vectors have no bandwidth of their own; any positive one gives the same kernel.
    bandwidth = float(np.median(squared)) if len(squared) else 1.0
    kernel: NDArray[np.float64] = np.exp(-distance.squareform(squared) / (bandwidth or 1.0))
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
