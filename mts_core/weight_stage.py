"""The stage of a run that learns the scores, by the job's method."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mts_core.feature_table import OFFLINE_FEATURE_NAMES, standardise
from mts_core.methods import METHODS
from mts_core.pipeline_report import Phase
from mts_core.pool_encoding import PoolEncoding
from mts_core.seeds import derive_seed
from mts_core.stages import ClassifierSets, RunContext
from mts_core.training_data import ReferenceSet, TrainingPool
from mts_core.weighting import WeightingProblem

Series = dict[str, tuple[list[int], list[float]]]
"""Traces: series name to steps and values."""


def weighting_problem(
    context: RunContext,
    encoding: PoolEncoding,
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
        offline_features=offline_features,
        settings=context.settings,
    )


def untraced(problem: WeightingProblem) -> WeightingProblem:
    """Return the same problem for a run whose noise nobody looks at, so that none is measured."""
    mts = dataclasses.replace(problem.settings.mts, gsnr_every=0)
    return dataclasses.replace(problem, settings=dataclasses.replace(problem.settings, mts=mts))


class WeightStage:
    """Learns the scores and keeps the traces.

    Attributes:
        traces: Every series that was measured.
        scores: [sample] float32 in [0, 1]; empty until the stage is complete.
        features: [sample, feature] float32: the raw offline columns, then what the method adds;
            empty until then.
        feature_names: Names of these columns.
        summary: What the report says of the run; empty until then.
    """

    phase = Phase.TRAIN

    def __init__(
        self,
        context: RunContext,
        encoding: PoolEncoding,
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
        method = context.config.method
        self._table = offline_features
        self._run = METHODS[method].start(
            problem, seed=derive_seed(context.seed, method), device=context.device
        )
        self.feature_names = OFFLINE_FEATURE_NAMES + self._run.feature_names
        self.traces: Series = {}
        self.scores = np.empty(0, dtype=np.float32)
        self.features = np.empty((0, 0), dtype=np.float32)
        self.summary: dict[str, Any] = {}  # Any: a JSON object.

    @property
    def step(self) -> int:
        """Training steps done."""
        return self._run.step

    @property
    def total_steps(self) -> int:
        """Training steps of the run."""
        return self._run.total_steps

    def advance(self) -> Iterator[Mapping[str, float]]:
        """Yield the traces of each step."""
        for report in self._run.advance():
            for name, value in report.traces.items():
                steps, values = self.traces.setdefault(name, ([], []))
                steps.append(report.step)
                values.append(value)
            yield report.traces
        self.scores = self._run.scores()
        self.features = np.concatenate([self._table, self._run.features()], axis=1)
        self.summary = self._run.summary()

    def capture(self) -> dict[str, Tensor]:
        """Return the method's state and the traces."""
        tensors = {f"run.{name}": value for name, value in self._run.capture().items()}
        for name, (steps, values) in self.traces.items():
            tensors[f"trace.{name}.steps"] = torch.tensor(steps, dtype=torch.int64)
            tensors[f"trace.{name}.values"] = torch.tensor(values, dtype=torch.float64)
        return tensors

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from a captured state and its traces."""
        self._run.restore(
            {
                name.removeprefix("run."): value
                for name, value in captured.items()
                if name.startswith("run.")
            }
        )
        for key, steps in captured.items():
            if key.startswith("trace.") and key.endswith(".steps"):
                name = key.removeprefix("trace.").removesuffix(".steps")
                values = captured[f"trace.{name}.values"]
                self.traces[name] = (steps.tolist(), values.tolist())
