"""Measures how far reference set and cleaned pool support the label that a sample claims."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray

from mts_core.encoded_views import View
from mts_core.kernel_ridge import (
    KernelPosterior,
    KernelSetting,
    choose_kernel_setting,
    fit_kernel_posterior,
    left_out_log_probabilities,
    whole_folds,
)
from mts_core.label_noise import estimate_label_noise
from mts_core.label_shift import label_shift_factors
from mts_core.pool_posterior import (
    FIT_LIMIT,
    LabelledVectors,
    PoolPosterior,
    fit_labels_as_given,
    fit_pool_posterior,
)
from mts_core.posterior_pooling import fit_pooling_exponents, pool_log_probabilities
from mts_core.seeds import derive_seed
from mts_core.turned_labels import labels_are_turned

REFERENCE_LIMIT: Final = 2000
"""Reference samples that posteriors are fitted on at most: their cost is cubic."""

_ROWS_AT_ONCE: Final = 8192
_LEAST_SUPPORT: Final = 1e-6
_TWO: Final = 2
"""Classes of which each is the other one's only alternative."""


@dataclass(frozen=True)
class SupportSettings:
    """How posteriors are fitted.

    Attributes:
        landmark_count: Pool samples among the landmarks of a pool posterior.
        cleaning_rounds: Rounds in which a pool posterior weighs labels down.
        label_shift: Power of the classes' factors in a pool posterior.
        fit_limit: Pool samples that pool posteriors are fitted on at most.
        reference_limit: Reference samples that all are fitted on at most.
    """

    landmark_count: int
    cleaning_rounds: int
    label_shift: float = 1.0
    fit_limit: int = FIT_LIMIT
    reference_limit: int = REFERENCE_LIMIT


@dataclass(frozen=True, eq=False)
class _Opinion:
    """The two posteriors of one view."""

    by_reference: KernelPosterior
    by_pool: PoolPosterior
    left_out: tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class LabelAssessment:
    """What the pooled posterior says of the pool's labels.

    Attributes:
        support: [sample] float64 in (0, 1], the support of each given label.
        noise: Share of the labels that is wrong, as estimated.
    """

    support: NDArray[np.float64]
    noise: float


