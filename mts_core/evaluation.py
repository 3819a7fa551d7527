"""Measures the before and after table: the same model, trained on what each method leaves."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mts_core.baselines import Row
from mts_core.config import ClassifierName
from mts_core.plain_training import JoinedInputs, TrainingRecipe, TrainingRun, train_runs
from mts_core.seeds import derive_seed
from mts_core.training_data import LabelledInputs

_SHARPNESSES: Final = (0.15, 0.25, 0.4, 0.6, 0.8, 1.0, 1.3)
"""Factors on logits, one of which is fitted before log losses are compared."""

_REPORT_EVERY: Final = 10

LARGE_POOL: Final = 5_000
"""Pool samples beyond which the table is measured less thoroughly.

Its noise is that of the reference and test samples, which does not shrink with the pool, and
measuring it is to take no more than the rest of the run.
"""


@dataclass(frozen=True)
class EvaluationBudget:
    """How thoroughly the table is measured.

    Attributes:
        folds: Folds of the cross-validation on the reference set.
        fractions: Shares of the pool that cuts choose from.
        exponents: Powers of the scores that weights choose from.
        reference_weights: Weights of a reference sample that rows choose from, as multiples of the
            mean pool sample's.
        step_grid: Numbers of training steps that every row chooses from, rising.
        seeds: Paired repetitions.
        runs_at_once: Classifiers trained side by side.
    """

    folds: int
    fractions: tuple[float, ...]
    exponents: tuple[float, ...]
    reference_weights: tuple[float, ...]
    step_grid: tuple[int, ...]
    seeds: int
    runs_at_once: int


def evaluation_budget(
    kind: ClassifierName, *, sample_count: int, batch_size: int, seeds: int
) -> EvaluationBudget:
    """Return a budget that suits a classifier's cost and the pool's size.

    Heads get five folds, six cuts of which one keeps everything, five powers, four weights of the
    reference set, and up to ten passes over the pool within 200 to 2000 steps. A convolutional
    network costs a hundred times as much: two folds, two cuts, three powers and two reference
    weights. A pretrained one costs more still, and is soon trained: a third of the steps. For heads
    on a large pool, three folds and half of the steps have to do.

    Args:
        kind: Classifier.
        sample_count: Samples in the pool.
        batch_size: Samples in a batch.
        seeds: Paired repetitions.
    """
    if kind.reads_images:
        return EvaluationBudget(
            folds=2,
            fractions=(0.3, 0.6),
            exponents=(1.0, 2.0, 4.0),
            reference_weights=(1.0, 10.0),
            step_grid=(25, 50, 100) if kind.is_pretrained else (75, 150, 300),
            seeds=seeds,
            runs_at_once=1,
        )
    longest = min(max(10 * sample_count // batch_size, 200), 2000)
    is_large = sample_count > LARGE_POOL
    if is_large:
        longest //= 2
    return EvaluationBudget(
        folds=3 if is_large else 5,
        fractions=(0.15, 0.3, 0.45, 0.6, 0.8, 1.0),
        exponents=(1.0, 2.0, 4.0, 8.0, 16.0),
        reference_weights=(1.0, 3.0, 10.0, 30.0),
        step_grid=tuple(longest // divisor for divisor in (16, 8, 4, 2, 1)),
        seeds=seeds,
        runs_at_once=32,
    )


@dataclass(frozen=True, eq=False)
class EvaluationTask:
    """What a table is measured on.

    Attributes:
        rows: Methods, in order.
        pool: Inputs and labels of the pool.
        reference: Inputs and labels of the reference set.
        test: Inputs and labels that no choice looks at; none where only choices are wanted.
        folds: [reference] int64, the fold of each reference sample, for cross-validation.
        recipe: How every row's classifier is built and trained.
        budget: How thoroughly to measure.
        seed: Seed of starts and draws.
    """

    rows: Sequence[Row]
    pool: LabelledInputs
    reference: LabelledInputs
    test: LabelledInputs | None
    folds: NDArray[np.int64]
    recipe: TrainingRecipe
    budget: EvaluationBudget
    seed: int

    @property
    def candidates(self) -> list[tuple[Row, int]]:
        """Every variant of every row."""
        return [(row, index) for row in self.rows for index in range(row.candidate_count)]


class Measurements:
    """What has been measured so far; places not measured yet are NaN.

    Attributes:
        validation: [candidate, fold, grid, sharpness] float64: summed log loss on the held-out
            fold, with logits multiplied by each sharpness.
        accuracy: [row, seed] float64 on the test set.
    """

    def __init__(self, task: EvaluationTask) -> None:
        budget = task.budget
        shape = (len(task.candidates), budget.folds, len(budget.step_grid), len(_SHARPNESSES))
        self.validation = np.full(shape, np.nan)
        self.accuracy = np.full((len(task.rows), budget.seeds), np.nan)

    def capture(self) -> dict[str, Tensor]:
        """Return copies of all measurements, by name."""
        return {
            "validation": torch.from_numpy(self.validation.copy()),
            "accuracy": torch.from_numpy(self.accuracy.copy()),
        }

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Set all measurements to captured ones.

        Those of another table, such as an earlier version had, fit no row: all is measured again.
        """
        validation, accuracy = captured["validation"].numpy(), captured["accuracy"].numpy()
        if (validation.shape, accuracy.shape) == (self.validation.shape, self.accuracy.shape):
            self.validation[...] = validation
            self.accuracy[...] = accuracy


