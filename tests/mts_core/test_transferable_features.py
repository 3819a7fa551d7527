import dataclasses

import numpy as np
import pytest
import torch
from curation_problems import CLASSES, make_data

from mts_core.classifiers import Classifier, build_classifier
from mts_core.config import ClassifierKind
from mts_core.kernel_ridge import KernelPosterior, fit_kernel_posterior
from mts_core.transferable_features import (
    TRANSFERABLE_FEATURE_NAMES,
    EncodedSamples,
    StoredSets,
    new_columns,
    stored_columns,
)

CLASSIFIER_COLUMNS = [
    index for index, name in enumerate(TRANSFERABLE_FEATURE_NAMES) if name.startswith("stored_")
]


def make_classifier(seed: int) -> Classifier:
    return build_classifier(
        ClassifierKind.MLP,
        input_shape=(8,),
        class_count=CLASSES,
        generator=torch.Generator().manual_seed(seed),
    )


@pytest.fixture
def stored() -> StoredSets:
    data, _ = make_data(pool_size=60)
    pool = EncodedSamples(
        np.asarray(data.pool_inputs, np.float32), data.pool_labels, data.pool_is_real
    )
    return StoredSets(
        pool=pool,
        scores=np.linspace(0, 1, 60, dtype=np.float32),
        fold=np.arange(60) % 2,
        reference=np.asarray(data.reference_inputs, np.float32),
        reference_labels=data.reference_labels,
        class_count=CLASSES,
    )


@pytest.fixture
def posterior(stored: StoredSets) -> KernelPosterior:
    return fit_kernel_posterior(stored.reference, stored.reference_labels, CLASSES)


def test_only_the_classifier_of_its_fold_judges_a_stored_sample(
    stored: StoredSets, posterior: KernelPosterior
) -> None:
    models = [make_classifier(0), make_classifier(1)]
    columns = stored_columns(stored, posterior, models)
    alone = [stored_columns(stored, posterior, [model, model]) for model in models]
    np.testing.assert_array_equal(columns[::2], alone[0][::2])
    np.testing.assert_array_equal(columns[1::2], alone[1][1::2])


def test_a_new_sample_is_judged_by_all_classifiers(
    stored: StoredSets, posterior: KernelPosterior
) -> None:
    models = [make_classifier(0), make_classifier(1)]
    both = new_columns(stored.pool, stored, posterior, models)
    alone = [new_columns(stored.pool, stored, posterior, [model]) for model in models]
    np.testing.assert_allclose(
        both[:, CLASSIFIER_COLUMNS],
        np.mean(alone, axis=0)[:, CLASSIFIER_COLUMNS],
        rtol=1e-5,
        atol=1e-6,
    )


def test_columns_of_a_label_are_those_of_its_probabilities(
    stored: StoredSets, posterior: KernelPosterior
) -> None:
    model = make_classifier(0)
    columns = new_columns(stored.pool, stored, posterior, [model])
    with torch.no_grad():
        shares = model(torch.from_numpy(stored.pool.vectors)).softmax(dim=1).double().numpy()
    for row, label in enumerate(stored.pool.labels):
        others = np.delete(shares[row], label)
        expected = [
            np.log(shares[row, label]),
            np.log(shares[row, label] / others.max()),
            np.linalg.norm(shares[row] - np.eye(CLASSES)[label]),
        ]
        np.testing.assert_allclose(columns[row, CLASSIFIER_COLUMNS], expected, rtol=1e-4, atol=1e-5)


def test_a_pool_of_the_stored_size_has_the_positions_of_the_stored_pool(
    stored: StoredSets, posterior: KernelPosterior
) -> None:
    models = [make_classifier(0)] * 2
    own = stored_columns(stored, posterior, models)
    new = new_columns(stored.pool, stored, posterior, models)
    # One block holds exactly the same samples, only in another order.
    np.testing.assert_allclose(new, own, rtol=1e-4, atol=1e-4)


def test_a_small_set_is_measured_among_stored_samples(
    stored: StoredSets, posterior: KernelPosterior
) -> None:
    models = [make_classifier(0)] * 2
    few = stored.pool.take(np.arange(4))
    moved = dataclasses.replace(few, vectors=few.vectors + np.float32(0.01))
    columns = new_columns(moved, stored, posterior, models)
    # Its nearest synthetic neighbour is the stored sample that it was copied from, nearly.
    nearest = TRANSFERABLE_FEATURE_NAMES.index("nearest_synthetic_cosine_1")
    assert np.isfinite(columns).all()
    assert columns[1:, nearest].min() > 0.9
