"""Finds the most similar vectors by cosine, without any matrix quadratic in the samples."""

from collections.abc import Iterator
from typing import Final

import faiss
import numpy as np
from numpy.typing import NDArray

MISSING: Final = -1
"""Position that stands for a neighbour that does not exist."""

EXACT_LIMIT: Final = 32_768
"""Vectors up to which every pair is compared; beyond, only cells near the query are."""

_PROBED_CELLS: Final = 128
_PROBED_SHARE: Final = 1 / 3
_FEWEST_PROBED_CELLS: Final = 64
_CANDIDATES_PER_NEIGHBOUR: Final = 16
_CODED_DIMENSION: Final = 64
_QUERY_CHUNK: Final = 4096
_ADDED_CHUNK: Final = 65_536
_TRAINING_PER_CELL: Final = 40
_RECALL_QUERIES: Final = 1000


def normalise(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors of length one; a zero vector stays zero.

    Args:
        vectors: [sample, dimension] float32.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)


class CosineIndex:
    """Vectors, ready to be searched by direction.

    Exact up to 32 768 vectors. Beyond that an inverted file of about sqrt(n) cells is searched in
    the cells nearest to the query: a third of them, but 64 at least and 128 at most, so the cost of
    a query grows with sqrt(n). Vectors of 64
    dimensions or more are compared there by codes of four bits for each pair of dimensions, which
    takes a tenth of the time; the best 16 candidates for each neighbour wanted are compared again
    in full, so cosines are always exact.

    Source: [jegou2011product] for cells and codes, [andre2015cache] for the comparison of codes.
    Deviation: pairs of dimensions instead of runs of neighbouring ones.

    Attributes:
        size: Number of vectors.
    """

    def __init__(self, vectors: NDArray[np.float32], *, exact_limit: int = EXACT_LIMIT) -> None:
        """Index vectors.

        Args:
            vectors: [sample, dimension] float32 of any length, read in chunks. Codes are best where
                the variance falls from the first dimension to the last, as after a PCA.
            exact_limit: Vectors up to which every pair is compared.
        """
        self.size, dimension = vectors.shape
        self._columns = _paired_columns(dimension) if self.size > exact_limit else None
        if self._columns is None:
            self._index: faiss.Index = faiss.IndexFlatIP(dimension)
        else:
            self._index = _inverted_file(self._prepared(_training_part(vectors)), self.size)
        for start in range(0, self.size, _ADDED_CHUNK):
            self._index.add(self._prepared(vectors[start : start + _ADDED_CHUNK]))

    @property
    def is_exact(self) -> bool:
        """Whether every pair is compared."""
        return self._columns is None

    def search(
        self,
        queries: NDArray[np.float32],
        count: int,
        *,
        own_positions: NDArray[np.int64] | None = None,
    ) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.int64]]]:
        """Yield the nearest vectors of each query, chunk by chunk.

        Args:
            queries: [query, dimension] float32 of any length.
            count: Neighbours wanted.
            own_positions: [query] position of each query in this index, or -1; it is no neighbour
                of itself.

        Yields:
            The chunk of the queries, their cosines [chunk, count] in falling order and the
            positions [chunk, count]. Where there are too few neighbours the position is -1 and the
            cosine NaN.
        """
        for start in range(0, len(queries), _QUERY_CHUNK):
            chunk = slice(start, min(start + _QUERY_CHUNK, len(queries)))
            own = None if own_positions is None else own_positions[chunk]
            yield chunk, *self._search_chunk(queries[chunk], count, own)

    def _search_chunk(
        self, queries: NDArray[np.float32], count: int, own: NDArray[np.int64] | None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        wanted = count if own is None else count + 1
        cosines, positions = self._index.search(self._prepared(queries), wanted)
        if own is not None:
            cosines, positions = _drop_own(cosines, positions, own)
        cosines = np.where(positions == MISSING, np.float32(np.nan), cosines)
        return cosines, positions

    def _prepared(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return vectors of length one, with the columns in the index's order."""
        unit = normalise(vectors)
        if self._columns is None:
            return np.ascontiguousarray(unit)
        # The last column of zeros fills a pair up, and changes no cosine.
        padded = np.pad(unit, ((0, 0), (0, 1)))
        return np.ascontiguousarray(padded[:, self._columns])


def measure_recall(
    index: CosineIndex,
    vectors: NDArray[np.float32],
    count: int,
    *,
    generator: np.random.Generator,
) -> float:
    """Return the share of true neighbours that an index finds, over 1000 of its own vectors.

    Args:
        index: The index.
        vectors: [sample, dimension] float32, those that it was made of.
        count: Neighbours wanted of each.
        generator: Draws the queries.

    Cost: one product of the queries with all vectors.
    """
    if index.is_exact:
        return 1.0
    drawn = min(_RECALL_QUERIES, index.size)
    own = np.sort(generator.choice(index.size, drawn, replace=False))
    found = [item[2] for item in index.search(vectors[own], count, own_positions=own)]
    true = _exact_neighbours(vectors, own, count)
    is_found = (true[:, :, None] == np.concatenate(found)[:, None, :]).any(axis=2)
    return float(is_found.mean())


def _exact_neighbours(
    vectors: NDArray[np.float32], own: NDArray[np.int64], count: int
) -> NDArray[np.int64]:
    queries = normalise(vectors[own])
    best = np.full((len(own), count), -np.inf, dtype=np.float32)
    positions = np.full((len(own), count), MISSING, dtype=np.int64)
    for start in range(0, len(vectors), _ADDED_CHUNK):
        part = normalise(vectors[start : start + _ADDED_CHUNK])
        wanted = min(count + 1, len(part))
        cosines, places = faiss.knn(queries, part, wanted, metric=faiss.METRIC_INNER_PRODUCT)
        places = places + start
        cosines = np.where(places == own[:, None], -np.inf, cosines)
        merged = np.concatenate([best, cosines], axis=1)
        order = np.argsort(-merged, axis=1, kind="stable")[:, :count]
        best = np.take_along_axis(merged, order, axis=1)
        positions = np.take_along_axis(np.concatenate([positions, places], axis=1), order, axis=1)
    return positions


def _paired_columns(dimension: int) -> NDArray[np.int64]:
    """Return the order in which each loud dimension is followed by a quiet one.

    A code then spends its four bits on both as their variances deserve; two loud dimensions in one
    pair would lose half of the neighbours.
    """
    columns = np.arange(dimension + dimension % 2)
    half = len(columns) // 2
    return np.stack([columns[:half], columns[: half - 1 : -1]], axis=1).ravel()


def _training_part(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    stride = max(1, len(vectors) // (_cell_count(len(vectors)) * _TRAINING_PER_CELL))
    return vectors[::stride]


def _cell_count(size: int) -> int:
    return int(np.sqrt(size))


def _inverted_file(training: NDArray[np.float32], size: int) -> faiss.Index:
    cell_count, dimension = _cell_count(size), training.shape[1]
    is_coded = dimension >= _CODED_DIMENSION
    inside = f"PQ{dimension // 2}x4fsr" if is_coded else "Flat"
    cells = faiss.index_factory(dimension, f"IVF{cell_count},{inside}", faiss.METRIC_INNER_PRODUCT)
    cells.train(training)
    # To ask for more cells than there are makes coded cells return nonsense.
    wanted = min(_PROBED_CELLS, max(_FEWEST_PROBED_CELLS, round(_PROBED_SHARE * cell_count)))
    probed = min(wanted, cell_count)
    faiss.ParameterSpace().set_index_parameter(cells, "nprobe", probed)
    if not is_coded:
        return cells
    refined = faiss.IndexRefineFlat(cells)
    refined.k_factor = _CANDIDATES_PER_NEIGHBOUR
    return refined


def _drop_own(
    cosines: NDArray[np.float32], positions: NDArray[np.int64], own: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    is_own = (positions == own[:, None]) & (own[:, None] != MISSING)
    # Among exact copies the query itself may not be listed; then the last one is dropped instead.
    is_own[:, -1] |= ~is_own.any(axis=1)
    shape = (len(positions), positions.shape[1] - 1)
    return cosines[~is_own].reshape(shape), positions[~is_own].reshape(shape)
