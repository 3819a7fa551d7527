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

POOL_NEIGHBOURS: Final = 5
"""Nearest samples of the whole pool whose labels are compared."""

_CLASS_NEIGHBOURS: Final = 3
_ROWS_AT_ONCE: Final = 16_384
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

    Cost: exact neighbours are quadratic in time up to 32 768 vectors of a class, and grow with
    n sqrt(n) beyond; memory is linear.

    Source: [du2026difficulty], position features.
    Deviation: the encoder space is the job's instead of the generator's latent space.
    """
    features = np.empty((len(sets.pool), len(POSITION_FEATURE_NAMES)), dtype=np.float32)
    measurement = PositionMeasurement(sets, features)
    for _ in measurement.advance():
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
        nearest = np.empty((len(members), _CLASS_NEIGHBOURS), dtype=np.float32)
        for _ in _fill_nearest(own, real, _positions(is_real), nearest):
            pass
        cosines[members] = nearest
    _replace_missing(cosines)
    return cosines


class PositionMeasurement:
    """Fills a table of position features in steps, and may be resumed between two of them.

    A step is a sample that was compared: first each with its class, then each with the whole pool.

    Attributes:
        done: Steps done.
        total: Steps of the whole measurement.
        pool_index: The index of the whole pool, once the pool is compared.
    """

    def __init__(self, sets: EncodedSets, features: NDArray[np.float32], *, done: int = 0) -> None:
        """Begin, or go on.

        Args:
            sets: Encoded pool and reference set.
            features: [sample, 10] float32, filled in place.
            done: Steps that an earlier measurement has done on this table.
        """
        self._sets = sets
        self._features = features
        self._order = np.argsort(sets.pool_labels, kind="stable")
        self._ends = np.cumsum(np.bincount(sets.pool_labels, minlength=sets.class_count)).tolist()
        self.done = done
        self.total = 2 * len(sets.pool)
        self.pool_index: CosineIndex | None = None

    def advance(self) -> Iterator[int]:
        """Yield the steps done after each chunk of samples, until all are done."""
        start = 0
        for class_index, end in enumerate(self._ends):
            # A class that was begun is begun again; its columns are written when it is whole.
            if self.done < end:
                for found in self._fill_class(class_index, self._order[start:end]):
                    self.done = start + found
                    yield self.done
            start = end
        if self.done < self.total:
            yield from self._fill_agreement()

    def _fill_class(self, class_index: int, members: NDArray[np.int64]) -> Iterator[int]:
        sets = self._sets
        vectors = sets.pool[members]
        is_real = sets.pool_is_real[members]
        anchors = sets.reference[sets.reference_labels == class_index]
        columns = np.full((len(members), len(POSITION_FEATURE_NAMES)), np.nan, dtype=np.float32)
        columns[:, _PERCENTILE_COLUMN] = _distance_percentile(vectors)
        for found in _fill_class_columns(normalise(vectors), is_real, normalise(anchors), columns):
            if found == len(members):
                self._features[members] = columns
            yield found

    def _fill_agreement(self) -> Iterator[int]:
        pool, count = self._sets.pool, len(self._sets.pool)
        self.pool_index = CosineIndex(pool)
        column = self._features[:, _AGREEMENT_COLUMN]
        first = self.done - count
        for done in _fill_label_agreement(
            self.pool_index, pool, self._sets.pool_labels, column, first=first
        ):
            if done == count:
                _replace_missing(self._features)
            self.done = count + done
            yield self.done


def _fill_class_columns(
    members: NDArray[np.float32],
    is_real: NDArray[np.bool_],
    anchors: NDArray[np.float32],
    columns: NDArray[np.float32],
) -> Iterator[int]:
    """Fill a class's columns up to the agreement, and yield how many samples are done."""
    real = np.concatenate([members[is_real], anchors])
    synthetic = members if not is_real.any() else members[~is_real]
    columns[:, 0] = _centre_cosine(members, real, is_inside=is_real)
    columns[:, 1] = _centre_cosine(members, synthetic, is_inside=~is_real)
    for _ in _fill_nearest(members, real, _positions(is_real), columns[:, _REAL_COLUMNS]):
        pass
    yield from _fill_nearest(
        members, synthetic, _positions(~is_real), columns[:, _SYNTHETIC_COLUMNS]
    )


