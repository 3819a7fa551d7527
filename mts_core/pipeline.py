"""Runs one curation from inputs to scores and report: encode, features, train, evaluate."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from mts_core.curation_data import CurationData
from mts_core.errors import CheckpointError
from mts_core.evaluation_sample import start_evaluation
from mts_core.evaluation_stage import EvaluationStage, LearnedScores
from mts_core.methods import METHODS, pipeline_config_from_mapping
from mts_core.neighbours import EXACT_LIMIT
from mts_core.pipeline_config import PipelineConfig, config_to_json
from mts_core.pipeline_report import (
    CurationResult,
    Phase,
    PipelineReport,
    PipelineState,
    load_pipeline_state,
    save_pipeline_state,
)
from mts_core.ranks import ALONE, Ranks
from mts_core.selection import TopFraction, rank_scores, select
from mts_core.setting import AUTO
from mts_core.stages import EncodeStage, FeatureStage, RunContext, Stage, classifier_sets
from mts_core.weight_stage import Series, WeightStage

__all__ = [
    "CurationData",
    "CurationResult",
    "Phase",
    "PipelineConfig",
    "PipelineReport",
    "PipelineState",
    "load_pipeline_state",
    "pipeline_config_from_mapping",
    "run_pipeline",
    "save_pipeline_state",
]

_SHARES: Final = {
    Phase.ENCODE: 0.2,
    Phase.FEATURES: 0.05,
    Phase.TRAIN: 0.25,
    Phase.EVALUATE: 0.5,
}
"""Usual share of each phase in the time of a run on a small pool."""

_FEATURE_SAMPLES: Final = 1_000_000
"""Pool samples whose features take as long as all phases of a small pool together."""


def run_pipeline(  # noqa: PLR0913  # What a run begins from, and where it runs.
    data: CurationData,
    config: PipelineConfig,
    *,
    seed: int,
    device: torch.device | str = "cpu",
    resume: PipelineState | None = None,
    ranks: Ranks = ALONE,
) -> Iterator[PipelineReport]:
    """Yield reports of a run; the last one carries the result.

    On a CPU with the same number of threads, a run that was resumed from any captured state ends
    with the same result, bit by bit, as one that was never stopped.

    Several processes may share the phase of training: it begins with a report whose state the
    others resume from, and after which all of them have to go on.

    Args:
        data: Pool, reference set and optional test set.
        config: Hyper-parameters of the method that learns the scores; their class names it.
        seed: Seed of every random draw of the run.
        device: Where to compute.
        resume: State captured by an earlier run on the same data, config and seed.
        ranks: The processes that share the training; none of the other phases.

    Raises:
        ConfigError: The settings do not fit the data.
        MissingClassError: The reference set lacks a class.
        NonFiniteError: A vector, a loss or a gradient became infinite or not a number.
        CheckpointError: The state to resume from belongs to another run.
        RankLostError: Another of the processes ended before the training did.
    """
    settings = METHODS[config.method].resolve(config, data)
    context = RunContext(data, settings, seed, torch.device(device), ranks)
    progress = _Progress(context, resume)

    encode = EncodeStage(
        context,
        progress.encoder,
        progress.encoder_losses,
        with_other_views=METHODS[config.method].reads_all_views,
    )
    progress.encoder, progress.encoder_losses = encode.encoder, encode.candidate_losses
    yield from progress.run(encode)
    sets = classifier_sets(context, encode.encoding)
    features = FeatureStage(context, encode.encoding, sets)
    yield from progress.run(features)
    weight = WeightStage(context, encode.encoding, sets, features.table)
    yield from progress.run(weight)
    evaluation = None
    if config.evaluate:
        learned = LearnedScores(
            features.table,
            features.is_unlearned,
            weight.scores,
            weight.part_scores,
            weight.baseline_scores,
        )
        evaluation = start_evaluation(context, encode.encoding, sets, learned)
        yield from progress.run(evaluation)
    yield progress.last_report(_result(context, encode, features, weight, evaluation))


class _Progress:
    """Runs stages one after the other and remembers what a later run would resume from.

    Attributes:
        encoder: Name of the encoder in use, or none before it is chosen.
        encoder_losses: Log loss of each encoder that was compared, by name.
    """

    def __init__(self, context: RunContext, resume: PipelineState | None) -> None:
        self._shares = dict(_SHARES)
        self._shares[Phase.FEATURES] += len(context.data.pool_labels) / _FEATURE_SAMPLES
        if not context.config.evaluate:
            del self._shares[Phase.EVALUATE]
        self._resume = dict(resume.tensors) if resume else {}
        self._stages: list[Stage] = []
        self._identity = {
            "seed": context.seed,
            "samples": len(context.data.pool_labels),
            "method": str(context.config.method),
            "config": config_to_json(context.config),
        }
        self.encoder: str | None = None
        self.encoder_losses: dict[str, float] = {}
        if resume is not None:
            if resume.metadata.get("identity") != self._identity:
                raise CheckpointError("The saved state belongs to a run with other settings.")
            self.encoder = resume.metadata["encoder"]
            self.encoder_losses = resume.metadata.get("encoder_log_losses", {})

    def run(self, stage: Stage) -> Iterator[PipelineReport]:
        """Yield a report after each step of a stage, from where an earlier run stopped.

        The training is reported before its first step too, where other processes can join it.
        """
        prefix = f"{stage.phase}/"
        captured = {
            name.removeprefix(prefix): value
            for name, value in self._resume.items()
            if name.startswith(prefix)
        }
        if captured:
            stage.restore(captured)
        self._stages.append(stage)
        if stage.phase is Phase.TRAIN:
            yield self._report(stage, None)
        for traces in stage.advance():
            yield self._report(stage, traces)

    def last_report(self, result: CurationResult) -> PipelineReport:
        """Return the report that carries the result."""
        stage = self._stages[-1]
        return PipelineReport(
            phase=stage.phase,
            fraction=1.0,
            step=stage.total_steps,
            total_steps=stage.total_steps,
            traces=None,
            capture=self._capture,
            result=result,
        )

    def _report(self, stage: Stage, traces: Mapping[str, float] | None) -> PipelineReport:
        total = sum(self._shares.values())
        done = sum(self._shares[earlier.phase] for earlier in self._stages[:-1])
        own = self._shares[stage.phase] * min(1.0, stage.step / stage.total_steps)
        return PipelineReport(
            phase=stage.phase,
            fraction=min(1.0, (done + own) / total),
            step=stage.step,
            total_steps=stage.total_steps,
            traces=traces,
            capture=self._capture,
        )

    def _capture(self) -> PipelineState:
        stage = self._stages[-1]
        tensors = {
            f"{item.phase}/{name}": value
            for item in self._stages
            for name, value in item.capture().items()
        }
        metadata = {
            "identity": self._identity,
            "encoder": self.encoder,
            "encoder_log_losses": self.encoder_losses,
        }
        return PipelineState(stage.phase, stage.step, tensors, metadata)


def _result(
    context: RunContext,
    encode: EncodeStage,
    features: FeatureStage,
    weight: WeightStage,
    evaluation: EvaluationStage | None,
) -> CurationResult:
    exponent = evaluation.suggested_exponent() if evaluation else 1.0
    # Raising to a power keeps the order, so ranks and cuts by rank stay what they were.
    scores = weight.scores ** np.float32(exponent)
    cut, chosen_by = _suggested_cut(context, scores, evaluation)
    resolved = config_to_json(context.config)
    resolved["encoder"] = encode.encoder
    if "batch_size_choice" in weight.summary:
        resolved["batch_size"] = weight.summary["batch_size_choice"]["value"]
    resolved["keep"] = cut.fraction
    report: dict[str, Any] = {  # Any: a JSON object.
        "rows": [],
        "recommendation": None,
        **(evaluation.report() if evaluation else {}),
        **weight.summary,
        "neighbours": {
            "recall": features.neighbour_recall,
            "is_exact": len(weight.scores) <= EXACT_LIMIT,
        },
        "method": str(context.config.method),
        "config": resolved,
        "encoder_log_losses": encode.candidate_losses,
        "score_exponent": exponent,
        "reference_weight": evaluation.suggested_reference_weight() if evaluation else 1.0,
        "suggested_cut": {
            "rule": "top_fraction",
            "fraction": cut.fraction,
            "balanced": cut.is_balanced,
            "chosen_by": chosen_by,
        },
        "seconds_by_phase": {},
    }
    return CurationResult(
        scores=scores,
        weights=(scores / scores.mean(dtype=np.float64)).astype(np.float32),
        ranks=rank_scores(scores),
        keep=select(scores, context.data.pool_labels, cut),
        features=weight.features,
        feature_names=weight.feature_names,
        traces=_trace_arrays(weight.traces),
        report=report,
        encoded=encode.encoded(),
    )


def _suggested_cut(
    context: RunContext, scores: NDArray[np.float32], evaluation: EvaluationStage | None
) -> tuple[TopFraction, str]:
    config = context.config
    if config.keep != AUTO:
        return TopFraction(float(config.keep), is_balanced=config.balance), "job"
    if evaluation is not None:
        fraction = evaluation.suggested_fraction()
        return TopFraction(fraction, is_balanced=config.balance), "reference set"
    # Without an evaluation the samples of at least mean weight are kept.
    fraction = float((scores >= scores.mean(dtype=np.float64)).mean())
    return TopFraction(fraction, is_balanced=config.balance), "mean score"


def _trace_arrays(traces: Series) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float32]]]:
    return {
        name: (np.asarray(steps, dtype=np.int64), np.asarray(values, dtype=np.float32))
        for name, (steps, values) in traces.items()
    }
