"""Trains classifier and meta-network together, with reuse of batch and step, and look-ahead."""

from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

from mts_core.alignment import (
    TangentLine,
    direction_norm,
    exact_alignment,
    finite_difference_alignment,
    head_alignment,
)
from mts_core.augmentation import augment_images
from mts_core.axes import FeatureColumns, ParameterTensors, PerSample
from mts_core.batch_sampler import BatchSampler
from mts_core.classifier_passes import (
    BatchForward,
    ReferencePass,
    clone_parameters,
    forward_batch,
    hidden_features,
    pass_settings,
    reference_pass,
    weighted_gradient,
)
from mts_core.classifiers import build_classifier, measure_input_scaling
from mts_core.config import AlignmentKind, MtsConfig
from mts_core.gsnr import MetaSample
from mts_core.gsnr_tracking import is_gsnr_measured, measure_gsnr, settle_batch_size
from mts_core.layer_taps import can_be_tapped, tapped_alignment
from mts_core.meta_gradient import meta_gradient, normalised_weights
from mts_core.meta_input import batch_columns, build_meta_network
from mts_core.meta_network import score_from_logit
from mts_core.online_features import Anchors
from mts_core.optimisers import (
    AdamWMoments,
    AdamWRule,
    SgdRule,
    adamw_step,
    sgd_step,
    zeros_like_parameters,
)
from mts_core.seeds import derive_generator
from mts_core.step_traces import fetch_finite, weight_traces
from mts_core.trainer_state import TrainerState
from mts_core.training_data import LabelledInputs, ReferenceSet, TrainingPool, check_classes

_UNTRACED: Final = ("classifier_gradient_norm", "reference_gradient_norm", "meta_gradient_norm")
"""Values that are only watched for becoming non-finite."""

LARGEST_WHOLE_REFERENCE: Final = 2048
"""Reference samples up to which the whole set is the meta batch of every step."""


@dataclass(frozen=True)
class StepReport:
    """What one training step showed.

    Attributes:
        step: Classifier steps done, from 1.
        traces: Value of each series that was measured at this step, by name.
    """

    step: int
    traces: Mapping[str, float]


@final
@dataclass(frozen=True)
class _StepPlan:
    """What one step has to do.

    Attributes:
        number: Number of the step, from 1.
        is_meta_step: Whether the meta-network moves.
        is_measured: Whether the GSNR is measured.
        is_aligned: Whether alignments are needed for either.
        needs_body: Whether they need the gradient of all layers instead of the head's.
        is_tapped: Whether the training pass records what the alignments can be taken from.
    """

    number: int
    is_meta_step: bool
    is_measured: bool
    is_aligned: bool
    needs_body: bool
    is_tapped: bool


@final
@dataclass(frozen=True)
class _WeightedBatch:
    """A batch with its weights, all at the parameters before the step.

    Attributes:
        batch: Raw inputs and classes, on the device.
        forward: What the classifier's pass left behind.
        scalars: Scalar columns that the meta-network sees.
        is_real: Whether each sample is real.
        weights: Weights w, with the meta-network's graph behind them.
    """

    batch: LabelledInputs
    forward: BatchForward
    scalars: FeatureColumns
    is_real: Tensor
    weights: PerSample

    def meta_sample(self, alignment: PerSample) -> MetaSample:
        """Return what the meta-gradient of any part of the batch can be put together from."""
        return MetaSample(self.scalars, self.batch.labels, self.is_real, alignment)


def start_training(
    pool: TrainingPool,
    reference: ReferenceSet,
    config: MtsConfig,
    *,
    seed: int,
    device: torch.device | str = "cpu",
) -> TrainerState:
    """Return the state of a run before its first step.

    Args:
        pool: The samples to be weighted; they may stay in host memory.
        reference: The real set whose loss the weights are to lower.
        config: Resolved settings.
        seed: Seed of every random draw of the run.
        device: Where the networks live; their dtype is that of the offline features.

    Raises:
        MissingClassError: The reference set lacks a class.
        ConfigError: The classifier does not fit the inputs.
    """
    check_classes(pool, reference)
    dtype = pool.offline_features.dtype
    classifier = build_classifier(
        config.classifier,
        input_shape=pool.input_shape,
        class_count=pool.class_count,
        generator=derive_generator(seed, "classifier"),
        scaling=measure_input_scaling(pool.inputs),
    ).to(device, dtype)
    meta_generator = derive_generator(seed, "meta_network")
    meta_network = build_meta_network(pool, config.meta_input, meta_generator).to(device, dtype)
    reference_sampler = BatchSampler(
        reference.sample_count,
        config.reference_batch_size or LARGEST_WHOLE_REFERENCE,
        derive_generator(seed, "reference_batches"),
    )
    first_reference = _draw_reference(reference, reference_sampler, torch.device(device))
    return TrainerState(
        classifier=classifier,
        velocities=zeros_like_parameters(classifier),
        meta_network=meta_network,
        meta_moments=AdamWMoments(
            zeros_like_parameters(meta_network), zeros_like_parameters(meta_network)
        ),
        averaged_meta=clone_parameters(meta_network),
        anchors=Anchors(
            hidden_features(classifier, first_reference, pass_settings(config)),
            first_reference.labels,
        ),
        pool_sampler=BatchSampler(
            pool.sample_count, config.batch_size, derive_generator(seed, "pool_batches")
        ),
        reference_sampler=reference_sampler,
        diagnostics_generator=derive_generator(seed, "diagnostics"),
        augmentation_generator=derive_generator(seed, "augmentation"),
    )


