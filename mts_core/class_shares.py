"""Holds the classes' shares of all scores near those of the pool, where few samples tell more."""

import numpy as np
from numpy.typing import NDArray


def hold_class_shares(
    scores: NDArray[np.float64], labels: NDArray[np.int64], class_count: int, *, prior: float
) -> NDArray[np.float64]:
    """Return scores whose classes have shares between their own and those of the pool.

    With r_c the share of class c in all scores over its share in the pool, and n_c the effective
    number of its samples, (sum s)^2 / sum s^2, its scores are multiplied by r_c^(-prior / (n_c +
    prior)): a class keeps its share where many samples speak for it, and gets that of the pool
    where few do. Within a class nothing changes but a factor.

    Args:
        scores: [sample] float64 in (0, 1].
        labels: [sample] int64.
        class_count: Number of classes.
        prior: Effective samples at which a class has the geometric mean of the two; 0 returns the
            scores as they are.

    Returns:
        [sample] float64 in (0, 1].
    """
    if prior == 0.0:
        return scores
    counts = np.bincount(labels, minlength=class_count)
    sums = np.bincount(labels, scores, class_count)
    # Classes without a sample have no factor that anybody reads.
    is_there = counts > 0
    ratios, effective = np.ones(class_count), np.ones(class_count)
    ratios[is_there] = sums[is_there] / counts[is_there] / scores.mean()
    squares = np.bincount(labels, np.square(scores), class_count)
    effective[is_there] = np.square(sums[is_there]) / squares[is_there]
    held = scores * (ratios ** (-prior / (effective + prior)))[labels]
    return np.asarray(held / max(1.0, held.max()))
