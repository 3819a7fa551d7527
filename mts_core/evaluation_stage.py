"""The last stage of a run: measures the table, on a test set or by nested cross-validation."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mts_core.baselines import (
    BaselineView,
    Row,
    Variants,
    baseline_rows,
    learned_baselines,
    scored_rows,
    selected_row,
    weighted_row,
)
from mts_core.before_after_table import recommend, table_rows
from mts_core.encoded_views import EncodedVectors
from mts_core.evaluation import (
    LARGE_POOL,
    Choice,
    EvaluationBudget,
    EvaluationTask,
    Measurements,
    choose,
    evaluation_budget,
    measure,
    measurement_steps,
)
from mts_core.methods import METHODS
from mts_core.pipeline_config import BaselineChoice, MethodName
from mts_core.pipeline_report import Phase
from mts_core.position_features import POSITION_FEATURE_NAMES, position_features
from mts_core.reference_folds import reference_folds
from mts_core.seeds import derive_seed
from mts_core.setting import AUTO
from mts_core.stages import ClassifierSets, RunContext, encoded_sets
from mts_core.training_data import LabelledInputs
from mts_core.weight_stage import start_method, untraced, weighting_problem

_OUTER_FOLDS: Final = 3
_OUTER_FOLDS_OF_LARGE_POOL: Final = 2
_BY_TEST: Final = "test set"
_BY_REFERENCE: Final = "nested cross-validation on the reference set"


@dataclasses.dataclass(frozen=True, eq=False)
class LearnedScores:
    """What the earlier stages learned.

    Attributes:
        offline_features: [sample, 13] float32 raw columns.
        is_unlearned: [sample] bool, true where the training without selection was never right.
        scores: [sample] float32 in [0, 1], by the job's method.
        part_scores: The same by each method that the job's own is built on.
        baseline_scores: The same for each baseline that is learned.
    """

    offline_features: NDArray[np.float32]
    is_unlearned: NDArray[np.bool_]
    scores: NDArray[np.float32]
    part_scores: Mapping[MethodName, NDArray[np.float32]]
    baseline_scores: Mapping[BaselineChoice, NDArray[np.float32]]


class EvaluationStage:
    """Measures every method's table row and chooses the suggested cut.

    Choices (steps, shares of cuts, sharpness of weights) are made by cross-validation on the
    reference set. With a test set, accuracy is measured there. Without one, the reference set is
    split into outer folds: for each, features, scores and all choices are learned again from the
    other folds alone, and accuracy is measured on the fold that was left out.
    """

    phase = Phase.EVALUATE

    def __init__(
        self,
        context: RunContext,
        encoding: EncodedVectors,
        sets: ClassifierSets,
        learned: LearnedScores,
        *,
        pool_size: int | None = None,
    ) -> None:
        """Prepare the measurement.

        Args:
            context: The run, or what a run on a sample of the pool would know.
            encoding: Vectors of the same pool.
            sets: The same pool, as the classifier reads it.
            learned: What the earlier stages learned of the same pool.
            pool_size: Samples of the whole pool, where what is given is a sample of it.
        """
        self._pool_size = pool_size
        self._context = context
        self._encoding = encoding
        self._sets = sets
        self._learned = learned
        self._budget = _budget(context)
        self._task = self._make_task(
            learned, np.arange(sets.reference.sample_count), sets.test, name="all"
        )
        self._measurements = Measurements(self._task)
        self._folds = _outer_folds(context, encoding)
        self._baselines = learned_baselines(context.config)
        # For each fold the scores of the job's method, of its parts and of learned baselines.
        self._parts = METHODS[context.config.method].parts
        row_count = 1 + len(self._parts) + len(self._baselines)
        shape = (len(self._folds), row_count, len(learned.scores))
        self._fold_scores = np.full(shape, np.nan, dtype=np.float32)
        self._fold_measurements = [Measurements(self._task) for _ in self._folds]
        self._own_steps = measurement_steps(self._task, has_test=sets.test is not None)
        self._fold_steps = measurement_steps(self._task, has_test=True)
        self._done = 0

    @property
    def step(self) -> int:
        """Training steps done, over all classifiers."""
        return self._done

    @property
    def total_steps(self) -> int:
        """Training steps at most, over all classifiers."""
        return self._own_steps + len(self._folds) * self._fold_steps

    def advance(self) -> Iterator[None]:
        """Yield every few steps until all rows are measured."""
        for done, _ in measure(self._task, self._measurements):
            self._done = done
            yield None
        for index, used in enumerate(self._folds):
            offset = self._own_steps + index * self._fold_steps
            for done in self._measure_fold(index, used):
                self._done = offset + done
                yield None

    def capture(self) -> dict[str, Tensor]:
        """Return all measurements so far."""
        tensors = {f"all.{name}": value for name, value in self._measurements.capture().items()}
        tensors["fold_scores"] = torch.from_numpy(self._fold_scores.copy())
        for index, measurements in enumerate(self._fold_measurements):
            for name, value in measurements.capture().items():
                tensors[f"fold{index}.{name}"] = value
        return tensors

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from captured measurements."""
        self._fold_scores[...] = captured["fold_scores"].numpy()
        parts = {"all": self._measurements}
        parts |= {f"fold{index}": item for index, item in enumerate(self._fold_measurements)}
        for part, measurements in parts.items():
            prefix = f"{part}."
            measurements.restore(
                {
                    name.removeprefix(prefix): value
                    for name, value in captured.items()
                    if name.startswith(prefix)
                }
            )

    def suggested_exponent(self) -> float:
        """Return the power of the scores with which they make the best weights."""
        row, choice = self._chosen()[weighted_row(self._context.config.method)]
        return row.exponent(choice.candidate)

    def suggested_reference_weight(self) -> float:
        """Return how often a reference sample counts beside the mean sample of the whole pool."""
        row, choice = self._chosen()[weighted_row(self._context.config.method)]
        return self._pool_scale() * row.reference_weight(choice.candidate)

    def suggested_fraction(self) -> float:
        """Return the share of the pool that the suggested cut keeps."""
        row, choice = self._chosen()[selected_row(self._context.config.method)]
        return row.fraction(choice.candidate)

    def report(self) -> dict[str, Any]:  # Any: a JSON object.
        """Return the report's rows, its recommendation and how they were measured."""
        accuracy = self._accuracy()
        choices = choose(self._task, self._measurements)
        rows = self._task.rows
        return {
            "rows": table_rows(
                rows,
                choices,
                accuracy,
                self._context.data.pool_labels,
                pool_scale=self._pool_scale(),
            ),
            "recommendation": recommend(rows, accuracy),
            "measured_on": self._measured_on(),
            "evaluated_on_samples": len(self._context.data.pool_labels),
        }

    def _measured_on(self) -> str:
        by = _BY_TEST if self._task.test is not None else _BY_REFERENCE
        if self._pool_size is None:
            return by
        count = len(self._context.data.pool_labels)
        return f"{by}, with a uniform sample of {count} of the {self._pool_size} pool samples"

    def _pool_scale(self) -> float:
        """Return the size of the whole pool over that of its measured part.

        A reference sample that counts so much more keeps its share of the draws in the whole pool.
        """
        count = len(self._context.data.pool_labels)
        return (self._pool_size or count) / count

    def _chosen(self) -> dict[str, tuple[Row, Choice]]:
        choices = choose(self._task, self._measurements)
        return {
            row.method: (row, choice) for row, choice in zip(self._task.rows, choices, strict=True)
        }

    def _accuracy(self) -> NDArray[np.float64]:
        if self._task.test is not None:
            return self._measurements.accuracy
        # Folds differ in size by a few samples; each sample counts once.
        size = self._sets.reference.sample_count
        shares = [(size - len(used)) / size for used in self._folds]
        parts = zip(shares, self._fold_measurements, strict=True)
        weighted = np.stack([share * item.accuracy for share, item in parts])
        return np.asarray(weighted.sum(axis=0))

    def _measure_fold(self, index: int, used: NDArray[np.int64]) -> Iterator[int]:
        held_out = np.setdiff1d(np.arange(self._sets.reference.sample_count), used)
        table = self._learned.offline_features.copy()
        table[:, : len(POSITION_FEATURE_NAMES)] = position_features(
            encoded_sets(self._context.data, self._encoding, used)
        )
        if np.isnan(self._fold_scores[index]).any():
            yield from self._learn_fold(index, table, used)
        own, *others = self._fold_scores[index]
        part_count = len(self._parts)
        learned = LearnedScores(
            table,
            self._learned.is_unlearned,
            own,
            dict(zip(self._parts, others[:part_count], strict=True)),
            dict(zip(self._baselines, others[part_count:], strict=True)),
        )
        test = self._sets.reference.take(held_out)
        task = self._make_task(learned, used, test, name=f"fold {index}")
        for done, _ in measure(task, self._fold_measurements[index]):
            yield done

    def _learn_fold(
        self, index: int, table: NDArray[np.float32], used: NDArray[np.int64]
    ) -> Iterator[int]:
        problem = weighting_problem(
            self._context,
            self._encoding,
            self._sets,
            offline_features=table,
            used_reference=used,
        )
        learned: list[NDArray[np.float32]] = []
        for method in (self._context.config.method, *self._baselines.values()):
            run = start_method(self._context, method, untraced(problem), index)
            for _ in run.advance():
                yield 0
            learned += [run.scores(), *run.part_scores().values()]
        self._fold_scores[index] = np.stack(learned)

    def _make_task(
        self,
        learned: LearnedScores,
        used: NDArray[np.int64],
        test: LabelledInputs | None,
        *,
        name: str,
    ) -> EvaluationTask:
        config = self._context.config
        seed = derive_seed(self._context.seed, "evaluation", name)
        sets = encoded_sets(self._context.data, self._encoding, used)
        folds = reference_folds(
            sets.reference, sets.reference_labels, self._budget.folds, seed=seed
        )
        view = BaselineView(
            learned.offline_features,
            learned.is_unlearned,
            sets=sets,
            folds=folds,
            fold_count=self._budget.folds,
            scores=learned.baseline_scores,
            seed=self._context.seed,
        )
        budget = self._budget
        variants = Variants(
            budget.fractions, budget.exponents, budget.reference_weights, config.balance
        )
        learned_variants = variants
        if config.keep != AUTO:
            learned_variants = dataclasses.replace(variants, fractions=(float(config.keep),))
        part_variants = learned_variants.of_method(has_final_scores=False)
        own_variants = learned_variants.of_method(
            has_final_scores=METHODS[config.method].has_final_scores
        )
        return EvaluationTask(
            rows=[
                *baseline_rows(view, config, variants),
                *(
                    row
                    for part, scores in learned.part_scores.items()
                    for row in scored_rows(part, scores, part_variants)
                ),
                *scored_rows(config.method, learned.scores, own_variants),
            ],
            pool=self._sets.pool,
            reference=self._sets.reference.take(used),
            test=test,
            folds=folds,
            recipe=self._sets.recipe,
            budget=self._budget,
            seed=seed,
        )


