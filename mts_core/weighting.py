"""Learns scores for the pool: what every weighting method offers, and the paper's own."""

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mts_core.config import MtsConfig
from mts_core.gsnr import critical_batch_size
from mts_core.gsnr_tracking import batch_size_choice
from mts_core.scoring import meta_features, score_pool
from mts_core.trainer import StepReport, resume_training, start_training, train
from mts_core.trainer_state import TrainerState
from mts_core.training_data import ReferenceSet, TrainingPool


@runtime_checkable
class WeightingRun(Protocol):
    """A method on its way to scores; it may be stopped and resumed between two reports."""

    @property
    def step(self) -> int:
        """Steps done."""
        ...

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        ...

    def advance(self) -> Iterator[StepReport]:
        """Yield a report after each step until the run is complete."""
        ...

    def scores(self) -> NDArray[np.float32]:
        """Return the score of each pool sample, [sample] in [0, 1]."""
        ...

    def features(self) -> NDArray[np.float32]:
        """Return the 22 features of each pool sample, [sample, 22]."""
        ...

    def summary(self) -> dict[str, Any]:  # Any: a JSON object.
        """Return what the report says of the run beside its rows."""
        ...

    def capture(self) -> dict[str, Tensor]:
        """Return the state, by name."""
        ...


@dataclass(frozen=True, eq=False)
class WeightingProblem:
    """What scores are learned from.

    Attributes:
        pool: The samples to be weighted.
        reference: The real set whose loss the weights are to lower.
        config: Resolved settings.
    """

    pool: TrainingPool
    reference: ReferenceSet
    config: MtsConfig


class MtsRun:
    """Meta-learning for training-data selection, as a weighting method.

    Attributes:
        total_steps: Steps of the whole run.
    """

    def __init__(self, problem: WeightingProblem, state: TrainerState) -> None:
        self._pool = problem.pool
        self._reference = problem.reference
        self._config = problem.config
        self._state = state
        self.total_steps = problem.config.steps

    @property
    def step(self) -> int:
        """Steps done."""
        return self._state.step

    def advance(self) -> Iterator[StepReport]:
        """Yield a report after each step until the run is complete."""
        yield from train(self._state, self._pool, self._reference, self._config)

    def scores(self) -> NDArray[np.float32]:
        """Return the score of each pool sample by the run-averaged meta-network."""
        scores = score_pool(self._state, self._pool, self._config)
        return np.asarray(scores.numpy(), dtype=np.float32)

    def features(self) -> NDArray[np.float32]:
        """Return what the run-averaged meta-network sees of each sample, [sample, 22]."""
        columns = meta_features(self._state, self._pool, self._config)
        return np.asarray(columns.numpy(), dtype=np.float32)

    def summary(self) -> dict[str, Any]:  # Any: a JSON object.
        """Return the critical batch size with its interval, and how the batch size was chosen.

        What was not measured is null.
        """
        critical = critical_batch_size(self._state.gsnr_history)
        return {
            "batch_size_choice": dataclasses.asdict(batch_size_choice(self._state, self._config)),
            "critical_batch_size": {
                "value": critical.value,
                "ci95": list(critical.ci95),
                "is_extrapolated": critical.is_extrapolated,
            },
        }

    def capture(self) -> dict[str, Tensor]:
        """Return the trainer's state, by name."""
        return self._state.to_tensors()


def start_mts(problem: WeightingProblem, *, seed: int, device: torch.device) -> MtsRun:
    """Return a run before its first step.

    Args:
        problem: What scores are learned from.
        seed: Seed of every draw.
        device: Where to train.
    """
    state = start_training(
        problem.pool, problem.reference, problem.config, seed=seed, device=device
    )
    return MtsRun(problem, state)


def resume_mts(
    problem: WeightingProblem, captured: Mapping[str, Tensor], *, device: torch.device
) -> MtsRun:
    """Return a run that goes on from a captured state.

    Args:
        problem: The same as when the run started.
        captured: What `MtsRun.capture` returned.
        device: Where to train from now on.
    """
    state = resume_training(
        captured, problem.pool, problem.reference, problem.config, device=device
    )
    return MtsRun(problem, state)
