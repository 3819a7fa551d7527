"""Maps and neighbour vectors are the leading components of the encoder's own space."""

import numpy as np

from mts_core.embedding_map import NEIGHBOUR_COMPONENTS, map_coordinates, neighbour_vectors


def test_map_is_the_two_leading_components() -> None:
    encoded = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    assert np.array_equal(map_coordinates(encoded), encoded[:, :2])


def test_one_component_makes_a_line() -> None:
    encoded = np.array([[1.0], [2.0]], dtype=np.float32)
    assert map_coordinates(encoded).tolist() == [[1.0, 0.0], [2.0, 0.0]]


def test_half_precision_keeps_cosines() -> None:
    encoded = np.random.default_rng(1).normal(size=(50, 64)).astype(np.float32)
    vectors = neighbour_vectors(encoded).astype(np.float64)
    leading = encoded[:, :NEIGHBOUR_COMPONENTS].astype(np.float64)
    unit = leading / np.linalg.norm(leading, axis=1, keepdims=True)
    # Each of 32 products is off by two relative roundings of 2^-11 at most; in all, 2^-10.
    assert np.abs(vectors @ vectors.T - unit @ unit.T).max() < 2**-10


def test_zero_vector_stays_zero() -> None:
    assert not neighbour_vectors(np.zeros((2, 3), dtype=np.float32)).any()
