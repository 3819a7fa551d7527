"""Makes the bi-level trainer a weighting method: the paper's own, and the one that sees losses."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mts_core.compilation import CompilationNote, compilation_summary, settle_compilation
from mts_core.config import MetaInput, MtsConfig
from mts_core.gsnr import critical_batch_size
from mts_core.gsnr_tracking import batch_size_choice
from mts_core.meta_input import added_feature_names
from mts_core.pipeline_config import MethodName
from mts_core.ranks import Ranks
from mts_core.scoring import meta_features, score_pool
from mts_core.trainer import StepReport, start_training, train
from mts_core.trainer_state import TrainerState
from mts_core.weighting import WeightingProblem


@final
class TrainerRun:
    """A run of the bi-level trainer.

    Attributes:
        total_steps: Steps of the whole run.
        feature_names: What the meta-network sees besides the offline features.
    """

    def __init__(
        self,
        problem: WeightingProblem,
        config: MtsConfig,
        state: TrainerState,
        *,
        compilation: CompilationNote | None = None,
    ) -> None:
        self._pool = problem.pool
        self._reference = problem.reference
        self._config = config
        self._state = state
        self._compilation = compilation
        self.total_steps = config.steps
        self.feature_names = added_feature_names(config.meta_input)

    @property
    def step(self) -> int:
        """Steps done."""
        return self._state.step

    def share_with(self, ranks: Ranks) -> None:
        """Cut each batch among the processes; each does all where one would get no sample."""
        if ranks.count <= self._state.most_ranks:
            self._state.share_with(ranks)

    def advance(self) -> Iterator[StepReport]:
        """Yield a report after each step until the run is complete."""
        yield from train(self._state, self._pool, self._reference, self._config)

    def scores(self) -> NDArray[np.float32]:
        """Return the score of each pool sample by the run-averaged meta-network."""
        scores = score_pool(self._state, self._pool, self._config)
        return np.asarray(scores.numpy(), dtype=np.float32)

    def part_scores(self) -> Mapping[MethodName, NDArray[np.float32]]:
        """Return nothing: the trainer is built on no other method."""
        return {}

    def features(self) -> NDArray[np.float32]:
        """Return what the run-averaged meta-network sees besides the offline features."""
        columns = meta_features(self._state, self._pool, self._config)
        return np.asarray(columns.numpy(), dtype=np.float32)[:, -len(self.feature_names) :]

    def summary(self) -> dict[str, Any]:  # Any: a JSON object.
        """Return the critical batch size with its interval, and how the batch size was chosen.

        What was not measured is null. Where the job asks for compiled code: whether it was used.
        """
        critical = critical_batch_size(self._state.gsnr_history)
        return {
            "batch_size_choice": dataclasses.asdict(batch_size_choice(self._state, self._config)),
            "critical_batch_size": {
                "value": critical.value,
                "ci95": list(critical.ci95),
                "is_extrapolated": critical.is_extrapolated,
            },
            **compilation_summary(self._compilation),
        }

    def capture(self) -> dict[str, Tensor]:
        """Return the trainer's state, by name."""
        return self._state.to_tensors()

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from a captured state.

        Raises:
            CheckpointError: It was captured by a run on other data or with other settings.
        """
        self._state.load_tensors(captured)


def start_mts(problem: WeightingProblem, *, seed: int, device: torch.device) -> TrainerRun:
    """Return a run whose meta-network sees the 22 features.

    Args:
        problem: What scores are learned from.
        seed: Seed of every draw.
        device: Where to train.

    Source: [du2026difficulty].
    """
    return _start(problem, MetaInput.FEATURES, seed=seed, device=device)


def start_meta_weight_net(
    problem: WeightingProblem, *, seed: int, device: torch.device
) -> TrainerRun:
    """Return a run whose meta-network sees the training loss alone.

    Args:
        problem: What scores are learned from.
        seed: Seed of every draw.
        device: Where to train.

    Source: [shu2019metaweightnet]. Deviation: the trainer is that of `start_mts`, with its reuse of
    batch and step, its score floor and its average over the run, so that the two methods differ in
    what the meta-network sees and in nothing else.
    """
    return _start(problem, MetaInput.LOSS, seed=seed, device=device)


def _start(
    problem: WeightingProblem, meta_input: MetaInput, *, seed: int, device: torch.device
) -> TrainerRun:
    config, compilation = settle_compilation(problem.settings.mts, device)
    config = dataclasses.replace(config, meta_input=meta_input)
    state = start_training(problem.pool, problem.reference, config, seed=seed, device=device)
    return TrainerRun(problem, config, state, compilation=compilation)