def resume_training(
    tensors: Mapping[str, Tensor],
    pool: TrainingPool,
    reference: ReferenceSet,
    config: MtsConfig,
    *,
    device: torch.device | str = "cpu",
) -> TrainerState:
    """Return the state that `TrainerState.to_tensors` saved, ready to go on.

    On a CPU with the same number of threads, the run then takes the same values bit by bit as one
    that never stopped.

    Args:
        tensors: The saved state.
        pool: The same pool as before.
        reference: The same reference set as before.
        config: The same settings as before.
        device: Where the networks live from now on.

    Raises:
        CheckpointError: The tensors belong to a run with other networks or data.
    """
    state = start_training(pool, reference, config, seed=0, device=device)
    state.load_tensors(tensors)
    return state


def train(
    state: TrainerState, pool: TrainingPool, reference: ReferenceSet, config: MtsConfig
) -> Iterator[StepReport]:
    """Yield one report after each step until the run has `config.steps` steps.

    Between two reports the state is consistent: it may be saved, and the iterator be dropped.

    Args:
        state: A started or resumed run; changed in place.
        pool: The samples to be weighted.
        reference: The real set.
        config: Resolved settings.

    Raises:
        NonFiniteError: A loss or a gradient became infinite or not a number.

    Source: [du2026difficulty], bi-level training with normalised weights.
    Deviation: the training batch and its step are also the meta-gradient's batch and virtual step,
    with the reference gradient taken after the step and the samples' gradients before it.
    """
    while state.step < config.steps:
        yield _advance(state, pool, reference, config)


def _advance(
    state: TrainerState, pool: TrainingPool, reference: ReferenceSet, config: MtsConfig
) -> StepReport:
    plan = _plan_step(state.step + 1, config)
    weighted = _weigh_batch(state, pool, config, is_tapped=plan.is_tapped)
    needs_point = plan.needs_body and not weighted.forward.taps
    point = clone_parameters(state.classifier) if needs_point else {}
    gradient = _classifier_step(state, weighted, config)
    reference_batch = _draw_reference(reference, state.reference_sampler, state.device)
    seen = reference_pass(
        state.classifier,
        reference_batch,
        pass_settings(config, state.ranks),
        is_head_only=not plan.needs_body,
    )
    watched = _watch(weighted, seen, gradient)
    measured: Mapping[str, float] = {}
    if plan.is_aligned:
        # The samples' gradients are those from before the step, the reference's from after it.
        alignment = _align(state, weighted, TangentLine(point, seen.direction), config)
        if plan.is_measured:
            measured = measure_gsnr(state, weighted.meta_sample(alignment), config)
        if plan.is_meta_step:
            watched["meta_gradient_norm"] = _meta_step(state, weighted, alignment, config)
    state.anchors = Anchors(seen.hidden, reference_batch.labels)
    state.step = plan.number
    fetched = fetch_finite(watched, plan.number)
    traces = {name: value for name, value in fetched.items() if name not in _UNTRACED}
    settle_batch_size(state, config)
    return StepReport(plan.number, {**traces, **measured})


def _plan_step(number: int, config: MtsConfig) -> _StepPlan:
    is_meta_step = number % config.meta_every == 0
    is_measured = is_gsnr_measured(number, config)
    is_aligned = is_meta_step or is_measured
    needs_body = is_aligned and config.alignment is not AlignmentKind.HEAD
    is_tapped = is_aligned and config.alignment is AlignmentKind.EXACT
    return _StepPlan(number, is_meta_step, is_measured, is_aligned, needs_body, is_tapped)


def _watch(
    weighted: _WeightedBatch, seen: ReferencePass, gradient: ParameterTensors
) -> dict[str, Tensor]:
    return weight_traces(weighted.weights.detach(), weighted.forward.losses) | {
        "reference_loss": seen.loss,
        "reference_accuracy": seen.accuracy,
        "classifier_gradient_norm": direction_norm(gradient),
        "reference_gradient_norm": direction_norm(seen.direction),
    }