@dataclass(frozen=True)
class Choice:
    """What cross-validation on the reference set chose for a row.

    Attributes:
        candidate: Index of the row's variant: its cut or power, and the reference weight.
        steps: Training steps.
        log_loss: Mean log loss on held-out reference samples.
    """

    candidate: int
    steps: int
    log_loss: float


def measure(task: EvaluationTask, measurements: Measurements) -> Iterator[tuple[int, int]]:
    """Fill in what has not been measured yet, yielding (done, total) training steps.

    Every run starts from seeds alone, so measuring goes on after an interruption with the same
    result: a run that was interrupted starts again.

    Args:
        task: What to measure.
        measurements: Changed in place.

    Cost: one training run for each candidate and fold, and one for each row and seed.
    """
    validation = _validation_steps(task)
    total = measurement_steps(task, has_test=task.test is not None)
    for done in _cross_validate(task, measurements):
        yield done, total
    if task.test is not None:
        for done in _measure_test(task, task.test, measurements):
            yield validation + done, total


def choose(task: EvaluationTask, measurements: Measurements) -> list[Choice]:
    """Return each row's variant and steps: those of the lowest log loss on the reference set.

    The loss is compared instead of the accuracy, which on a hundred samples moves in steps as large
    as the differences between methods; and after one sharpness of the logits has been fitted, since
    a model that is merely too sure of itself still ranks the classes well.

    Args:
        task: What was measured.
        measurements: Complete cross-validation.
    """
    losses = measurements.validation.sum(axis=1).min(axis=2) / len(task.reference.labels)
    choices = []
    first = 0
    for row in task.rows:
        own = losses[first : first + row.candidate_count]
        candidate, place = np.unravel_index(int(own.argmin()), own.shape)
        steps = task.budget.step_grid[int(place)]
        choices.append(Choice(int(candidate), steps, float(own.min())))
        first += row.candidate_count
    return choices


def measurement_steps(task: EvaluationTask, *, has_test: bool) -> int:
    """Return the training steps of a measurement at most, over all classifiers.

    Args:
        task: What to measure.
        has_test: Whether accuracy is measured besides the cross-validation.
    """
    return _validation_steps(task) + (_test_steps(task) if has_test else 0)


def _validation_steps(task: EvaluationTask) -> int:
    return len(task.candidates) * task.budget.folds * task.budget.step_grid[-1]


def _test_steps(task: EvaluationTask) -> int:
    # The chosen steps are not known in advance; the longest are assumed.
    return len(task.rows) * task.budget.seeds * task.budget.step_grid[-1]


