"""Distils a finished run's scores into a selector, whatever method they were learned by."""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata
from torch.nn import functional

from mts_core.classifiers import Classifier, build_classifier, measure_input_scaling
from mts_core.config import ClassifierKind
from mts_core.curation_data import CurationData
from mts_core.encoders import Conditioning, FittedState
from mts_core.errors import MtsError, NonFiniteError
from mts_core.kernel_ridge import fit_kernel_posterior
from mts_core.optimisers import SgdRule, sgd_step, zeros_like_parameters
from mts_core.pipeline_report import CurationResult
from mts_core.seeds import derive_generator, derive_seed
from mts_core.selector import ScoreMap, Selector, SelectorOrigin, mean_prediction, network_inputs
from mts_core.transferable_features import EncodedSamples, StoredSets, stored_columns
from mts_core.value_regression import (
    RegressionRule,
    ValueNetwork,
    advance_regression,
    start_regression,
)

STORED_LIMIT: Final = 4096
"""Pool samples that a selector remembers at most; they bound its size and its cost."""

_KNOTS: Final = 1025
_FOLDS: Final = 2
_CLASSIFIER_BATCH: Final = 128
_CLASSIFIER_SGD: Final = SgdRule(0.1, momentum=0.9, weight_decay=5e-4)
_NETWORKS: Final = 5
_MOST_STEPS: Final = 300
_FEWEST_STEPS: Final = 50
_SAMPLES_PER_STEP: Final = 8
_STEPS_BETWEEN_REPORTS: Final = 25


@dataclass(frozen=True, eq=False)
class FinishedRun:
    """What a selector is distilled from.

    Attributes:
        origin: What the run's data looked like.
        conditioning: Map from raw to conditioned vectors.
        pool: The whole pool, encoded.
        scores: [sample] float32 in [0, 1], the values of record.
        reference: [reference, dimension] float32, the reference set's vectors.
        reference_labels: [reference] int64.
        fitted: What makes the encoder again, where the run's inputs made it.
    """

    origin: SelectorOrigin
    conditioning: Conditioning
    pool: EncodedSamples
    scores: NDArray[np.float32]
    reference: NDArray[np.float32]
    reference_labels: NDArray[np.int64]
    fitted: FittedState | None


def finished_run(
    data: CurationData, result: CurationResult, *, class_names: Sequence[str], method: str
) -> FinishedRun:
    """Return what a selector is distilled from, out of a run's data and its result.

    Args:
        data: What the run learned from.
        result: What it found.
        class_names: Names of the classes, by label.
        method: How the scores were learned.

    Raises:
        MtsError: A selector made the scores: they teach nothing new.
    """
    encoded = result.encoded
    if encoded is None:
        raise MtsError("Scores of a selector teach no further selector.")
    return FinishedRun(
        origin=SelectorOrigin(
            encoder=encoded.encoder,
            input_shape=tuple(data.pool_inputs.shape[1:]),
            class_names=tuple(class_names),
            method=method,
            suggested_score=_suggested_score(result),
        ),
        conditioning=encoded.conditioning,
        pool=EncodedSamples(encoded.pool, data.pool_labels, data.pool_is_real),
        scores=result.scores,
        reference=encoded.reference,
        reference_labels=data.reference_labels,
        fitted=encoded.fitted,
    )


@dataclass(frozen=True, eq=False)
class DistillationReport:
    """One sign of life of a distillation.

    Attributes:
        step: Steps done.
        total_steps: Steps of the whole.
        selector: The selector, on the last report alone.
    """

    step: int
    total_steps: int
    selector: Selector | None = None


@dataclass(frozen=True)
class _Part:
    """One network's part of a distillation.

    Attributes:
        steps: Steps of the part.
        before: Steps of the parts before it.
        total: Steps of the whole.
    """

    steps: int
    before: int
    total: int

    def report(self, done: int) -> DistillationReport:
        """Return the sign of life after some of the part's steps."""
        return DistillationReport(self.before + done, self.total)

    def is_told(self, done: int) -> bool:
        """Return whether a report is due after some of the part's steps."""
        return done % _STEPS_BETWEEN_REPORTS == 0 or done == self.steps


