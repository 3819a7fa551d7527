"""Lists the rows that are judged: each method's scores, and every baseline."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from quality_sets import QualitySet
from shared_run import PreparedRun, prepare_run
from sklearn.metrics import roc_auc_score

from mts_core.baselines import (
    NO_SELECTION,
    NO_SELECTION_UPWEIGHTED,
    REFERENCE_ONLY,
    BaselineView,
    Row,
    Variants,
    baseline_rows,
    scored_rows,
)
from mts_core.curation_data import CurationData
from mts_core.methods import METHODS as LIBRARY_METHODS
from mts_core.pipeline import pipeline_config_from_mapping
from mts_core.pipeline_config import BaselineChoice, MethodName
from mts_core.reference_folds import reference_folds
from mts_core.seeds import derive_seed
from mts_core.stages import encoded_sets

Weights = NDArray[np.float64]

FRACTIONS: Final = (0.15, 0.3, 0.5, 0.75, 1.0)
"""Shares of the pool that every cut chooses from."""
EXPONENTS: Final = (1.0, 2.0, 4.0, 8.0)
"""Powers of the scores that all weights choose from."""
REFERENCE_WEIGHTS: Final = (1.0, 3.0, 10.0, 30.0)
"""How often a reference sample may count beside the mean pool sample, where that is a choice."""
VARIANTS: Final = Variants(FRACTIONS, EXPONENTS, REFERENCE_WEIGHTS, is_balanced=False)
FROZEN_RATE: Final = 1e-8
"""Learning rate at which the meta-network stays as it was drawn."""


@dataclass(frozen=True)
class MethodEntry:
    """A way to learn scores.

    Attributes:
        method: Method of the job.
        settings: Its settings that are not the defaults.
        is_permuted: Whether the labels of the reference set are shuffled first.
    """

    method: str
    settings: Mapping[str, object] = dataclasses.field(default_factory=dict)
    is_permuted: bool = False


METHODS: Final[Mapping[str, MethodEntry]] = {
    str(method): MethodEntry(method)
    for method in (MethodName.META_WEIGHT_NET, MethodName.MTS, MethodName.WINNOW)
}
"""Every method that is measured, the headline last."""
CONTROLS: Final[Mapping[str, MethodEntry]] = {
    f"{method}_{control}": entry
    for method in (MethodName.MTS, MethodName.WINNOW)
    for control, entry in (
        ("frozen", MethodEntry(method, {"meta_learning_rate": FROZEN_RATE})),
        ("permuted", MethodEntry(method, is_permuted=True)),
    )
}
"""Runs whose meta-network cannot learn, and runs on shuffled labels of the reference set."""

PERFECT_KNOWLEDGE: Final = "perfect_knowledge"
BASELINE_FOLDS: Final = 2
"""Folds that baselines are shown; judges look at the rankings by the whole reference set alone."""


@dataclass(frozen=True, eq=False)
class Contender:
    """A row of the benchmark.

    Attributes:
        name: Name of the row.
        candidates: Pool weights [sample] to choose from: of mean 1 or less, or all zero.
    """

    name: str
    candidates: Sequence[Weights]


@dataclass(frozen=True, eq=False)
class Lineup:
    """All rows of one seed.

    Attributes:
        contenders: The rows.
        aurocs: How well each method's scores tell good samples, by method.
    """

    contenders: Sequence[Contender]
    aurocs: Mapping[str, float]


def line_up(problem: QualitySet, entries: Mapping[str, MethodEntry], *, seed: int) -> Lineup:
    """Return the rows of all methods and baselines on a problem.

    Args:
        problem: The set.
        entries: Methods by the name of their rows; without any, only the rows that need no run are
            left.
        seed: Seed of every run.
    """
    contenders = [perfect_knowledge(problem)]
    if not entries:
        return Lineup([*contenders, *simple_contenders(len(problem.data.pool_labels))], {})
    runs = {False: prepare_run(problem.data, seed=seed)}
    if any(entry.is_permuted for entry in entries.values()):
        runs[True] = prepare_run(permute_reference(problem.data, seed=seed), seed=seed)
    contenders += baselines(runs[False])
    aurocs: dict[str, float] = {}
    for name, entry in entries.items():
        scores = runs[entry.is_permuted].learn(entry.method, entry.settings)
        labels = problem.data.pool_labels
        contenders += scored_contenders(name, entry.method, scores, labels)
        if LIBRARY_METHODS[MethodName(entry.method)].has_final_scores:
            contenders.append(weights_alone(name, entry.method, scores, labels))
        aurocs[name] = float(roc_auc_score(problem.is_good, scores))
    return Lineup(contenders, aurocs)


def permute_reference(data: CurationData, *, seed: int) -> CurationData:
    """Return the same data with the labels of the reference set shuffled."""
    order = np.random.default_rng(seed).permutation(len(data.reference_labels))
    return dataclasses.replace(data, reference_labels=data.reference_labels[order])


def perfect_knowledge(problem: QualitySet) -> Contender:
    """Return the row that trains on the good samples alone, which no user could have."""
    is_good = problem.is_good.astype(np.float64)
    return Contender(PERFECT_KNOWLEDGE, [is_good / is_good.mean()])


def simple_contenders(count: int) -> list[Contender]:
    """Return the rows of no selection and of the reference set alone, for a pool of a size."""
    return [
        Contender(NO_SELECTION, [np.ones(count)]),
        Contender(REFERENCE_ONLY, [np.zeros(count)]),
    ]


def upweighted_contender(count: int) -> Contender:
    """Return the row of no selection that chooses how often a reference sample counts."""
    row = Row(
        NO_SELECTION_UPWEIGHTED,
        np.ones(count, dtype=np.float32),
        reference_weights=REFERENCE_WEIGHTS,
    )
    return Contender(row.method, row_weights(row, np.zeros(count, dtype=np.int64)))


def baselines(run: PreparedRun) -> Iterator[Contender]:
    """Yield every baseline whose scores are not learned, each with its cuts.

    Between them stands no selection with the reference set at a chosen weight, which is none of the
    ten.

    Args:
        run: What they look at.
    """
    data = run.data
    everyone = np.arange(len(data.reference_labels))
    sets = encoded_sets(data, run.encode.encoding, everyone)
    seed = derive_seed(run.seed, "baselines")
    view = BaselineView(
        run.features.table,
        run.features.is_unlearned,
        sets=sets,
        folds=reference_folds(sets.reference, sets.reference_labels, BASELINE_FOLDS, seed=seed),
        fold_count=BASELINE_FOLDS,
        scores={},
        seed=run.seed,
    )
    names = [str(choice) for choice in BaselineChoice]
    config = pipeline_config_from_mapping(MethodName.MTS, {"baselines": names})
    for row in baseline_rows(view, config, VARIANTS):
        yield Contender(str(row.method), row_weights(row, data.pool_labels))


def ten_baselines(run: PreparedRun) -> Iterator[Contender]:
    """Yield one row for each baseline: those that need no learning, and Meta-Weight-Net's weights.

    Args:
        run: What they look at.
    """
    yield from (row for row in baselines(run) if row.name != NO_SELECTION_UPWEIGHTED)
    method = MethodName.META_WEIGHT_NET
    scores = run.learn(method, {})
    weighted, _ = scored_contenders(method, method, scores, run.data.pool_labels)
    yield weighted


def scored_contenders(
    name: str, method: str, scores: NDArray[np.float32], labels: NDArray[np.int64]
) -> Iterator[Contender]:
    """Yield the two rows of a method: its scores as weights, and its best share as a cut.

    Weights of a method whose scores are final choose how often a reference sample counts.

    Args:
        name: Name of the rows.
        method: The method, which says whether its scores are weights as they are.
        scores: [sample] float32 in [0, 1].
        labels: [sample] int64.
    """
    for row in scored_rows(name, scores, _variants_of(method)):
        yield Contender(row.method, row_weights(row, labels))


def weights_alone(
    name: str, method: str, scores: NDArray[np.float32], labels: NDArray[np.int64]
) -> Contender:
    """Return a method's weights as a row in which a reference sample counts as the mean sample.

    Args:
        name: Name of the method's rows.
        method: The method, which says whether its scores are weights as they are.
        scores: [sample] float32 in [0, 1].
        labels: [sample] int64.
    """
    variants = dataclasses.replace(_variants_of(method), reference_weights=(1.0,))
    weighted, _ = scored_rows(name, scores, variants)
    return Contender(f"{weighted.method}, reference at weight 1", row_weights(weighted, labels))


def row_weights(row: Row, labels: NDArray[np.int64]) -> list[Weights]:
    """Return the pool weights of every variant of a row, beside reference samples of weight 1."""
    return [
        row.weights(labels, candidate) / row.reference_weight(candidate)
        for candidate in range(row.candidate_count)
    ]


def _variants_of(method: str) -> Variants:
    has_final_scores = LIBRARY_METHODS[MethodName(method)].has_final_scores
    return VARIANTS.of_method(has_final_scores=has_final_scores)
