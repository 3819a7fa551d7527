"""Lists the rows of the before and after table: which pool samples each method trains on."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mts_core.feature_table import OFFLINE_FEATURE_NAMES
from mts_core.knn_shapley import knn_shapley_sums
from mts_core.pipeline_config import BaselineChoice, MethodName, PipelineConfig
from mts_core.position_features import EncodedSets, nearest_real_cosines
from mts_core.seeds import derive_seed
from mts_core.selection import TopFraction, select

NO_SELECTION: Final = "no_selection"
"""Row of the whole pool, every sample alike."""

NO_SELECTION_UPWEIGHTED: Final = "no_selection_upweighted"
"""Row of the whole pool, every sample alike, with the reference set at a weight that is chosen.

It shows what counting the reference set more is worth without a selection.
"""

REFERENCE_ONLY: Final = "reference_only"
"""Row of the reference set alone."""

_LEARNED: Final[Mapping[BaselineChoice, MethodName]] = MappingProxyType(
    {BaselineChoice.META_WEIGHT_NET: MethodName.META_WEIGHT_NET}
)


def weighted_row(method: str) -> str:
    """Return the name of the row whose weights are a method's scores."""
    return f"{method}_weighted"


def selected_row(method: str) -> str:
    """Return the name of the row that keeps what a method scores highest."""
    return f"{method}_selected"


