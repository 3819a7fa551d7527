import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from mts_core.position_features import (
    POSITION_FEATURE_NAMES,
    EncodedSets,
    PositionMeasurement,
    nearest_real_cosines,
    position_features,
)


def _sets(
    pool_size: int = 60,
    reference_size: int = 12,
    classes: int = 3,
    *,
    seed: int = 0,
    real_share: float = 0.2,
) -> EncodedSets:
    generator = np.random.default_rng(seed)
    return EncodedSets(
        pool=generator.normal(size=(pool_size, 5)).astype(np.float32),
        pool_labels=np.arange(pool_size) % classes,
        pool_is_real=generator.random(pool_size) < real_share,
        reference=generator.normal(size=(reference_size, 5)).astype(np.float32),
        reference_labels=np.arange(reference_size) % classes,
        class_count=classes,
    )


def _cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def _by_the_definition(sets: EncodedSets, sample: int) -> list[float]:
    """Return one sample's features in float64, by loops over single pairs."""
    own, label = sets.pool[sample].astype(np.float64), sets.pool_labels[sample]
    others = [i for i in range(len(sets.pool)) if i != sample]
    members = [i for i in others if sets.pool_labels[i] == label]
    real = [sets.pool[i] for i in members if sets.pool_is_real[i]]
    real += list(sets.reference[sets.reference_labels == label])
    synthetic = [sets.pool[i] for i in members if not sets.pool_is_real[i]]
    row = []
    for group in (real, synthetic):
        unit = [v.astype(np.float64) / np.linalg.norm(v) for v in group]
        row.append(_cosine(own, np.mean(unit, axis=0)))
    for group in (real, synthetic):
        row += sorted((_cosine(own, v.astype(np.float64)) for v in group), reverse=True)[:3]
    nearest = sorted(others, key=lambda i: -_cosine(own, sets.pool[i].astype(np.float64)))[:5]
    similarity = np.array([_cosine(own, sets.pool[i].astype(np.float64)) + 1 for i in nearest])
    agrees = np.array([sets.pool_labels[i] == label for i in nearest])
    row.append(float((similarity * agrees).sum() / similarity.sum()))
    whole_class = sets.pool[sets.pool_labels == label].astype(np.float64)
    distances = np.linalg.norm(whole_class - whole_class.mean(axis=0), axis=1)
    deviations = np.abs(distances - np.median(distances))
    place = int((np.flatnonzero(sets.pool_labels == label) == sample).argmax())
    below = (deviations < deviations[place] - 1e-9).sum()
    equal = (np.abs(deviations - deviations[place]) <= 1e-9).sum()
    row.append(float(below + equal / 2) / len(deviations))
    return row


def test_features_equal_their_definition() -> None:
    sets = _sets()
    features = position_features(sets)
    assert features.shape == (60, len(POSITION_FEATURE_NAMES)) == (60, 10)
    # The features are float32 and the definition is float64.
    for sample in (0, 7, 31, 59):
        assert np.allclose(features[sample], _by_the_definition(sets, sample), atol=1e-5)


def test_nearest_real_cosines_are_the_columns_of_that_name() -> None:
    sets = _sets()
    assert np.array_equal(nearest_real_cosines(sets), position_features(sets)[:, 2:5])


@given(st.integers(0, 2**32 - 1))
def test_features_follow_a_permutation_of_the_pool(seed: int) -> None:
    sets = _sets(seed=3)
    order = np.random.default_rng(seed).permutation(len(sets.pool))
    permuted = EncodedSets(
        sets.pool[order],
        sets.pool_labels[order],
        sets.pool_is_real[order],
        sets.reference,
        sets.reference_labels,
        sets.class_count,
    )
    assert np.allclose(position_features(permuted), position_features(sets)[order], atol=1e-5)


def test_a_lone_sample_gets_the_columns_mean_for_what_it_lacks() -> None:
    sets = _sets(real_share=0.0)
    labels = np.zeros(60, dtype=np.int64)
    labels[59] = 1
    alone = EncodedSets(
        sets.pool, labels, sets.pool_is_real, sets.reference, sets.reference_labels, 3
    )
    features = position_features(alone)
    assert np.isfinite(features).all()
    synthetic = [1, 5, 6, 7]
    assert np.allclose(features[59, synthetic], features[:59][:, synthetic].mean(axis=0), atol=1e-5)


def test_the_last_neighbour_is_repeated_where_there_are_fewer_than_three() -> None:
    sets = _sets(reference_size=3, real_share=0.0)
    features = position_features(sets)
    nearest_real = features[:, 2:5]
    assert np.allclose(nearest_real, nearest_real[:, :1])


def test_copies_of_a_sample_count_as_neighbours_and_the_sample_does_not() -> None:
    sets = _sets(real_share=0.0)
    pool = sets.pool.copy()
    pool[3] = pool[0]
    copied = EncodedSets(
        pool, sets.pool_labels, sets.pool_is_real, sets.reference, sets.reference_labels, 3
    )
    nearest_synthetic = position_features(copied)[:, 5]
    assert nearest_synthetic[0] == pytest.approx(1.0, abs=1e-6)
    assert position_features(sets)[0, 5] < 0.999


@pytest.mark.parametrize("stopped_at", [2000, 6000, 6000 + 4096])
def test_filling_goes_on_where_it_stopped(stopped_at: int) -> None:
    sets = _sets(pool_size=6000)
    features = np.full((6000, 10), np.nan, dtype=np.float32)
    for done in PositionMeasurement(sets, features).advance():
        if done == stopped_at:
            break
    assert np.isnan(features).any()
    rest = PositionMeasurement(sets, features, done=stopped_at)
    assert list(rest.advance())[-1] == rest.total == 12_000
    assert np.array_equal(features, position_features(sets))
