"""Measures features that a sample has in any pool: against stored sets, with no training on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mts_core.classifiers import Classifier
from mts_core.kernel_ridge import KernelPosterior
from mts_core.position_features import POSITION_FEATURE_NAMES, EncodedSets, position_features
from mts_core.seeds import derive_seed

REFERENCE_FEATURE_NAMES: Final = (
    "reference_log_probability",
    "reference_margin",
    "reference_error_norm",
)
"""What a kernel regression on the reference set alone says of a sample's label."""

CLASSIFIER_FEATURE_NAMES: Final = (
    "stored_log_probability",
    "stored_margin",
    "stored_error_norm",
)
"""What stored classifiers that never saw the sample say of its label."""

TRANSFERABLE_FEATURE_NAMES: Final = (
    POSITION_FEATURE_NAMES + REFERENCE_FEATURE_NAMES + CLASSIFIER_FEATURE_NAMES
)
"""All columns, in order."""

_ROWS_AT_ONCE: Final = 4096


@dataclass(frozen=True, eq=False)
class EncodedSamples:
    """Labelled samples in a selector's encoder space.

    Attributes:
        vectors: [sample, dimension] float32.
        labels: [sample] int64.
        is_real: [sample] bool.
    """

    vectors: NDArray[np.float32]
    labels: NDArray[np.int64]
    is_real: NDArray[np.bool_]

    def take(self, positions: NDArray[np.int64]) -> "EncodedSamples":
        """Return the samples at some positions."""
        return EncodedSamples(
            self.vectors[positions], self.labels[positions], self.is_real[positions]
        )


@dataclass(frozen=True, eq=False)
class StoredSets:
    """What a selector remembers of the run that it was distilled from.

    Attributes:
        pool: A bounded part of the pool.
        scores: [stored] float32 in [0, 1], the run's scores of that part.
        fold: [stored] int64, the stored classifier that never saw the sample.
        reference: The reference set's vectors, [reference, dimension] float32.
        reference_labels: [reference] int64.
        class_count: Number of classes.
    """

    pool: EncodedSamples
    scores: NDArray[np.float32]
    fold: NDArray[np.int64]
    reference: NDArray[np.float32]
    reference_labels: NDArray[np.int64]
    class_count: int


def stored_columns(
    stored: StoredSets, posterior: KernelPosterior, classifiers: Sequence[Classifier]
) -> NDArray[np.float32]:
    """Return the columns of the stored pool samples themselves, as if each were new.

    No sample is its own neighbour, and only the classifier that never saw it judges it.

    Args:
        stored: What the selector remembers.
        posterior: Kernel regression on the reference set.
        classifiers: One for each fold of the stored pool.

    Returns:
        [stored, column] float32, columns as in `TRANSFERABLE_FEATURE_NAMES`.
    """
    by_classifier = np.stack([_classifier_columns(model, stored.pool) for model in classifiers])
    unseen = by_classifier[stored.fold, np.arange(len(stored.fold))]
    return np.concatenate(
        [
            _positions(stored, stored.pool),
            _reference_columns(posterior, stored.pool),
            unseen,
        ],
        axis=1,
    )


def new_columns(
    samples: EncodedSamples,
    stored: StoredSets,
    posterior: KernelPosterior,
    classifiers: Sequence[Classifier],
) -> NDArray[np.float32]:
    """Return the columns of samples that the run never saw.

    How close the nearest synthetic sample lies depends on how many there are. The samples are
    therefore measured among themselves in random blocks of the size of the stored pool, the last of
    which is filled up from it: what the selector learned of closeness then still holds.

    Args:
        samples: The new samples.
        stored: What the selector remembers.
        posterior: Kernel regression on the reference set.
        classifiers: Those of the stored pool.

    Returns:
        [sample, column] float32, columns as in `TRANSFERABLE_FEATURE_NAMES`.

    Cost: linear in the samples for a stored pool of fixed size.
    """
    count = len(samples.labels)
    columns = np.empty((count, len(TRANSFERABLE_FEATURE_NAMES)), dtype=np.float32)
    order = np.random.default_rng(derive_seed(count, "selector blocks")).permutation(count)
    size = len(stored.scores)
    for start in range(0, count, size):
        places = order[start : start + size]
        block = samples.take(places)
        judged = np.mean([_classifier_columns(model, block) for model in classifiers], axis=0)
        columns[places] = np.concatenate(
            [
                _positions(stored, _filled(block, stored))[: len(places)],
                _reference_columns(posterior, block),
                judged,
            ],
            axis=1,
        )
    return columns


def _filled(block: EncodedSamples, stored: StoredSets) -> EncodedSamples:
    missing = len(stored.scores) - len(block.labels)
    # Spread over the stored pool, whose order is that of the original pool and may go by class.
    places = np.linspace(0, len(stored.scores), missing, endpoint=False).astype(np.int64)
    filling = stored.pool.take(places)
    return EncodedSamples(
        np.concatenate([block.vectors, filling.vectors]),
        np.concatenate([block.labels, filling.labels]),
        np.concatenate([block.is_real, filling.is_real]),
    )


def _positions(stored: StoredSets, samples: EncodedSamples) -> NDArray[np.float32]:
    return position_features(
        EncodedSets(
            pool=samples.vectors,
            pool_labels=samples.labels,
            pool_is_real=samples.is_real,
            reference=stored.reference,
            reference_labels=stored.reference_labels,
            class_count=stored.class_count,
        )
    )


def _reference_columns(posterior: KernelPosterior, samples: EncodedSamples) -> NDArray[np.float32]:
    parts = [
        _label_columns(
            posterior.log_probabilities(samples.vectors[start : start + _ROWS_AT_ONCE]),
            samples.labels[start : start + _ROWS_AT_ONCE],
        )
        for start in range(0, len(samples.labels), _ROWS_AT_ONCE)
    ]
    return np.concatenate(parts)


def _classifier_columns(classifier: Classifier, samples: EncodedSamples) -> NDArray[np.float32]:
    with torch.no_grad():
        logits = classifier(torch.from_numpy(samples.vectors)).double()
    return _label_columns(functional.log_softmax(logits, dim=1).numpy(), samples.labels)


def _label_columns(
    log_probabilities: NDArray[np.float64], labels: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Return log probability of the label, its lead over the next class, and the error norm."""
    rows = np.arange(len(labels))
    own = log_probabilities[rows, labels]
    others = log_probabilities.copy()
    others[rows, labels] = -np.inf
    errors = np.exp(log_probabilities)
    errors[rows, labels] -= 1.0
    columns = [own, own - others.max(axis=1), np.linalg.norm(errors, axis=1)]
    return np.stack(columns, axis=1).astype(np.float32)