@final
class LabelSupport:
    """Posteriors of every view, fitted one view after the other and then pooled.

    For each view there are two: that of the reference set alone, and that of the pool whose wrong
    labels are weighed down. All are pooled by exponents that the reference set chooses, by what
    each says of reference samples that it has not seen.

    Of two classes most labels may name the other one, and the pool would agree on it. The reference
    set is asked for that first; if so, the pool's posteriors are fitted on the other labels.

    Attributes:
        total: Posteriors of the pool to fit, and one more step to pool all.
    """

    def __init__(  # noqa: PLR0913  # Data, its labels and settings.
        self,
        views: Mapping[str, View],
        pool_labels: NDArray[np.int64],
        reference_labels: NDArray[np.int64],
        *,
        class_count: int,
        settings: SupportSettings,
        seed: int,
    ) -> None:
        """Begin before the first view.

        Args:
            views: Pool and reference set in each encoder's space, by its name.
            pool_labels: [sample] int64.
            reference_labels: [reference] int64.
            class_count: Number of classes.
            settings: How posteriors are fitted.
            seed: Seed of every draw.
        """
        self._views = dict(views)
        self._pool_labels = pool_labels
        self._all_reference_labels = reference_labels
        self._class_count = class_count
        self._settings = settings
        self._seed = seed
        self._known = _spread_over_classes(reference_labels, settings.reference_limit, seed)
        self._reference_labels = reference_labels[self._known]
        self._fitted = _drawn(len(pool_labels), settings.fit_limit, seed)
        self._folds = whole_folds(self._reference_labels)
        self._opinions: dict[str, _Opinion] = {}
        self._exponents = np.empty(0)
        self._are_turned = False
        fold_count = 0 if self._folds is None else len(np.unique(self._folds))
        asked_count = 1 if class_count == _TWO else 0
        self.total = len(views) * (asked_count + 1 + fold_count) + 1

    def advance(self) -> Iterator[None]:
        """Yield after each posterior of the pool, and once all are pooled."""
        if self._class_count == _TWO:
            yield from self._ask_whether_turned()
        for name, view in self._views.items():
            yield from self._fit(name, view)
        left_out = [part for opinion in self._opinions.values() for part in opinion.left_out]
        self._exponents = fit_pooling_exponents(left_out, self._reference_labels)
        yield None

    def assess(self, *, rows_at_once: int = _ROWS_AT_ONCE) -> LabelAssessment:
        """Return the support of each given label, and how many of them are wrong.

        The support is q^2 / max q for the pooled posterior q: high where the label is both probable
        and the most probable one. The probability alone would favour samples far from any other
        class, and its share of the highest alone samples of which nothing is known.

        Args:
            rows_at_once: Samples that are read together; it bounds the memory and changes nothing.
        """
        given = np.empty(len(self._pool_labels))
        highest = np.empty(len(self._pool_labels))
        for start in range(0, len(given), rows_at_once):
            rows = slice(start, min(start + rows_at_once, len(given)))
            pooled = pool_log_probabilities(self._read(rows), self._exponents)
            given[rows] = pooled[np.arange(len(pooled)), self._pool_labels[rows]]
            highest[rows] = pooled.max(axis=1)
        support = np.maximum(np.exp(2 * given - highest), _LEAST_SUPPORT)
        return LabelAssessment(support, estimate_label_noise(np.exp(given), self._class_count))

    def summary(self) -> dict[str, Any]:  # Any: a JSON object.
        """Return exponents and left-out log losses, and whether labels were read turned round."""
        places = np.arange(len(self._reference_labels))

        def loss(left_out: NDArray[np.float64]) -> float:
            return -float(left_out[places, self._reference_labels].mean())

        parts = [part for opinion in self._opinions.values() for part in opinion.left_out]
        names = [f"{name}/{part}" for name in self._opinions for part in ("reference", "pool")]
        posteriors = {
            name: {"exponent": float(exponent), "reference_log_loss": loss(part)}
            for name, exponent, part in zip(names, self._exponents, parts, strict=True)
        }
        pooled = loss(pool_log_probabilities(parts, self._exponents))
        return {
            "posteriors": posteriors,
            "pooled_reference_log_loss": pooled,
            "labels_are_turned": self._are_turned,
        }

    def _ask_whether_turned(self) -> Iterator[None]:
        """Hold what the pool says as it is labelled, in each view, against the reference set."""
        own = self._reference_labels
        places, log_odds = np.arange(len(own)), np.zeros(len(own))
        for name, view in self._views.items():
            posterior = fit_labels_as_given(
                self._fitted_pool(view),
                class_count=self._class_count,
                landmark_count=self._settings.landmark_count,
                class_factors=self._class_factors,
                seed=derive_seed(self._seed, "labels as given", name),
            )
            found = posterior.log_probabilities(view.reference[self._known])
            log_odds += (found[places, own] - found[places, 1 - own]) / len(self._views)
            yield None
        self._are_turned = labels_are_turned(log_odds)

    @property
    def _believed_labels(self) -> NDArray[np.int64]:
        return 1 - self._pool_labels if self._are_turned else self._pool_labels

    @property
    def _class_factors(self) -> NDArray[np.float64]:
        factors = label_shift_factors(
            self._believed_labels, self._all_reference_labels, self._class_count
        )
        return np.asarray(factors**self._settings.label_shift)

    def _fitted_pool(self, view: View) -> LabelledVectors:
        return LabelledVectors(view.pool[self._fitted], self._believed_labels[self._fitted])

    def _fit(self, name: str, view: View) -> Iterator[None]:
        known = LabelledVectors(view.reference[self._known], self._reference_labels)
        setting = choose_kernel_setting(known.vectors, known.labels, self._class_count)
        by_reference = fit_kernel_posterior(known.vectors, known.labels, self._class_count, setting)
        by_pool = self._fit_pool(name, view, known, by_reference)
        yield None
        left_out = by_pool.left_out_reference
        if self._folds is not None:
            left_out = np.empty_like(left_out)
            for fold in np.unique(self._folds):
                is_out = self._folds == fold
                left_out[is_out] = self._fold_by_pool(name, view, known, is_out, setting)
                yield None
        alone = left_out_log_probabilities(known.vectors, known.labels, self._class_count, setting)
        self._opinions[name] = _Opinion(by_reference, by_pool, (alone, left_out))

    def _fit_pool(
        self, name: str, view: View, known: LabelledVectors, by_reference: KernelPosterior
    ) -> PoolPosterior:
        pool = self._fitted_pool(view)
        prior = np.exp(by_reference.log_probabilities(pool.vectors))
        return fit_pool_posterior(
            pool,
            known,
            prior[np.arange(len(prior)), pool.labels],
            class_count=self._class_count,
            landmark_count=self._settings.landmark_count,
            rounds=self._settings.cleaning_rounds,
            class_factors=self._class_factors,
            seed=derive_seed(self._seed, "landmarks", name),
        )

    def _fold_by_pool(
        self,
        name: str,
        view: View,
        known: LabelledVectors,
        is_out: NDArray[np.bool_],
        setting: KernelSetting,
    ) -> NDArray[np.float64]:
        """Return what a pool says of a fold that had no part in its cleaning either.

        A few samples steer the cleaning so much that the pool would answer with their own labels.
        """
        used = LabelledVectors(known.vectors[~is_out], known.labels[~is_out])
        by_others = fit_kernel_posterior(used.vectors, used.labels, self._class_count, setting)
        by_pool = self._fit_pool(name, view, used, by_others)
        return by_pool.log_probabilities(known.vectors[is_out])

    def _read(self, rows: slice) -> Sequence[NDArray[np.float64]]:
        """Return every posterior of some rows, in the order of the exponents."""
        parts = []
        first, last = np.searchsorted(self._fitted, [rows.start, rows.stop])
        inside = self._fitted[first:last] - rows.start
        for name, opinion in self._opinions.items():
            vectors = self._views[name].pool[rows]
            by_pool = opinion.by_pool.log_probabilities(vectors)
            # What was fitted on is predicted without itself: it would vouch for its own label.
            by_pool[inside] = opinion.by_pool.fitted_log_probabilities[first:last]
            parts += [opinion.by_reference.log_probabilities(vectors), by_pool]
        return parts


def _drawn(size: int, limit: int, seed: int) -> NDArray[np.int64]:
    if size <= limit:
        return np.arange(size)
    generator = np.random.default_rng(derive_seed(seed, "fitted"))
    return np.sort(generator.choice(size, limit, replace=False))


def _spread_over_classes(labels: NDArray[np.int64], limit: int, seed: int) -> NDArray[np.int64]:
    """Return positions of at most so many samples, every class in turn, in rising order."""
    if len(labels) <= limit:
        return np.arange(len(labels))
    order = np.random.default_rng(derive_seed(seed, "known")).permutation(len(labels))
    turns = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        turns[members] = np.arange(len(members))
    return np.sort(order[np.argsort(turns[order], kind="stable")][:limit])
