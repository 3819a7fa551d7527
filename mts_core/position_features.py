"""Measures where each sample lies among the real and the synthetic samples of its class."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from mts_core.neighbours import MISSING, CosineIndex, normalise

POSITION_FEATURE_NAMES: Final = (
    "real_centre_cosine",
    "synthetic_centre_cosine",
    "nearest_real_cosine_1",
    "nearest_real_cosine_2",
    "nearest_real_cosine_3",
    "nearest_synthetic_cosine_1",
    "nearest_synthetic_cosine_2",
    "nearest_synthetic_cosine_3",
    "neighbour_label_agreement",
    "centre_distance_percentile",
)
"""Columns of the position features, in order."""

_CLASS_NEIGHBOURS: Final = 3
_POOL_NEIGHBOURS: Final = 5
_REAL_COLUMNS: Final = slice(2, 5)
_SYNTHETIC_COLUMNS: Final = slice(5, 8)
_AGREEMENT_COLUMN: Final = 8
_PERCENTILE_COLUMN: Final = 9
_RANKED_DIGITS: Final = 9


@dataclass(frozen=True, eq=False)
class EncodedSets:
    """The pool and the reference set in one encoder space.

    Attributes:
        pool: [sample, dimension] float32.
        pool_labels: [sample] int64.
        pool_is_real: [sample] bool.
        reference: [reference, dimension] float32.
        reference_labels: [reference] int64.
        class_count: Number of classes.
    """

    pool: NDArray[np.float32]
    pool_labels: NDArray[np.int64]
    pool_is_real: NDArray[np.bool_]
    reference: NDArray[np.float32]
    reference_labels: NDArray[np.int64]
    class_count: int

    def with_reference(self, is_used: NDArray[np.bool_]) -> "EncodedSets":
        """Return the same pool with a part of the reference set.

        Args:
            is_used: [reference] bool.
        """
        return dataclasses.replace(
            self,
            reference=self.reference[is_used],
            reference_labels=self.reference_labels[is_used],
        )


def position_features(sets: EncodedSets) -> NDArray[np.float32]:
    """Return the ten position features of every pool sample.

    Real samples are the reference set and the pool's own real ones; similarity is the cosine. No
    sample counts as its own neighbour or towards its own class centre. Where a class has fewer than
    three neighbours of a kind the last one found is repeated; where it has none, the column's mean
    over the pool stands in, which standardising turns into zero.

    Args:
        sets: Encoded pool and reference set.

    Returns:
        [sample, 10] float32, columns as in `POSITION_FEATURE_NAMES`.

    Cost: exact neighbours are quadratic in time up to 65 536 vectors of a class, and grow with
    n sqrt(n) beyond; memory is linear.

    Source: [du2026difficulty], position features.
    Deviation: the encoder space is the job's instead of the generator's latent space.
    """
    features = np.empty((len(sets.pool), len(POSITION_FEATURE_NAMES)), dtype=np.float32)
    for _ in fill_position_features(sets, features):
        pass
    return features


def nearest_real_cosines(sets: EncodedSets) -> NDArray[np.float32]:
    """Return the similarities to the three nearest real samples of the class, [sample, 3] float32.

    They are columns 3 to 5 of `position_features`, at a small part of the cost of all ten.

    Args:
        sets: Encoded pool and reference set.
    """
    pool = normalise(sets.pool)
    reference = normalise(sets.reference)
    cosines = np.empty((len(pool), _CLASS_NEIGHBOURS), dtype=np.float32)
    for class_index in range(sets.class_count):
        members = np.flatnonzero(sets.pool_labels == class_index)
        is_real = sets.pool_is_real[members]
        own = pool[members]
        real = np.concatenate([own[is_real], reference[sets.reference_labels == class_index]])
        cosines[members] = _nearest_cosines(own, real, _positions(is_real))
    _replace_missing(cosines)
    return cosines


def fill_position_features(
    sets: EncodedSets, features: NDArray[np.float32], *, start: int = 0
) -> Iterator[tuple[int, int]]:
    """Fill a table of position features, yielding (done, total) steps on the way.

    A step is a class; the last one compares the whole pool.

    Args:
        sets: Encoded pool and reference set.
        features: [sample, 10] float32, overwritten.
        start: Steps that an earlier call has already done on this table.
    """
    pool = normalise(sets.pool)
    reference = normalise(sets.reference)
    total = sets.class_count + 1
    if start == total:
        return
    for class_index in range(start, sets.class_count):
        members = np.flatnonzero(sets.pool_labels == class_index)
        anchors = reference[sets.reference_labels == class_index]
        if len(members):
            features[members, :_AGREEMENT_COLUMN] = _class_columns(
                pool[members], sets.pool_is_real[members], anchors
            )
            features[members, _PERCENTILE_COLUMN] = _distance_percentile(sets.pool[members])
        yield class_index + 1, total
    features[:, _AGREEMENT_COLUMN] = _label_agreement(pool, sets.pool_labels)
    _replace_missing(features)
    yield total, total


def _class_columns(
    members: NDArray[np.float32], is_real: NDArray[np.bool_], anchors: NDArray[np.float32]
) -> NDArray[np.float32]:
    columns = np.empty((len(members), _AGREEMENT_COLUMN), dtype=np.float32)
    real = np.concatenate([members[is_real], anchors])
    synthetic = members[~is_real]
    position_in_real = _positions(is_real)
    position_in_synthetic = _positions(~is_real)
    columns[:, 0] = _centre_cosine(members, real, is_inside=is_real)
    columns[:, 1] = _centre_cosine(members, synthetic, is_inside=~is_real)
    columns[:, _REAL_COLUMNS] = _nearest_cosines(members, real, position_in_real)
    columns[:, _SYNTHETIC_COLUMNS] = _nearest_cosines(members, synthetic, position_in_synthetic)
    return columns


def _positions(is_inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.where(is_inside, np.cumsum(is_inside) - 1, MISSING)


def _centre_cosine(
    queries: NDArray[np.float32], others: NDArray[np.float32], *, is_inside: NDArray[np.bool_]
) -> NDArray[np.float32]:
    # A sample's own vector is taken out of the sum, or a small class would look like itself.
    total = others.sum(axis=0, dtype=np.float64)
    sums = (total - queries * is_inside[:, None]).astype(np.float32)
    has_others = len(others) - is_inside > 0
    cosines: NDArray[np.float32] = np.einsum("nd,nd->n", normalise(sums), queries)
    return np.where(has_others, cosines, np.float32(np.nan))


def _nearest_cosines(
    queries: NDArray[np.float32], others: NDArray[np.float32], own: NDArray[np.int64]
) -> NDArray[np.float32]:
    nearest = np.full((len(queries), _CLASS_NEIGHBOURS), np.nan, dtype=np.float32)
    if len(others):
        index = CosineIndex(others)
        for chunk, cosines, _ in index.search(queries, _CLASS_NEIGHBOURS, own_positions=own):
            nearest[chunk] = cosines
    for column in range(1, _CLASS_NEIGHBOURS):
        is_missing = np.isnan(nearest[:, column])
        nearest[is_missing, column] = nearest[is_missing, column - 1]
    return nearest


def _label_agreement(pool: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.float32]:
    agreement = np.full(len(pool), np.nan, dtype=np.float32)
    index = CosineIndex(pool)
    own = np.arange(len(pool))
    for chunk, cosines, positions in index.search(pool, _POOL_NEIGHBOURS, own_positions=own):
        # Cosines are shifted to [0, 2]: a negative weight would turn agreement into its opposite.
        similarity = np.where(positions == MISSING, 0, np.nan_to_num(cosines) + 1)
        agrees = labels[positions] == labels[chunk, None]
        total = similarity.sum(axis=1)
        shares = (similarity * agrees).sum(axis=1) / np.where(total > 0, total, 1)
        agreement[chunk] = np.where(total > 0, shares, np.nan)
    return agreement


def _distance_percentile(members: NDArray[np.float32]) -> NDArray[np.float64]:
    centre = members.mean(axis=0, dtype=np.float64)
    distances = np.linalg.norm(members - centre, axis=1)
    median = np.median(distances)
    # The two samples beside the median of an even class lie equally far from it; without rounding,
    # the last bit would rank them, and another order of the pool would rank them otherwise.
    deviations = np.round(np.abs(distances - median) / (median or 1.0), _RANKED_DIGITS)
    percentiles: NDArray[np.float64] = (rankdata(deviations) - 0.5) / len(members)
    return percentiles


def _replace_missing(features: NDArray[np.float32]) -> None:
    for column in features.T:
        is_missing = np.isnan(column)
        if is_missing.any():
            column[is_missing] = 0 if is_missing.all() else column[~is_missing].mean()