def _budget(context: RunContext) -> EvaluationBudget:
    smallest_class = int(np.bincount(context.data.reference_labels).min())
    budget = evaluation_budget(
        context.settings.mts.classifier,
        sample_count=len(context.data.pool_labels),
        batch_size=context.settings.evaluation_batch_size,
        seeds=context.config.evaluation_seeds,
    )
    # A fold that took all of a class's samples would leave nothing to learn it from.
    return dataclasses.replace(budget, folds=max(2, min(budget.folds, smallest_class)))


def _outer_folds(context: RunContext, encoding: EncodedVectors) -> list[NDArray[np.int64]]:
    """Return the reference samples that each outer fold may look at; none with a test set.

    With a large pool there are two, so that the table takes no more than the rest of the run.
    """
    data = context.data
    if data.test_labels is not None:
        return []
    smallest_class = int(np.bincount(data.reference_labels).min())
    is_large = len(data.pool_labels) > LARGE_POOL
    count = min(_OUTER_FOLDS_OF_LARGE_POOL if is_large else _OUTER_FOLDS, max(2, smallest_class))
    folds = reference_folds(
        encoding.reference,
        data.reference_labels,
        count,
        seed=derive_seed(context.seed, "outer"),
    )
    return [np.flatnonzero(folds != index) for index in range(count)]
