import numpy as np
import pytest
from numpy.typing import NDArray

from mts_core.neighbours import MISSING, CosineIndex, normalise

Vectors = NDArray[np.float32]
Positions = NDArray[np.int64]


def _unit_vectors(count: int, dimension: int = 8, seed: int = 0) -> Vectors:
    return normalise(np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32))


def _search(
    index: CosineIndex, queries: Vectors, count: int, own: Positions | None = None
) -> tuple[Vectors, Positions]:
    found = list(index.search(queries, count, own_positions=own))
    return np.concatenate([item[1] for item in found]), np.concatenate([item[2] for item in found])


def test_neighbours_equal_those_of_the_full_matrix() -> None:
    vectors, queries = _unit_vectors(300), _unit_vectors(40, seed=1)
    cosines, positions = _search(CosineIndex(vectors), queries, 4)
    matrix = queries @ vectors.T
    expected = np.argsort(-matrix, axis=1)[:, :4]
    assert np.array_equal(positions, expected)
    # float32 sums of eight products differ between libraries by a few units in the last place.
    assert np.allclose(cosines, np.take_along_axis(matrix, expected, axis=1), atol=1e-6)


def test_a_sample_is_no_neighbour_of_itself() -> None:
    vectors = _unit_vectors(200)
    _, positions = _search(CosineIndex(vectors), vectors, 5, own=np.arange(200))
    assert not (positions == np.arange(200)[:, None]).any()


def test_exact_copies_are_neighbours_of_each_other() -> None:
    vectors = np.repeat(_unit_vectors(1), 6, axis=0)
    cosines, positions = _search(CosineIndex(vectors), vectors, 5, own=np.arange(6))
    assert np.allclose(cosines, 1.0)
    assert not (positions == np.arange(6)[:, None]).any()
    assert all(len(set(row)) == 5 for row in positions.tolist())


def test_queries_from_outside_keep_all_their_neighbours() -> None:
    vectors = _unit_vectors(20)
    own = np.full(3, MISSING)
    _, positions = _search(CosineIndex(vectors), vectors[:3], 2, own=own)
    assert positions[:, 0].tolist() == [0, 1, 2]


def test_missing_neighbours_are_marked() -> None:
    vectors = _unit_vectors(3)
    cosines, positions = _search(CosineIndex(vectors), vectors, 4, own=np.arange(3))
    assert (positions[:, 2:] == MISSING).all()
    assert np.isnan(cosines[:, 2:]).all()
    assert not np.isnan(cosines[:, :2]).any()


def test_large_sets_are_searched_in_cells_with_high_recall() -> None:
    centres = _unit_vectors(40, dimension=16)
    noise = np.random.default_rng(2).normal(scale=0.05, size=(3000, 16))
    vectors = normalise((np.repeat(centres, 75, axis=0) + noise).astype(np.float32))
    own = np.arange(3000)
    _, exact = _search(CosineIndex(vectors), vectors, 5, own=own)
    _, found = _search(CosineIndex(vectors, exact_limit=1000), vectors, 5, own=own)
    recall = np.mean(
        [len(set(a) & set(b)) / 5 for a, b in zip(exact.tolist(), found.tolist(), strict=True)]
    )
    assert recall > 0.95


def test_zero_vectors_stay_zero() -> None:
    assert not normalise(np.zeros((2, 3), dtype=np.float32)).any()


@pytest.mark.parametrize("count", [1, 5000])
def test_chunks_cover_every_query_once(count: int) -> None:
    queries = _unit_vectors(count, dimension=4)
    chunks = [chunk for chunk, _, _ in CosineIndex(_unit_vectors(10, 4)).search(queries, 1)]
    assert [row for chunk in chunks for row in range(count)[chunk]] == list(range(count))
