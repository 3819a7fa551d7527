import numpy as np
import pytest
from numpy.typing import NDArray

from mts_core.neighbours import MISSING, CosineIndex, measure_recall, normalise

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


def _clouds(count: int, dimension: int, spread: float) -> Vectors:
    """Return vectors around 40 centres, with the variance falling over the dimensions."""
    scale = np.linspace(1.0, 0.2, dimension)
    generator = np.random.default_rng(2)
    centres = np.repeat(generator.normal(scale=scale, size=(40, dimension)), count // 40, axis=0)
    noise = spread * generator.normal(scale=scale, size=centres.shape)
    return (centres + noise).astype(np.float32)


def _recall_by_the_definition(vectors: Vectors, index: CosineIndex) -> float:
    own = np.arange(len(vectors))
    _, exact = _search(CosineIndex(vectors), vectors, 5, own=own)
    _, found = _search(index, vectors, 5, own=own)
    pairs = zip(exact.tolist(), found.tolist(), strict=True)
    return float(np.mean([len(set(a) & set(b)) / 5 for a, b in pairs]))


# Short vectors are compared in full, odd lengths are filled up, long vectors are compared by codes.
@pytest.mark.parametrize("dimension", [7, 16, 65, 128])
@pytest.mark.parametrize("spread", [0.2, 1.0])
def test_large_sets_are_searched_in_cells_with_high_recall(dimension: int, spread: float) -> None:
    vectors = _clouds(4000, dimension, spread)
    index = CosineIndex(vectors, exact_limit=1000)
    assert not index.is_exact
    assert _recall_by_the_definition(vectors, index) > 0.95


def test_measured_recall_is_that_of_the_definition() -> None:
    # Cells that hold a few vectors each, more of them than are searched: some are missed.
    vectors = _unit_vectors(40_000, dimension=24)
    index = CosineIndex(vectors, exact_limit=1000)
    measured = measure_recall(index, vectors, 5, generator=np.random.default_rng(0))
    own = np.random.default_rng(1).choice(40_000, 1000, replace=False)
    matrix = vectors[own] @ vectors.T
    matrix[np.arange(1000), own] = -np.inf
    true = np.argpartition(-matrix, 5, axis=1)[:, :5]
    _, found = _search(index, vectors[own], 5, own=own)
    expected = np.mean([len(set(a) & set(b)) / 5 for a, b in zip(true, found, strict=True)])
    assert 0.5 < expected < 1
    # Both are means over 1000 random queries, each with a standard deviation below 0.3.
    assert measured == pytest.approx(expected, abs=0.04)


def test_an_exact_index_has_full_recall() -> None:
    vectors = _unit_vectors(50)
    index = CosineIndex(vectors)
    assert measure_recall(index, vectors, 5, generator=np.random.default_rng(0)) == 1.0


def test_cosines_of_coded_vectors_are_exact() -> None:
    vectors = _clouds(4000, 128, spread=1.0)
    cosines, positions = _search(CosineIndex(vectors, exact_limit=1000), vectors[:50], 5)
    unit = normalise(vectors)
    expected = np.einsum("qd,qkd->qk", unit[:50], unit[positions])
    # float32 sums of 128 products in another order.
    assert np.allclose(cosines, expected, atol=1e-5)


def test_zero_vectors_stay_zero() -> None:
    assert not normalise(np.zeros((2, 3), dtype=np.float32)).any()


@pytest.mark.parametrize("count", [1, 5000])
def test_chunks_cover_every_query_once(count: int) -> None:
    queries = _unit_vectors(count, dimension=4)
    chunks = [chunk for chunk, _, _ in CosineIndex(_unit_vectors(10, 4)).search(queries, 1)]
    assert [row for chunk in chunks for row in range(count)[chunk]] == list(range(count))