def _cross_validate(task: EvaluationTask, measurements: Measurements) -> Iterator[int]:
    budget = task.budget
    labels = task.reference.labels
    folds = torch.from_numpy(task.folds)
    samples = JoinedInputs(task.pool, task.reference)
    jobs = [
        (candidate, fold)
        for candidate in range(len(task.candidates))
        for fold in range(budget.folds)
    ]
    longest = budget.step_grid[-1]
    for start in range(0, len(jobs), budget.runs_at_once):
        group = jobs[start : start + budget.runs_at_once]
        done = start * longest
        if not np.isnan(measurements.validation[tuple(zip(*group, strict=True))]).any():
            continue
        runs = [
            TrainingRun(
                _weights(task, candidate, is_used=folds != fold, held_out=fold),
                derive_seed(fold, "fold"),
            )
            for candidate, fold in group
        ]
        held_out = torch.stack([folds == fold for _, fold in group]).to(labels.device)
        found = np.empty((len(group), len(budget.step_grid), len(_SHARPNESSES)))
        for step, predict in train_runs(
            runs, samples, task.recipe, steps=longest, seed=derive_seed(task.seed, "choice")
        ):
            if step in budget.step_grid:
                place = budget.step_grid.index(step)
                logits = predict(task.reference.inputs)
                found[:, place] = _held_out_losses(logits, labels, held_out)
            if step % _REPORT_EVERY == 0:
                yield done + step * len(group)
        for result, (candidate, fold) in zip(found, group, strict=True):
            measurements.validation[candidate, fold] = result
        yield done + longest * len(group)


def _measure_test(
    task: EvaluationTask, test: LabelledInputs, measurements: Measurements
) -> Iterator[int]:
    budget = task.budget
    samples = JoinedInputs(task.pool, task.reference)
    is_used = torch.ones(len(task.reference.labels), dtype=torch.bool)
    offsets = np.cumsum([0, *(row.candidate_count for row in task.rows)])
    choices = choose(task, measurements)
    jobs = [(row, seed) for row in range(len(task.rows)) for seed in range(budget.seeds)]
    jobs.sort(key=lambda job: choices[job[0]].steps)
    longest = budget.step_grid[-1]
    for start in range(0, len(jobs), budget.runs_at_once):
        group = jobs[start : start + budget.runs_at_once]
        done = start * longest
        if not np.isnan(measurements.accuracy[tuple(zip(*group, strict=True))]).any():
            continue
        runs = [
            TrainingRun(
                _weights(task, int(offsets[row]) + choices[row].candidate, is_used=is_used), seed
            )
            for row, seed in group
        ]
        ends = np.array([choices[row].steps for row, _ in group])
        found = np.empty(len(group))
        for step, predict in train_runs(
            runs, samples, task.recipe, steps=int(ends.max()), seed=derive_seed(task.seed, "test")
        ):
            if step in ends:
                is_hit = predict(test.inputs).argmax(dim=2) == test.labels
                found[ends == step] = is_hit.double().mean(dim=1).cpu().numpy()[ends == step]
            if step % _REPORT_EVERY == 0:
                yield done + step * len(group)
        for result, (row, seed) in zip(found, group, strict=True):
            measurements.accuracy[row, seed] = result
        yield done + longest * len(group)


def _weights(
    task: EvaluationTask, candidate: int, *, is_used: Tensor, held_out: int | None = None
) -> Tensor:
    row, index = task.candidates[candidate]
    labels = task.pool.labels.cpu().numpy()
    weights = torch.from_numpy(row.weights(labels, index, held_out=held_out))
    return torch.cat([weights, row.reference_weight(index) * is_used.double()])


def _held_out_losses(logits: Tensor, labels: Tensor, is_held_out: Tensor) -> NDArray[np.float64]:
    """Return summed log losses over each run's held-out samples, [run, sharpness]."""
    wanted = labels.expand(len(logits), -1).unsqueeze(2)
    columns = []
    for sharpness in _SHARPNESSES:
        log_probabilities = functional.log_softmax(logits.double() * sharpness, dim=2)
        losses = -log_probabilities.gather(2, wanted).squeeze(2)
        columns.append((losses * is_held_out).sum(dim=1))
    return torch.stack(columns, dim=1).cpu().numpy()
