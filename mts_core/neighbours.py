"""Finds the most similar vectors by cosine, without any matrix quadratic in the samples."""

from collections.abc import Iterator
from typing import Final

import faiss
import numpy as np
from numpy.typing import NDArray

MISSING: Final = -1
"""Position that stands for a neighbour that does not exist."""

EXACT_LIMIT: Final = 65_536
"""Vectors up to which every pair is compared; beyond, only cells near the query are."""

_PROBED_CELLS: Final = 16
_QUERY_CHUNK: Final = 4096
_TRAINING_PER_CELL: Final = 64


def normalise(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return vectors of length one; a zero vector stays zero.

    Args:
        vectors: [sample, dimension] float32.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)


class CosineIndex:
    """Vectors of length one, ready to be searched.

    Exact up to 65 536 vectors. Beyond that an inverted file with about sqrt(n) cells is searched in
    its 16 nearest cells, so the cost of a query grows with sqrt(n).

    Attributes:
        size: Number of vectors.
    """

    def __init__(
        self, unit_vectors: NDArray[np.float32], *, exact_limit: int = EXACT_LIMIT
    ) -> None:
        vectors = np.ascontiguousarray(unit_vectors, dtype=np.float32)
        self.size = len(vectors)
        self._index = _inverted_file(vectors) if self.size > exact_limit else _flat(vectors)
        self._index.add(vectors)

    def search(
        self,
        queries: NDArray[np.float32],
        count: int,
        *,
        own_positions: NDArray[np.int64] | None = None,
    ) -> Iterator[tuple[slice, NDArray[np.float32], NDArray[np.int64]]]:
        """Yield the nearest vectors of each query, chunk by chunk.

        Args:
            queries: [query, dimension] float32 of length one.
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
        cosines, positions = self._index.search(np.ascontiguousarray(queries), wanted)
        if own is not None:
            cosines, positions = _drop_own(cosines, positions, own)
        cosines = np.where(positions == MISSING, np.float32(np.nan), cosines)
        return cosines, positions


def _flat(vectors: NDArray[np.float32]) -> faiss.Index:
    return faiss.IndexFlatIP(vectors.shape[1])


def _inverted_file(vectors: NDArray[np.float32]) -> faiss.Index:
    cells = int(np.sqrt(len(vectors)))
    dimension = vectors.shape[1]
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(dimension), dimension, cells, faiss.METRIC_INNER_PRODUCT
    )
    stride = max(1, len(vectors) // (cells * _TRAINING_PER_CELL))
    index.train(np.ascontiguousarray(vectors[::stride]))
    index.nprobe = _PROBED_CELLS
    return index


def _drop_own(
    cosines: NDArray[np.float32], positions: NDArray[np.int64], own: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    is_own = (positions == own[:, None]) & (own[:, None] != MISSING)
    # Among exact copies the query itself may not be listed; then the last one is dropped instead.
    is_own[:, -1] |= ~is_own.any(axis=1)
    shape = (len(positions), positions.shape[1] - 1)
    return cosines[~is_own].reshape(shape), positions[~is_own].reshape(shape)