def _weigh_batch(
    state: TrainerState, pool: TrainingPool, config: MtsConfig, *, is_tapped: bool
) -> _WeightedBatch:
    indices = state.pool_sampler.draw()
    # Varied once and before ranks take their rows: the alignment sees what the training saw.
    inputs = augment_images(
        _take(pool.inputs, indices, state.device),
        config.augmentation,
        state.augmentation_generator,
    )
    batch = LabelledInputs(inputs, _take(pool.labels, indices, state.device))
    is_real = _take(pool.is_real, indices, state.device)
    offline = _take(pool.offline_features, indices, state.device).to(state.dtype)
    forward = forward_batch(
        state.classifier,
        batch,
        pass_settings(config, state.ranks),
        is_tapped=is_tapped and can_be_tapped(state.classifier),
    )
    scalars = batch_columns(
        config.meta_input, forward, labels=batch.labels, offline=offline, anchors=state.anchors
    )
    logits = state.meta_network(scalars, batch.labels, is_real)
    weights = score_from_logit(logits, config.score_floor)
    return _WeightedBatch(batch, forward, scalars, is_real, weights)


def _classifier_step(
    state: TrainerState, weighted: _WeightedBatch, config: MtsConfig
) -> ParameterTensors:
    gradient = weighted_gradient(
        state.classifier,
        weighted.batch,
        normalised_weights(weighted.weights.detach()),
        pass_settings(config, state.ranks),
        graph_losses=weighted.forward.graph_losses,
    )
    parameters = dict(state.classifier.named_parameters())
    sgd_step(parameters, gradient, state.velocities, _sgd_rule(config))
    return gradient


def _align(
    state: TrainerState, weighted: _WeightedBatch, line: TangentLine, config: MtsConfig
) -> PerSample:
    if config.alignment is AlignmentKind.HEAD:
        forward = weighted.forward
        return head_alignment(forward.hidden, forward.residuals, line.direction)
    own = _align_own(state, weighted, line, config)
    return state.ranks.gather(own, weighted.batch.sample_count)


def _align_own(
    state: TrainerState, weighted: _WeightedBatch, line: TangentLine, config: MtsConfig
) -> PerSample:
    """Return the alignments of this rank's samples."""
    settings = pass_settings(config, state.ranks)
    rows = state.ranks.rows(weighted.batch.sample_count)
    own = weighted.batch.part(rows)
    size = settings.part_size(own.inputs)
    if config.alignment is AlignmentKind.FINITE_DIFFERENCE:
        # Always in full precision: a difference of two bfloat16 losses is mostly rounding.
        return finite_difference_alignment(
            state.classifier,
            own,
            line,
            epsilon=config.finite_difference_epsilon,
            micro_batch_size=size,
        )
    if weighted.forward.taps:
        shares = normalised_weights(weighted.weights.detach())[rows]
        with settings.precision(state.device):
            return tapped_alignment(weighted.forward.taps, line.direction, shares)
    is_mixed = state.classifier.has_mixed_tangents
    with nullcontext() if is_mixed else settings.precision(state.device):
        return exact_alignment(state.classifier, own, line, micro_batch_size=size)


def _meta_step(
    state: TrainerState, weighted: _WeightedBatch, alignment: PerSample, config: MtsConfig
) -> Tensor:
    parameters = dict(state.meta_network.named_parameters())
    gradients = meta_gradient(
        weighted.weights,
        alignment,
        step_scale=_sgd_rule(config).step_scale,
        parameters=list(parameters.values()),
    )
    by_name = dict(zip(parameters, gradients, strict=True))
    state.meta_step += 1
    adamw_step(
        parameters,
        by_name,
        state.meta_moments,
        rule=AdamWRule(config.meta_learning_rate, config.meta_weight_decay),
        count=state.meta_step,
    )
    with torch.no_grad():
        for name, average in state.averaged_meta.items():
            # Weights in proportion to the step's number: the untrained start is soon forgotten.
            average.lerp_(parameters[name], 2.0 / (state.meta_step + 1))
    return direction_norm(by_name)


def _draw_reference(
    reference: ReferenceSet, sampler: BatchSampler, device: torch.device
) -> LabelledInputs:
    indices = sampler.draw()
    return LabelledInputs(
        _take(reference.inputs, indices, device), _take(reference.labels, indices, device)
    )


def _take(values: Tensor, indices: Tensor, device: torch.device) -> Tensor:
    # The rows are picked where the data lives, so that only the batch travels.
    return values[indices.to(values.device)].to(device, non_blocking=True)


def _sgd_rule(config: MtsConfig) -> SgdRule:
    return SgdRule(config.classifier_learning_rate, config.momentum, config.classifier_weight_decay)
