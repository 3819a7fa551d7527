"""Checks the values against the definition of Shapley's value, over all coalitions."""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mts_core.knn_shapley import NEIGHBOURS, knn_shapley_sums
from mts_core.position_features import EncodedSets

# Sums of a few dozen float64 numbers of size one.
EXACT = 1e-12


def make_sets(count: int, *, seed: int = 0, reference_count: int = 4) -> EncodedSets:
    generator = np.random.default_rng(seed)
    return EncodedSets(
        pool=generator.normal(size=(count, 3)).astype(np.float32),
        pool_labels=generator.integers(0, 2, count),
        pool_is_real=np.zeros(count, dtype=np.bool_),
        reference=generator.normal(size=(reference_count, 3)).astype(np.float32),
        reference_labels=generator.integers(0, 2, reference_count),
        class_count=2,
    )


def utility(sets: EncodedSets, coalition: Sequence[int], reference: int) -> float:
    """Return the share of five votes of the coalition's nearest samples that is right."""
    query = sets.reference[reference]

    def distance(member: int) -> float:
        own = sets.pool[member]
        return -float(own @ query / np.linalg.norm(own) / np.linalg.norm(query))

    voters = sorted(coalition, key=distance)[:NEIGHBOURS]
    right = [sets.pool_labels[voter] == sets.reference_labels[reference] for voter in voters]
    return sum(right) / NEIGHBOURS


def by_the_definition(sets: EncodedSets, reference: int) -> NDArray[np.float64]:
    """Return each sample's mean gain to a coalition of the others, all orders counting alike."""
    count = len(sets.pool)
    values = np.zeros(count)
    for member in range(count):
        others = [other for other in range(count) if other != member]
        for size in range(count):
            chance = 1 / (count * math.comb(count - 1, size))
            for coalition in itertools.combinations(others, size):
                gain = utility(sets, [*coalition, member], reference) - utility(
                    sets, coalition, reference
                )
                values[member] += chance * gain
    return values


# One sample, fewer than the votes, as many, and more.
@pytest.mark.parametrize("count", [1, 3, NEIGHBOURS, 8])
def test_values_are_those_of_the_definition(count: int) -> None:
    sets = make_sets(count, seed=count)
    found = knn_shapley_sums(sets, np.arange(4), 4)
    for reference in range(4):
        assert np.allclose(found[reference], by_the_definition(sets, reference), atol=EXACT)


@given(count=st.integers(1, 60), seed=st.integers(0, 1000))
def test_values_add_up_to_what_the_whole_pool_earns(count: int, seed: int) -> None:
    sets = make_sets(count, seed=seed)
    sums = knn_shapley_sums(sets, np.arange(4), 4).sum(axis=1)
    earned = [utility(sets, range(count), reference) for reference in range(4)]
    assert np.allclose(sums, earned, atol=EXACT)


def test_groups_add_up_the_values_of_their_members() -> None:
    sets = make_sets(30, reference_count=40)
    groups = np.arange(40) % 3
    single = knn_shapley_sums(sets, np.arange(40), 40)
    grouped = knn_shapley_sums(sets, groups, 4)
    for group in range(3):
        assert np.allclose(grouped[group], single[groups == group].sum(axis=0), atol=EXACT)
    assert not grouped[3].any()


def test_samples_of_one_place_and_class_have_nearly_the_same_value() -> None:
    sets = make_sets(200)
    sets.pool[1], sets.pool_labels[1] = sets.pool[0], sets.pool_labels[0]
    values = knn_shapley_sums(sets, np.zeros(4, dtype=np.int64), 1)[0]
    # Neighbours in the order differ by nothing where their votes agree.
    assert values[0] == pytest.approx(values[1], abs=EXACT)
