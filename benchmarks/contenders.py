"""Lists the rows that are judged: each method's scores, and every baseline."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from quality_sets import QualitySet
from sklearn.metrics import roc_auc_score

from mts_core.baselines import Row, baseline_rows
from mts_core.curation_data import CurationData
from mts_core.feature_table import OFFLINE_FEATURE_NAMES
from mts_core.pipeline import (
    CurationResult,
    PipelineConfig,
    pipeline_config_from_mapping,
    run_pipeline,
)
from mts_core.selection import TopFraction, select

Weights = NDArray[np.float64]

FRACTIONS: Final = (0.15, 0.3, 0.5, 0.75)
"""Shares of the pool that every cut chooses from."""
EXPONENTS: Final = (1.0, 2.0, 4.0, 8.0)
"""Powers of the scores that all weights choose from."""
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


METHODS: Final[Mapping[str, MethodEntry]] = {"mts": MethodEntry("mts")}
"""Every method that is measured, the headline last."""
CONTROLS: Final[Mapping[str, MethodEntry]] = {
    "frozen_meta_network": MethodEntry("mts", {"meta_learning_rate": FROZEN_RATE}),
    "permuted_reference": MethodEntry("mts", is_permuted=True),
}
"""Runs from which nothing can be learned, so that nothing may be gained."""


PERFECT_KNOWLEDGE: Final = "perfect_knowledge"


@dataclass(frozen=True, eq=False)
class Contender:
    """A row of the benchmark.

    Attributes:
        name: Name of the row.
        candidates: Pool weights [sample] of mean 1, or all zero, to choose from.
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
        entries: Methods by the name of their rows; the first one's features serve the baselines,
            so that without any method only the rows that need no run are left.
        seed: Seed of every run.
    """
    contenders = [perfect_knowledge(problem)]
    if not entries:
        contenders += simple_contenders(len(problem.data.pool_labels))
    aurocs: dict[str, float] = {}
    for name, entry in entries.items():
        result = learn_scores(problem.data, entry, seed=seed)
        if not aurocs:
            contenders += baselines(problem.data, result, seed=seed)
        contenders += scored_contenders(name, result.scores, problem.data.pool_labels)
        aurocs[name] = float(roc_auc_score(problem.is_good, result.scores))
    return Lineup(contenders, aurocs)


def learn_scores(data: CurationData, entry: MethodEntry, *, seed: int) -> CurationResult:
    """Return the result of one run, which neither evaluates itself nor is given the test part."""
    data = dataclasses.replace(data, test_inputs=None, test_labels=None)
    if entry.is_permuted:
        order = np.random.default_rng(seed).permutation(len(data.reference_labels))
        data = dataclasses.replace(data, reference_labels=data.reference_labels[order])
    config = make_config(entry.method, {**entry.settings, "evaluate": False})
    result = None
    for report in run_pipeline(data, config, seed=seed):
        result = report.result
    if result is None:
        raise RuntimeError("The run ended without a result.")
    return result


def make_config(method: str, settings: Mapping[str, object]) -> PipelineConfig:
    """Return a method's settings.

    Raises:
        ValueError: There is no such method.
    """
    if method != "mts":
        raise ValueError(f"There is no method {method!r}.")
    return pipeline_config_from_mapping(settings)


def perfect_knowledge(problem: QualitySet) -> Contender:
    """Return the row that trains on the good samples alone, which no user could have."""
    is_good = problem.is_good.astype(np.float64)
    return Contender(PERFECT_KNOWLEDGE, [is_good / is_good.mean()])


def simple_contenders(count: int) -> list[Contender]:
    """Return the rows of no selection and of the reference set alone, for a pool of a size."""
    return [
        Contender("no_selection", [np.ones(count)]),
        Contender("reference_only", [np.zeros(count)]),
    ]


def baselines(data: CurationData, result: CurationResult, *, seed: int) -> Iterator[Contender]:
    """Yield every baseline that the library offers, each with its cuts or weights.

    Args:
        data: What the run learned from.
        result: A run's result, whose offline features the baselines rank by.
        seed: Seed of the random row.
    """
    table = result.features[:, : len(OFFLINE_FEATURE_NAMES)]
    for row in baseline_rows(table, FRACTIONS, is_balanced=False, seed=seed):
        yield Contender(str(row.method), row_weights(row, data.pool_labels))


def scored_contenders(
    name: str, scores: NDArray[np.float32], labels: NDArray[np.int64]
) -> Iterator[Contender]:
    """Yield a method's two rows: its scores as weights, and its best share as a cut.

    Args:
        name: Name of the method.
        scores: [sample] float32 in [0, 1].
        labels: [sample] int64.
    """
    sharpened = [scores.astype(np.float64) ** exponent for exponent in EXPONENTS]
    yield Contender(f"{name}_weighted", [weights / weights.mean() for weights in sharpened])
    cuts = [
        select(scores, labels, TopFraction(fraction, is_balanced=False)).astype(np.float64)
        for fraction in FRACTIONS
    ]
    yield Contender(f"{name}_selected", [kept / kept.mean() for kept in cuts])


def row_weights(row: Row, labels: NDArray[np.int64]) -> list[Weights]:
    """Return the pool weights of every variant of a baseline's row."""
    return [row.weights(labels, candidate) for candidate in range(row.candidate_count)]
