"""What a run hands to its caller: reports of progress, captured state and the result."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mts_core.checkpoint import load_checkpoint, save_checkpoint
from mts_core.encoders.conditioning import Conditioning
from mts_core.encoders.fitted import FittedState


class Phase(StrEnum):
    """Part of a run, in order."""

    ENCODE = "encode"
    FEATURES = "features"
    TRAIN = "train"
    EVALUATE = "evaluate"
    SCORE = "score"


@dataclass(frozen=True, eq=False)
class PipelineState:
    """All that a later run needs to go on from here with the same result.

    Attributes:
        phase: Phase in which the run stood.
        step: Step of that phase.
        tensors: Named arrays of every finished part and of the part at work.
        metadata: JSON object beside them.
    """

    phase: Phase
    step: int
    tensors: Mapping[str, torch.Tensor]
    metadata: Mapping[str, Any]  # Any: a JSON object.


@dataclass(frozen=True, eq=False)
class EncodedRun:
    """A run's sets in its encoder space: what a selector is distilled from beside the scores.

    Attributes:
        encoder: Name of the encoder.
        conditioning: Map from raw to conditioned vectors.
        pool: [sample, component] float32.
        reference: [reference, component] float32.
        fitted: What makes the encoder again, where the run's inputs made it.
    """

    encoder: str
    conditioning: Conditioning
    pool: NDArray[np.float32]
    reference: NDArray[np.float32]
    fitted: FittedState | None


@dataclass(frozen=True, eq=False)
class CurationResult:
    """What a finished run found.

    Attributes:
        scores: [sample] float32 in [0, 1].
        weights: [sample] float32, score over mean score.
        ranks: [sample] int64, 0 for the best score.
        keep: [sample] bool, the suggested cut.
        features: [sample, feature] float32: 13 raw offline columns, then what the method adds, as
            it is at the end.
        feature_names: Names of these columns.
        traces: Series name to (steps [point] int64, values [point] float32).
        report: JSON object: rows, recommendation, method, config, reference_weight, suggested_cut,
            and what the method adds.
        encoded: The sets in the encoder space; none where a selector made the scores.
    """

    scores: NDArray[np.float32]
    weights: NDArray[np.float32]
    ranks: NDArray[np.int64]
    keep: NDArray[np.bool_]
    features: NDArray[np.float32]
    feature_names: tuple[str, ...]
    traces: Mapping[str, tuple[NDArray[np.int64], NDArray[np.float32]]]
    report: dict[str, Any]  # Any: a JSON object.
    encoded: EncodedRun | None


@dataclass(frozen=True, eq=False)
class PipelineReport:
    """One sign of life of a run.

    Attributes:
        phase: Phase at work.
        fraction: Done share of the whole run, in [0, 1].
        step: Done steps of this phase.
        total_steps: Steps of this phase.
        traces: Values of this step by series name, or none.
        capture: Returns the state at this report; call it before asking for the next report.
        result: The result, on the last report alone.
    """

    phase: Phase
    fraction: float
    step: int
    total_steps: int
    traces: Mapping[str, float] | None
    capture: Callable[[], PipelineState]
    result: CurationResult | None = None


def save_pipeline_state(state: PipelineState, path: Path) -> None:
    """Writes a captured state as safetensors, with nothing pickled."""
    metadata = {"phase": str(state.phase), "step": state.step, "state": dict(state.metadata)}
    save_checkpoint(path, dict(state.tensors), json.loads(json.dumps(metadata)))


def load_pipeline_state(path: Path) -> PipelineState:
    """Return the state that `save_pipeline_state` wrote."""
    tensors, metadata = load_checkpoint(path)
    return PipelineState(
        phase=Phase(metadata["phase"]),
        step=int(metadata["step"]),
        tensors=tensors,
        metadata=metadata["state"],
    )
