"""The stage of a run that learns the scores, by the job's method."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mts_core.baselines import learned_baselines
from mts_core.encoded_views import EncodedVectors, View
from mts_core.feature_table import OFFLINE_FEATURE_NAMES, standardise
from mts_core.methods import METHODS
from mts_core.pipeline_config import BaselineChoice, MethodName
from mts_core.pipeline_report import Phase
from mts_core.seeds import derive_seed
from mts_core.stages import ClassifierSets, RunContext
from mts_core.training_data import ReferenceSet, TrainingPool
from mts_core.weighting import WeightingProblem, WeightingRun

Series = dict[str, tuple[list[int], list[float]]]
"""Traces: series name to steps and values."""


def weighting_problem(
    context: RunContext,
    encoding: EncodedVectors,
    sets: ClassifierSets,
    *,
    offline_features: NDArray[np.float32],
    used_reference: NDArray[np.int64],
) -> WeightingProblem:
    """Return what scores are learned from.

    Args:
        context: The run.
        encoding: Complete encoding.
        sets: All sets as the classifier reads them.
        offline_features: [sample, 13] raw columns.
        used_reference: Positions of the reference samples that may be looked at.
    """
    pool = TrainingPool(
        inputs=sets.pool.inputs,
        labels=sets.pool.labels,
        is_real=torch.from_numpy(context.data.pool_is_real).to(context.device),
        offline_features=torch.from_numpy(standardise(offline_features)).to(context.device),
        class_count=context.data.class_count,
    )
    reference = sets.reference.take(used_reference)
    return WeightingProblem(
        pool=pool,
        reference=ReferenceSet(reference.inputs, reference.labels),
        pool_vectors=encoding.pool,
        reference_vectors=encoding.reference[used_reference],
        views={
            name: View(view.pool, view.reference[used_reference])
            for name, view in encoding.views.items()
        },
        offline_features=offline_features,
        settings=context.settings,
    )


def start_method(
    context: RunContext, method: MethodName, problem: WeightingProblem, *path: str | int
) -> WeightingRun:
    """Return a method's run before its first step.

    Args:
        context: The run that it is a part of.
        method: What learns the scores.
        problem: What they are learned from.
        path: What tells this run from the method's others, for its seed.
    """
    known = METHODS[method]
    # A method has the seed of the one that it is built on, whose scores in its run are then those
    # of a job of that method.
    seed = derive_seed(context.seed, *(known.parts or (method,)), *path)
    return known.start(problem, seed=seed, device=context.device)


def untraced(problem: WeightingProblem) -> WeightingProblem:
    """Return the same problem for a run whose noise nobody looks at, so that none is measured."""
    mts = dataclasses.replace(problem.settings.mts, gsnr_every=0)
    return dataclasses.replace(problem, settings=dataclasses.replace(problem.settings, mts=mts))


class WeightStage:
    """Learns the scores by the job's method, then those of the baselines that are learned.

    Attributes:
        traces: Every series that the job's method measured.
        scores: [sample] float32 in [0, 1]; empty until the stage is complete.
        part_scores: The same by each method that the job's own is built on.
        baseline_scores: The same for each baseline that is learned.
        features: [sample, feature] float32: the raw offline columns, then what the method adds;
            empty until then.
        feature_names: Names of these columns.
        summary: What the report says of the run; empty until then.
    """

    phase = Phase.TRAIN

    def __init__(
        self,
        context: RunContext,
        encoding: EncodedVectors,
        sets: ClassifierSets,
        offline_features: NDArray[np.float32],
    ) -> None:
        problem = weighting_problem(
            context,
            encoding,
            sets,
            offline_features=offline_features,
            used_reference=np.arange(sets.reference.sample_count),
        )
        self._table = offline_features
        self._own = start_method(context, context.config.method, problem)
        self._baselines = {
            choice: start_method(context, method, untraced(problem))
            for choice, method in learned_baselines(context.config).items()
        }
        for run in self._runs().values():
            run.share_with(context.ranks)
        self.feature_names = OFFLINE_FEATURE_NAMES + self._own.feature_names
        self.traces: Series = {}
        self.scores = np.empty(0, dtype=np.float32)
        self.part_scores: Mapping[MethodName, NDArray[np.float32]] = {}
        self.baseline_scores: dict[BaselineChoice, NDArray[np.float32]] = {}
        self.features = np.empty((0, 0), dtype=np.float32)
        self.summary: dict[str, Any] = {}  # Any: a JSON object.

    @property
    def step(self) -> int:
        """Training steps done, over all runs."""
        return sum(run.step for run in self._runs().values())

    @property
    def total_steps(self) -> int:
        """Training steps of all runs."""
        return sum(run.total_steps for run in self._runs().values())

    def advance(self) -> Iterator[Mapping[str, float] | None]:
        """Yield the traces of each step of the job's method, then nothing at each other step."""
        for report in self._own.advance():
            for name, value in report.traces.items():
                steps, values = self.traces.setdefault(name, ([], []))
                steps.append(report.step)
                values.append(value)
            yield report.traces
        for run in self._baselines.values():
            for _ in run.advance():
                yield None
        self.scores = self._own.scores()
        self.part_scores = self._own.part_scores()
        self.baseline_scores = {choice: run.scores() for choice, run in self._baselines.items()}
        self.features = np.concatenate([self._table, self._own.features()], axis=1)
        self.summary = self._own.summary()

    def capture(self) -> dict[str, Tensor]:
        """Return the state of every run, and the traces."""
        tensors = {
            prefix + name: value
            for prefix, run in self._runs().items()
            for name, value in run.capture().items()
        }
        for name, (steps, values) in self.traces.items():
            tensors[f"trace.{name}.steps"] = torch.tensor(steps, dtype=torch.int64)
            tensors[f"trace.{name}.values"] = torch.tensor(values, dtype=torch.float64)
        return tensors

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from captured runs and their traces."""
        for prefix, run in self._runs().items():
            run.restore(
                {
                    name.removeprefix(prefix): value
                    for name, value in captured.items()
                    if name.startswith(prefix)
                }
            )
        for key, steps in captured.items():
            if key.startswith("trace.") and key.endswith(".steps"):
                name = key.removeprefix("trace.").removesuffix(".steps")
                values = captured[f"trace.{name}.values"]
                self.traces[name] = (steps.tolist(), values.tolist())

    def _runs(self) -> dict[str, WeightingRun]:
        """Return every run by the prefix of its state's names."""
        return {"run.": self._own} | {
            f"baseline.{choice}.": run for choice, run in self._baselines.items()
        }