def _positions(is_inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.where(is_inside, np.cumsum(is_inside) - 1, MISSING)


def _centre_cosine(
    queries: NDArray[np.float32], others: NDArray[np.float32], *, is_inside: NDArray[np.bool_]
) -> NDArray[np.float32]:
    total = others.sum(axis=0, dtype=np.float64)
    cosines = np.empty(len(queries), dtype=np.float32)
    for rows in _row_slices(len(queries)):
        # A sample's own vector is taken out of the sum, or a small class would look like itself.
        sums = (total - queries[rows] * is_inside[rows, None]).astype(np.float32)
        cosines[rows] = np.einsum("nd,nd->n", normalise(sums), queries[rows])
    cosines[len(others) - is_inside <= 0] = np.nan
    return cosines


def _fill_nearest(
    queries: NDArray[np.float32],
    others: NDArray[np.float32],
    own: NDArray[np.int64],
    nearest: NDArray[np.float32],
) -> Iterator[int]:
    """Fill the cosines to the nearest of others, and yield how many queries are done."""
    nearest[...] = np.nan
    if not len(others):
        yield len(queries)
        return
    index = CosineIndex(others)
    for chunk, cosines, _ in index.search(queries, _CLASS_NEIGHBOURS, own_positions=own):
        nearest[chunk] = cosines
        for column in range(1, _CLASS_NEIGHBOURS):
            is_missing = np.isnan(nearest[chunk, column])
            nearest[chunk, column][is_missing] = nearest[chunk, column - 1][is_missing]
        yield chunk.stop


def _fill_label_agreement(
    index: CosineIndex,
    pool: NDArray[np.float32],
    labels: NDArray[np.int64],
    agreement: NDArray[np.float32],
    *,
    first: int,
) -> Iterator[int]:
    """Fill the agreement from a sample on, and yield how many samples are done."""
    own = np.arange(first, len(pool))
    found = index.search(pool[first:], POOL_NEIGHBOURS, own_positions=own)
    for chunk, cosines, positions in found:
        rows = slice(first + chunk.start, first + chunk.stop)
        # Cosines are shifted to [0, 2]: a negative weight would turn agreement into its opposite.
        similarity = np.where(positions == MISSING, 0, np.nan_to_num(cosines) + 1)
        agrees = labels[positions] == labels[rows, None]
        total = similarity.sum(axis=1)
        shares = (similarity * agrees).sum(axis=1) / np.where(total > 0, total, 1)
        agreement[rows] = np.where(total > 0, shares, np.nan)
        yield rows.stop


def _distance_percentile(members: NDArray[np.float32]) -> NDArray[np.float64]:
    centre = members.mean(axis=0, dtype=np.float64)
    distances = np.empty(len(members))
    for rows in _row_slices(len(members)):
        distances[rows] = np.linalg.norm(members[rows] - centre, axis=1)
    median = np.median(distances)
    # The two samples beside the median of an even class lie equally far from it; without rounding,
    # the last bit would rank them, and another order of the pool would rank them otherwise.
    deviations = np.round(np.abs(distances - median) / (median or 1.0), _RANKED_DIGITS)
    percentiles: NDArray[np.float64] = (rankdata(deviations) - 0.5) / len(members)
    return percentiles


def _row_slices(count: int) -> Iterator[slice]:
    # Differences in double precision are taken part by part: a class may be most of the pool.
    for start in range(0, count, _ROWS_AT_ONCE):
        yield slice(start, start + _ROWS_AT_ONCE)


def _replace_missing(features: NDArray[np.float32]) -> None:
    for column in features.T:
        is_missing = np.isnan(column)
        if is_missing.any():
            column[is_missing] = 0 if is_missing.all() else column[~is_missing].mean()
