"""Holds the classes' shares of all scores near those of the pool, where few samples tell more."""

import numpy as np
from numpy.typing import NDArray


def hold_class_shares(
    scores: NDArray[np.float64], labels: NDArray[np.int64], *, prior: float
) -> NDArray[np.float64]:
    """Return scores whose classes have shares between their own and those of the pool.

    With r_c the share of class c in all scores over its share in the pool, and n_c the effective
    number of its samples, (sum s)^2 / sum s^2, its scores are multiplied by r_c^(-prior / (n_c +
    prior)): a class keeps its share where many samples speak for it, and gets that of the pool
    where few do. Within a class nothing changes but a factor.

    Args:
        scores: [sample] float64 in (0, 1].
        labels: [sample] int64.
        prior: Effective samples at which a class has the geometric mean of the two; 0 returns the
            scores as they are.

    Returns:
        [sample] float64 in (0, 1].
    """
    if prior == 0.0:
        return scores
    _, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
    sums = np.bincount(places, scores)
    ratios = sums / counts / scores.mean()
    effective = np.square(sums) / np.bincount(places, np.square(scores))
    held = scores * (ratios ** (-prior / (effective + prior)))[places]
    return np.asarray(held / max(1.0, held.max()))
