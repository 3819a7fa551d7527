"""Splits the reference set into folds that keep near-copies together."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from mts_core.neighbours import normalise
from mts_core.seeds import derive_seed

_UNLIKE_QUANTILE: Final = 0.95


def reference_folds(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], folds: int, *, seed: int
) -> NDArray[np.int64]:
    """Return the fold of each reference sample.

    Every class is spread evenly over the folds. Near-copies, such as several views of one object,
    stay in one fold as far as evenness allows: a model that has seen one view knows the others, so
    that cross-validation would measure memory. Two samples of a class count as near-copies where
    their cosine exceeds that of nearly every sample (95 %) to its nearest one of another class.

    Args:
        vectors: [reference, dimension] float32.
        labels: [reference] int64.
        folds: Number of folds.
        seed: Seed of the order of groups.

    Returns:
        [reference] int64 in [0, folds).

    Cost: quadratic in the reference set, which is small.
    """
    generator = np.random.default_rng(derive_seed(seed, "folds"))
    groups = _near_copies(normalise(vectors), labels)
    assigned = np.empty(len(labels), dtype=np.int64)
    sizes = np.zeros(folds, dtype=np.int64)
    for class_index in np.unique(labels):
        class_sizes = np.zeros(folds, dtype=np.int64)
        members = np.flatnonzero(labels == class_index)
        for group in _shuffled_groups(members, groups[members], generator):
            for part in _parts(group, limit=-(-len(members) // folds)):
                # The fold with the fewest of the class, and among those the smallest one.
                fold = int(np.lexsort((sizes, class_sizes))[0])
                assigned[part] = fold
                class_sizes[fold] += len(part)
                sizes[fold] += len(part)
    return assigned


def _near_copies(unit: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a group number for each sample; near-copies of one class share it."""
    cosines = unit @ unit.T
    is_same = labels[:, None] == labels
    nearest_unlike = np.where(is_same, -1.0, cosines).max(axis=1)
    threshold = np.quantile(nearest_unlike, _UNLIKE_QUANTILE)
    _, groups = connected_components(csr_matrix(is_same & (cosines > threshold)), directed=False)
    return np.asarray(groups, dtype=np.int64)


def _shuffled_groups(
    members: NDArray[np.int64], groups: NDArray[np.int64], generator: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Return the groups of a class, the largest first and equal ones in random order."""
    found = [members[groups == group] for group in np.unique(groups)]
    shuffled = [found[place] for place in generator.permutation(len(found))]
    return sorted(shuffled, key=len, reverse=True)


def _parts(group: NDArray[np.int64], *, limit: int) -> list[NDArray[np.int64]]:
    # A group larger than a fold's share is cut up: a fold without a class cannot judge it.
    return [group[start : start + limit] for start in range(0, len(group), limit)]
