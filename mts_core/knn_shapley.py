"""Values pool samples by their part in what a nearest-neighbour vote gets right."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mts_core.neighbours import normalise
from mts_core.position_features import EncodedSets

NEIGHBOURS: Final = 5
"""Votes of the classifier that the values are shares of."""

_REFERENCE_AT_ONCE: Final = 16


def knn_shapley_sums(
    sets: EncodedSets, groups: NDArray[np.int64], group_count: int
) -> NDArray[np.float64]:
    """Return the Shapley values of the pool samples, summed over groups of reference samples.

    The game: the pool samples of a coalition classify a reference sample by the vote of its nearest
    ones among them, and earn the share of five votes that is right. Values of several reference
    samples add up, so those of any part of the reference set follow from the sums of its groups.

    Args:
        sets: Encoded pool and reference set.
        groups: [reference] int64 in [0, group_count), the group of each reference sample.
        group_count: Number of groups, of which some may be empty.

    Returns:
        [group, sample] float64.

    Cost: one sort of the pool for each reference sample; memory is linear in the pool.

    Source: [jia2019efficient], theorem 1.
    Deviation: neighbours are the most similar by cosine; and a pool smaller than the number of
    votes is allowed for.
    """
    pool = normalise(sets.pool)
    reference = normalise(sets.reference)
    sums = np.zeros((group_count, len(pool)))
    for start in range(0, len(reference), _REFERENCE_AT_ONCE):
        rows = slice(start, start + _REFERENCE_AT_ONCE)
        cosines = reference[rows] @ pool.T
        for own, label, group in zip(
            cosines, sets.reference_labels[rows], groups[rows], strict=True
        ):
            # Equal neighbours vote in the order of the pool, as in a stable sort.
            order = np.argsort(-own, kind="stable")
            sums[group, order] += _values(sets.pool_labels[order] == label)
    return sums


def _values(is_right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return the values of samples in the order of their nearness to one reference sample."""
    count = len(is_right)
    right = is_right.astype(np.float64)
    place = np.arange(1, count)
    # The difference between a sample's value and that of the next farther one.
    steps = (right[:-1] - right[1:]) / np.maximum(NEIGHBOURS, place)
    values = np.full(count, right[-1] / max(NEIGHBOURS, count))
    values[:-1] += np.cumsum(steps[::-1])[::-1]
    return values