@dataclass(frozen=True, eq=False)
class Row:
    """One method of the table, with the variants that cross-validation chooses from.

    Attributes:
        method: Name of the row.
        ranking: [sample] float32, not negative where it is used as weights.
        fractions: Shares of the pool to keep, the highest of the ranking first; empty where the row
            uses its ranking as weights.
        exponents: Powers that the ranking is raised to before it is used as weights.
        reference_weights: Weights of a reference sample, as multiples of the mean pool sample's.
        is_balanced: Whether cuts keep the same share of every class.
        fold_rankings: [fold, sample] float32: the ranking without a look at a fold of the reference
            set, for the cross-validation; none where the ranking looks at no reference sample, or
            can be had from all of them only.
    """

    method: str
    ranking: NDArray[np.float32]
    fractions: tuple[float, ...] = ()
    exponents: tuple[float, ...] = (1.0,)
    reference_weights: tuple[float, ...] = (1.0,)
    is_balanced: bool = False
    fold_rankings: NDArray[np.float32] | None = None

    @property
    def candidate_count(self) -> int:
        """Number of variants to choose from: each cut or power with each reference weight."""
        return (len(self.fractions) or len(self.exponents)) * len(self.reference_weights)

    def reference_weight(self, candidate: int) -> float:
        """Return how much a reference sample counts, as a multiple of the mean pool sample."""
        return self.reference_weights[candidate % len(self.reference_weights)]

    def fraction(self, candidate: int) -> float:
        """Return the share of the pool that a variant of a cut keeps."""
        return self.fractions[candidate // len(self.reference_weights)]

    def exponent(self, candidate: int) -> float:
        """Return the power of the ranking that a variant uses as weights."""
        return self.exponents[candidate // len(self.reference_weights)]

    def weights(
        self, labels: NDArray[np.int64], candidate: int, *, held_out: int | None = None
    ) -> NDArray[np.float64]:
        """Return pool weights [sample] float64, of mean 1 over the whole pool.

        The reference set thus has the same share of the draws in every row of one reference
        weight; otherwise a row would gain by cutting at random, since a smaller pool leaves more
        of the draws to the reference set.

        Args:
            labels: [sample] int64.
            candidate: Index of the variant.
            held_out: Fold of the reference set that is not looked at, or none.
        """
        ranking = self.ranking
        if held_out is not None and self.fold_rankings is not None:
            ranking = self.fold_rankings[held_out]
        if self.fractions:
            rule = TopFraction(self.fraction(candidate), is_balanced=self.is_balanced)
            weights = select(ranking, labels, rule).astype(np.float64)
        else:
            weights = ranking.astype(np.float64) ** self.exponent(candidate)
        mean = float(weights.mean())
        return weights / mean if mean else weights


@dataclass(frozen=True)
class Variants:
    """What the rows of a table choose from.

    Attributes:
        fractions: Shares of the pool that cuts choose from.
        exponents: Powers of the scores that weights choose from.
        reference_weights: Weights of a reference sample that weights choose from.
        is_balanced: Whether cuts keep the same share of every class.
    """

    fractions: tuple[float, ...]
    exponents: tuple[float, ...]
    reference_weights: tuple[float, ...]
    is_balanced: bool

    def of_method(self, *, has_final_scores: bool) -> "Variants":
        """Return what the rows of a method choose from.

        Scores that are weights as they are have no power to choose, but a weight of the reference
        set; others have it the other way round, as the literature uses them.

        Args:
            has_final_scores: Whether the method's scores are weights as they are.
        """
        if has_final_scores:
            return dataclasses.replace(self, exponents=(1.0,))
        return dataclasses.replace(self, reference_weights=(1.0,))


@dataclass(frozen=True, eq=False)
class BaselineView:
    """What the baselines may look at.

    Attributes:
        offline_features: [sample, 13] float32, raw columns.
        is_unlearned: [sample] bool, true where the training without selection was never right.
        sets: Encoded pool, and the reference samples that may be looked at.
        folds: [reference] int64, the fold of each of them in the cross-validation.
        fold_count: Number of folds.
        scores: [sample] float32 in [0, 1] for each baseline that is learned.
        seed: Seed of the random row.
    """

    offline_features: NDArray[np.float32]
    is_unlearned: NDArray[np.bool_]
    sets: EncodedSets
    folds: NDArray[np.int64]
    fold_count: int
    scores: Mapping[BaselineChoice, NDArray[np.float32]]
    seed: int

    def column(self, name: str) -> NDArray[np.float32]:
        """Return an offline feature by its name, [sample]."""
        return self.offline_features[:, OFFLINE_FEATURE_NAMES.index(name)]


def learned_baselines(config: PipelineConfig) -> Mapping[BaselineChoice, MethodName]:
    """Return the baselines whose scores have to be learned, and by which method.

    One that is the job's own method is left out: the table shows its scores already.

    Args:
        config: The job's settings.
    """
    if not config.evaluate:
        return {}
    return {
        choice: method
        for choice, method in _LEARNED.items()
        if choice in config.baselines and method is not config.method
    }


def baseline_rows(view: BaselineView, config: PipelineConfig, variants: Variants) -> Iterator[Row]:
    """Yield the rows that the job's own scores have no part in.

    Args:
        view: What may be looked at.
        config: The job's settings, which name the baselines.
        variants: What the rows choose from.

    Yields:
        no_selection: the whole pool. reference_only: none of it. no_selection_upweighted: the whole
        pool, with the reference set at a weight that is chosen. random: a random share. el2n and
        grand: the share with the smallest error and gradient norm in training without selection.
        forgetting: the share forgotten least often there. knn_agreement: the share whose nearest
        pool samples have the same label. cosine: the share most similar to its three nearest real
        samples of the class. knn_shapley: the share of the highest value to a nearest-neighbour
        vote on the reference set. meta_weight_net: the whole pool, weighted by what a meta-network
        makes of the training loss.

    Source: [paul2021deep] for el2n and grand, [toneva2019empirical] for forgetting,
    [jia2019efficient] for knn_shapley, [shu2019metaweightnet] for meta_weight_net.
    Deviation: by el2n, grand and forgetting the easiest samples are kept instead of the hardest,
    since in a pool with wrong labels the hardest are mostly wrong.
    """
    count = len(view.offline_features)
    everything = np.ones(count, dtype=np.float32)
    yield Row(NO_SELECTION, everything)
    yield Row(REFERENCE_ONLY, np.zeros(count, dtype=np.float32))
    yield Row(NO_SELECTION_UPWEIGHTED, everything, reference_weights=variants.reference_weights)
    for choice in BaselineChoice:
        if choice in view.scores:
            yield Row(choice, view.scores[choice], exponents=variants.exponents)
        elif choice in config.baselines and choice in _RANKINGS:
            ranking, by_fold = _RANKINGS[choice](view)
            yield Row(
                choice,
                ranking,
                fractions=variants.fractions,
                is_balanced=variants.is_balanced,
                fold_rankings=by_fold,
            )


def scored_rows(method: str, scores: NDArray[np.float32], variants: Variants) -> Iterator[Row]:
    """Yield the rows of learned scores: used as weights, and as a cut.

    Args:
        method: What learned them.
        scores: [sample] float32 in [0, 1].
        variants: What the rows choose from.
    """
    yield Row(
        weighted_row(method),
        scores,
        exponents=variants.exponents,
        reference_weights=variants.reference_weights,
    )
    yield Row(
        selected_row(method),
        scores,
        fractions=variants.fractions,
        is_balanced=variants.is_balanced,
    )


_Rankings = tuple[NDArray[np.float32], NDArray[np.float32] | None]
"""A ranking, and those without a look at each fold where that makes a difference."""


def _at_random(view: BaselineView) -> _Rankings:
    generator = np.random.default_rng(derive_seed(view.seed, "random row"))
    return generator.random(len(view.offline_features), dtype=np.float32), None


def _rarely_forgotten(view: BaselineView) -> _Rankings:
    counts = view.column("forgetting_count")
    # What was never learned could not be forgotten; it counts as forgotten most often.
    counts = np.where(view.is_unlearned, counts.max() + 1, counts)
    # Counts are small whole numbers. Half the error norm, below one, orders equal ones, which would
    # otherwise be cut in the order of the pool.
    return -(counts + view.column("error_norm") / 2).astype(np.float32), None


def _near_the_reference(view: BaselineView) -> _Rankings:
    nearest = [view.column(f"nearest_real_cosine_{place}") for place in (1, 2, 3)]
    by_fold = [
        nearest_real_cosines(view.sets.with_reference(view.folds != fold)).mean(axis=1)
        for fold in range(view.fold_count)
    ]
    return np.mean(nearest, axis=0), np.stack(by_fold)


def _valuable_to_neighbours(view: BaselineView) -> _Rankings:
    sums = knn_shapley_sums(view.sets, view.folds, view.fold_count)
    whole = sums.sum(axis=0)
    # Dividing by the number of reference samples would not change an order.
    return whole.astype(np.float32), (whole - sums).astype(np.float32)


_RANKINGS: Final[Mapping[BaselineChoice, Callable[[BaselineView], _Rankings]]] = MappingProxyType(
    {
        BaselineChoice.RANDOM: _at_random,
        BaselineChoice.EL2N: lambda view: (-view.column("error_norm"), None),
        BaselineChoice.GRAND: lambda view: (-view.column("gradient_norm"), None),
        BaselineChoice.FORGETTING: _rarely_forgotten,
        BaselineChoice.KNN_AGREEMENT: lambda view: (
            view.column("neighbour_label_agreement"),
            None,
        ),
        BaselineChoice.COSINE: _near_the_reference,
        BaselineChoice.KNN_SHAPLEY: _valuable_to_neighbours,
    }
)
"""How each baseline ranks the pool; the others are learned."""