def distil(run: FinishedRun, *, seed: int) -> Iterator[DistillationReport]:
    """Yield reports of a distillation; the last one carries the selector.

    Its cost does not grow with the pool: no more than 4096 samples are looked at. On a CPU the same
    run and seed give the same selector, bit by bit.

    Args:
        run: What is distilled.
        seed: Seed of every draw.

    Raises:
        NonFiniteError: A loss is infinite or not a number.

    Source: [tess2026scalable], selection by a function of features that transfer.
    Deviation: the target is the score that any method gave, as the normal quantile of its rank, so
    that one regression suits all methods; the class itself is a feature, since a selector scores
    samples of its own classes alone.
    """
    seed = derive_seed(seed, "selector")
    stored = _stored_sets(run, seed)
    steps = _steps(len(stored.scores))
    total = (_FOLDS + _NETWORKS) * steps
    classifiers: list[Classifier] = []
    for fold in range(_FOLDS):
        plan = _Part(steps, len(classifiers) * steps, total)
        classifiers.append((yield from _train_classifier(stored, fold, plan, seed=seed)))
    posterior = fit_kernel_posterior(stored.reference, stored.reference_labels, stored.class_count)
    columns = stored_columns(stored, posterior, classifiers)
    knots = np.quantile(columns, np.linspace(0, 1, _KNOTS), axis=0).astype(np.float32)
    inputs = network_inputs(columns, stored.pool.labels, knots, stored)
    targets = _normal_quantiles(stored.scores)
    networks: list[ValueNetwork] = []
    for index in range(_NETWORKS):
        plan = _Part(steps, (_FOLDS + index) * steps, total)
        member = derive_seed(seed, "network", index)
        networks.append((yield from _fit_network(inputs, targets, plan, seed=member)))
    selector = Selector(
        origin=run.origin,
        conditioning=run.conditioning,
        fitted=run.fitted,
        stored=stored,
        classifiers=classifiers,
        networks=networks,
        score_map=_score_map(knots, networks, inputs, stored.scores),
    )
    yield DistillationReport(total, total, selector)


def _stored_sets(run: FinishedRun, seed: int) -> StoredSets:
    generator = np.random.default_rng(derive_seed(seed, "stored"))
    count = len(run.scores)
    positions = np.arange(count)
    if count > STORED_LIMIT:
        positions = np.sort(generator.choice(count, STORED_LIMIT, replace=False))
    fold = generator.permutation(len(positions)) % _FOLDS
    return StoredSets(
        pool=run.pool.take(positions),
        scores=run.scores[positions],
        fold=fold.astype(np.int64),
        reference=run.reference,
        reference_labels=run.reference_labels,
        class_count=len(run.origin.class_names),
    )


def _suggested_score(result: CurationResult) -> float:
    # A cut that is balanced over classes has no single lowest score; the pool's own share has.
    return float(np.quantile(result.scores, 1.0 - result.keep.mean(dtype=np.float64)))


def _steps(sample_count: int) -> int:
    return min(_MOST_STEPS, _FEWEST_STEPS + sample_count // _SAMPLES_PER_STEP)


def _train_classifier(
    stored: StoredSets, fold: int, plan: _Part, *, seed: int
) -> Generator[DistillationReport, None, Classifier]:
    """Return the classifier of a fold, which never sees the fold's own samples."""
    seen = np.flatnonzero(stored.fold != fold)
    # A pool of one sample leaves nothing to learn from in its fold but the reference set.
    inputs = torch.from_numpy(np.concatenate([stored.pool.vectors[seen], stored.reference]))
    labels = torch.from_numpy(np.concatenate([stored.pool.labels[seen], stored.reference_labels]))
    classifier = build_classifier(
        ClassifierKind.MLP,
        input_shape=inputs.shape[1:],
        class_count=stored.class_count,
        generator=derive_generator(seed, "classifier", fold, "start"),
        scaling=measure_input_scaling(inputs),
    ).float()
    parameters = dict(classifier.named_parameters())
    velocities = zeros_like_parameters(classifier)
    size = min(_CLASSIFIER_BATCH, len(labels))
    for step in range(plan.steps):
        generator = derive_generator(seed, "classifier", fold, step)
        drawn = torch.randint(len(labels), (size,), generator=generator)
        loss = functional.cross_entropy(classifier(inputs[drawn]), labels[drawn])
        if not bool(torch.isfinite(loss.detach())):
            raise NonFiniteError("loss of a stored classifier", step=step)
        gradients = torch.autograd.grad(loss, list(parameters.values()))
        sgd_step(
            parameters, dict(zip(parameters, gradients, strict=True)), velocities, _CLASSIFIER_SGD
        )
        if plan.is_told(step + 1):
            yield plan.report(step + 1)
    return classifier


def _fit_network(
    inputs: NDArray[np.float32], targets: NDArray[np.float32], plan: _Part, *, seed: int
) -> Generator[DistillationReport, None, ValueNetwork]:
    """Return a network from columns to normal quantiles of scores."""
    rule = RegressionRule(plan.steps, batch_size=256, learning_rate=3e-3, weight_decay=1e-2)
    columns, values = torch.from_numpy(inputs), torch.from_numpy(targets)
    regression = start_regression(
        inputs.shape[1], generator=derive_generator(seed, "start"), device=torch.device("cpu")
    )
    while regression.step < plan.steps:
        advance_regression(regression, columns, values, rule, seed=seed)
        if plan.is_told(regression.step):
            yield plan.report(regression.step)
    return regression.network


def _normal_quantiles(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    quantiles: NDArray[np.float64] = ndtri((rankdata(scores) - 0.5) / len(scores))
    return quantiles.astype(np.float32)


def _score_map(
    knots: NDArray[np.float32],
    networks: Sequence[ValueNetwork],
    inputs: NDArray[np.float32],
    scores: NDArray[np.float32],
) -> ScoreMap:
    places = np.linspace(0, 1, _KNOTS)
    predictions = mean_prediction(networks, inputs)
    return ScoreMap(
        column_knots=knots,
        prediction_knots=np.quantile(predictions, places).astype(np.float32),
        score_knots=np.quantile(scores, places).astype(np.float32),
    )
