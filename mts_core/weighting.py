"""Says what every method of learning scores offers, and what it learns from."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mts_core.curation_data import CurationData
from mts_core.encoded_views import View
from mts_core.pipeline_config import MethodName, PipelineConfig
from mts_core.ranks import Ranks
from mts_core.settings_resolution import ResolvedSettings
from mts_core.trainer import StepReport
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
        """Steps of the whole run, at least one."""
        ...

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the columns that the method adds to the offline features."""
        ...

    def share_with(self, ranks: Ranks) -> None:
        """Train together with other processes that started the same run alike.

        A method may as well do all its work in each of them.

        Args:
            ranks: All of them, seen from this one.
        """
        ...

    def advance(self) -> Iterator[StepReport]:
        """Yield a report after each step until the run is complete."""
        ...

    def scores(self) -> NDArray[np.float32]:
        """Return the score of each pool sample, [sample] in [0, 1]."""
        ...

    def part_scores(self) -> Mapping[MethodName, NDArray[np.float32]]:
        """Return the scores of the methods that this one is built on, by their names."""
        ...

    def features(self) -> NDArray[np.float32]:
        """Return the columns that the method adds, [sample, added feature]."""
        ...

    def summary(self) -> dict[str, Any]:  # Any: a JSON object.
        """Return what the report says of the run beside its rows."""
        ...

    def capture(self) -> dict[str, Tensor]:
        """Return all that a later run needs to go on bit by bit alike, by name."""
        ...

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from what was captured by a run that was started alike.

        Raises:
            CheckpointError: It was captured by a run on other data or with other settings.
        """
        ...


@dataclass(frozen=True, eq=False)
class WeightingProblem:
    """What scores are learned from. Reference samples that it does not hold may not be looked at.

    Attributes:
        pool: The samples to be weighted as the classifier reads them, with standardised offline
            features, on the device.
        reference: The real set whose loss the weights are to lower, on the device.
        pool_vectors: [sample, component] float32, the pool in the encoder's space.
        reference_vectors: [reference, component] float32, the reference set in that space.
        views: The same two by every encoder that the method may look through, by its name.
        offline_features: [sample, 13] float32, raw columns.
        settings: Resolved settings; `settings.pipeline` is of the method's own class.
    """

    pool: TrainingPool
    reference: ReferenceSet
    pool_vectors: NDArray[np.float32]
    reference_vectors: NDArray[np.float32]
    views: Mapping[str, View]
    offline_features: NDArray[np.float32]
    settings: ResolvedSettings


@runtime_checkable
class StartRun(Protocol):
    """Begins a method's run."""

    def __call__(
        self, problem: WeightingProblem, *, seed: int, device: torch.device
    ) -> WeightingRun:
        """Return a run before its first step.

        Args:
            problem: What scores are learned from.
            seed: Seed of every draw.
            device: Where to train.
        """
        ...


@dataclass(frozen=True)
class WeightingMethod:
    """A way of learning scores.

    Attributes:
        settings: Class of its settings, which names the method.
        resolve: Fills in what is automatic in them.
        start: Begins a run.
        reads_all_views: Whether it looks through every encoder that was compared.
        has_final_scores: Whether its scores are weights as they are; those of the others are raised
            to a power that the reference set chooses.
        parts: Methods that it is built on, whose rows stand beside its own.
    """

    settings: type[PipelineConfig]
    resolve: Callable[[PipelineConfig, CurationData], ResolvedSettings]
    start: StartRun
    reads_all_views: bool = False
    has_final_scores: bool = False
    parts: tuple[MethodName, ...] = ()
