import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mts_core.reference_folds import reference_folds


@given(
    per_class=st.integers(2, 9),
    classes=st.integers(2, 5),
    folds=st.integers(2, 5),
    seed=st.integers(0, 2**32 - 1),
)
def test_every_class_is_spread_evenly(per_class: int, classes: int, folds: int, seed: int) -> None:
    labels = np.arange(per_class * classes) % classes
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(len(labels), 4)).astype(np.float32)
    assigned = reference_folds(vectors, labels, folds, seed=seed)
    assert ((assigned >= 0) & (assigned < folds)).all()
    for index in range(classes):
        counts = np.bincount(assigned[labels == index], minlength=folds)
        assert counts.max() <= -(-per_class // folds)


def test_views_of_one_object_stay_together() -> None:
    generator = np.random.default_rng(0)
    # Two classes of four objects, three nearly equal views each.
    objects = generator.normal(size=(8, 20))
    views = np.repeat(objects, 3, axis=0) + generator.normal(scale=0.01, size=(24, 20))
    labels = np.repeat(np.arange(8) % 2, 3)
    assigned = reference_folds(views.astype(np.float32), labels, 4, seed=0)
    assert all(len(set(assigned[start : start + 3])) == 1 for start in range(0, 24, 3))


def test_folds_depend_on_the_seed_alone() -> None:
    vectors = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    labels = np.arange(30) % 3
    first = reference_folds(vectors, labels, 5, seed=1)
    assert np.array_equal(first, reference_folds(vectors, labels, 5, seed=1))
    assert not np.array_equal(first, reference_folds(vectors, labels, 5, seed=2))
