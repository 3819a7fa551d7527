"""Trains the two classifiers of TESS side by side, and values samples by their difference."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor

from mts_core.augmentation import augment_images
from mts_core.axes import FeatureColumns, ParameterTensors, PerSample
from mts_core.batch_sampler import BatchSampler
from mts_core.classifier_passes import (
    PassSettings,
    ReferencePass,
    forward_batch,
    reference_pass,
    weighted_gradient,
)
from mts_core.classifiers import Classifier, build_classifier, measure_input_scaling
from mts_core.config import TessConfig
from mts_core.errors import CheckpointError
from mts_core.online_features import standardise_columns
from mts_core.optimisers import SgdRule, sgd_step, zeros_like_parameters
from mts_core.position_features import POSITION_FEATURE_NAMES
from mts_core.seeds import derive_generator
from mts_core.step_traces import fetch_finite
from mts_core.trainer import LARGEST_WHOLE_REFERENCE
from mts_core.training_data import LabelledInputs, ReferenceSet, TrainingPool, check_classes

SELECTOR_COLUMN_COUNT: Final = len(POSITION_FEATURE_NAMES) + 1
"""Columns that the selector sees: the position features and the error norm under W."""

_SCORED_AT_ONCE: Final = 1024


@dataclass(frozen=True, eq=False)
class TessProblem:
    """What values are learned from.

    Attributes:
        pool: The samples to be valued.
        reference: The real set that the second classifier learns from first of all.
        config: Resolved settings.
    """

    pool: TrainingPool
    reference: ReferenceSet
    config: TessConfig

    @property
    def passes(self) -> PassSettings:
        """How the classifiers are run."""
        config = self.config
        return PassSettings(
            config.micro_batch_size or config.batch_size,
            config.use_autocast,
            is_compiled=config.compile,
        )

    @property
    def sgd(self) -> SgdRule:
        """The classifiers' optimiser."""
        config = self.config
        return SgdRule(
            config.classifier_learning_rate, config.momentum, config.classifier_weight_decay
        )


@final
@dataclass(eq=False)
class ClassifierPair:
    """The classifiers U and W with all that their training changes.

    Attributes:
        pool_only: U, trained on the pool alone.
        reference_first: W, trained on the reference loss plus a share of the pool's.
        pool_only_velocities: Momentum buffers of U.
        reference_first_velocities: Momentum buffers of W.
        pool_sampler: Draws the batches that both see.
        reference_sampler: Draws the reference batches of W.
        augmentation_generator: Draws how the images of the pool's batches are varied.
        step: Steps done.
    """

    pool_only: Classifier
    reference_first: Classifier
    pool_only_velocities: ParameterTensors
    reference_first_velocities: ParameterTensors
    pool_sampler: BatchSampler
    reference_sampler: BatchSampler
    augmentation_generator: torch.Generator
    step: int = 0

    @property
    def device(self) -> torch.device:
        """Where the classifiers live."""
        return self.pool_only.shift.device

    def capture(self) -> dict[str, Tensor]:
        """Return copies of the whole state on the CPU, by name."""
        samplers = {
            f"{name}.{key}": value
            for name, sampler in self._samplers().items()
            for key, value in sampler.to_tensors().items()
        }
        progress = {
            "step": torch.tensor(self.step),
            "augmentation_generator": self.augmentation_generator.get_state(),
        }
        tensors = self._tensors() | samplers | progress
        return {name: value.detach().cpu().clone() for name, value in tensors.items()}

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from a captured state.

        Raises:
            CheckpointError: The state belongs to other classifiers.
        """
        try:
            with torch.no_grad():
                for name, value in self._tensors().items():
                    value.copy_(captured[name])
            for name, sampler in self._samplers().items():
                sampler.load_tensors(_group(captured, name))
            self.augmentation_generator.set_state(captured["augmentation_generator"])
            self.step = int(captured["step"])
        except (KeyError, RuntimeError) as error:
            raise CheckpointError("The saved classifiers do not fit this run.") from error

    def _samplers(self) -> dict[str, BatchSampler]:
        return {"pool_sampler": self.pool_sampler, "reference_sampler": self.reference_sampler}

    def _tensors(self) -> dict[str, Tensor]:
        groups: dict[str, Mapping[str, Tensor]] = {
            "pool_only": self.pool_only.state_dict(),
            "reference_first": self.reference_first.state_dict(),
            "pool_only_velocity": self.pool_only_velocities,
            "reference_first_velocity": self.reference_first_velocities,
        }
        return {
            f"{group}.{name}": value
            for group, values in groups.items()
            for name, value in values.items()
        }


def start_pair(problem: TessProblem, *, seed: int, device: torch.device) -> ClassifierPair:
    """Return two classifiers with the same parameters, before their first step.

    Args:
        problem: What values are learned from.
        seed: Seed of the start and of the batches.
        device: Where to train; the dtype is that of the pool's features.

    Raises:
        MissingClassError: The reference set lacks a class.
        ConfigError: The classifier does not fit the inputs.
    """
    pool, reference, config = problem.pool, problem.reference, problem.config
    check_classes(pool, reference)
    scaling = measure_input_scaling(pool.inputs)

    def build() -> Classifier:
        classifier = build_classifier(
            config.classifier,
            input_shape=pool.input_shape,
            class_count=pool.class_count,
            generator=derive_generator(seed, "classifier"),
            scaling=scaling,
        )
        return classifier.to(device, pool.offline_features.dtype)

    pool_only, reference_first = build(), build()
    return ClassifierPair(
        pool_only=pool_only,
        reference_first=reference_first,
        pool_only_velocities=zeros_like_parameters(pool_only),
        reference_first_velocities=zeros_like_parameters(reference_first),
        pool_sampler=BatchSampler(
            pool.sample_count, config.batch_size, derive_generator(seed, "pool_batches")
        ),
        reference_sampler=BatchSampler(
            reference.sample_count,
            config.reference_batch_size or LARGEST_WHOLE_REFERENCE,
            derive_generator(seed, "reference_batches"),
        ),
        augmentation_generator=derive_generator(seed, "augmentation"),
    )


def advance_pair(pair: ClassifierPair, problem: TessProblem) -> dict[str, float]:
    """Take one step with both classifiers and return the losses before it.

    Both see the same pool batch, so that what differs between them is the reference set's doing and
    not the draw's.

    Args:
        pair: Changed in place.
        problem: What values are learned from.

    Raises:
        NonFiniteError: A loss is infinite or not a number.

    Source: [tess2026scalable], the two trainings U and W from one start.
    """
    settings = problem.passes
    drawn = _draw(problem.pool, pair.pool_sampler, pair.device)
    inputs = augment_images(drawn.inputs, problem.config.augmentation, pair.augmentation_generator)
    batch = LabelledInputs(inputs, drawn.labels)
    seen = forward_batch(pair.pool_only, batch, settings)
    shares = torch.full_like(seen.losses, 1.0 / batch.sample_count)
    gradient = weighted_gradient(
        pair.pool_only, batch, shares, settings, graph_losses=seen.graph_losses
    )
    reference, combined = _reference_first_gradient(pair, batch, problem)
    for classifier, own_gradient, velocities in (
        (pair.pool_only, gradient, pair.pool_only_velocities),
        (pair.reference_first, combined, pair.reference_first_velocities),
    ):
        sgd_step(dict(classifier.named_parameters()), own_gradient, velocities, problem.sgd)
    pair.step += 1
    watched = {
        "classifier_loss": seen.losses.mean(),
        "reference_loss": reference.loss,
        "reference_accuracy": reference.accuracy,
    }
    return fetch_finite(watched, pair.step)


def sample_values(pair: ClassifierPair, problem: TessProblem) -> PerSample:
    """Return the loss of each pool sample under U minus that under W, ``[sample]`` on the CPU.

    A sample is worth much where learning from the reference set first lowers its loss.

    Args:
        pair: The trained classifiers.
        problem: What values are learned from.

    Source: [tess2026scalable], the value Delta of a sample.
    """
    parts = [
        _losses(pair.pool_only, rows, problem) - _losses(pair.reference_first, rows, problem)
        for rows in _rows(problem.pool, pair.device)
    ]
    return torch.cat(parts).cpu()


def selector_columns(pair: ClassifierPair, problem: TessProblem) -> FeatureColumns:
    """Return what the selector sees of each pool sample, ``[sample, 11]`` on the CPU.

    Ten position features and the error norm under W, standardised over the pool. Forgetting counts
    and embeddings of classes stay out: a sample that no training has seen has neither.

    Args:
        pair: The trained classifiers.
        problem: What values are learned from.
    """
    norms = torch.cat(
        [
            forward_batch(pair.reference_first, rows, problem.passes).residuals.norm(dim=1).cpu()
            for rows in _rows(problem.pool, pair.device)
        ]
    )
    positions = problem.pool.offline_features[:, : len(POSITION_FEATURE_NAMES)].cpu()
    return torch.cat([positions, standardise_columns(norms.unsqueeze(1))], dim=1).float()


def _reference_first_gradient(
    pair: ClassifierPair, batch: LabelledInputs, problem: TessProblem
) -> tuple[ReferencePass, ParameterTensors]:
    settings, alpha = problem.passes, problem.config.pool_share
    drawn = _draw(problem.reference, pair.reference_sampler, pair.device)
    seen = reference_pass(pair.reference_first, drawn, settings, is_head_only=False)
    dtype = pair.reference_first.shift.dtype
    shares = torch.full((batch.sample_count,), alpha / batch.sample_count, dtype=dtype)
    on_pool = weighted_gradient(pair.reference_first, batch, shares.to(pair.device), settings)
    return seen, {name: value + on_pool[name] for name, value in seen.direction.items()}


def _losses(classifier: Classifier, rows: LabelledInputs, problem: TessProblem) -> PerSample:
    return forward_batch(classifier, rows, problem.passes).losses


def _rows(pool: TrainingPool, device: torch.device) -> Iterator[LabelledInputs]:
    for start in range(0, pool.sample_count, _SCORED_AT_ONCE):
        part = slice(start, start + _SCORED_AT_ONCE)
        yield LabelledInputs(pool.inputs[part].to(device), pool.labels[part].to(device))


def _draw(
    samples: TrainingPool | ReferenceSet, sampler: BatchSampler, device: torch.device
) -> LabelledInputs:
    # The rows are picked where the data lives, so that only the batch travels.
    indices = sampler.draw().to(samples.labels.device)
    return LabelledInputs(samples.inputs[indices].to(device), samples.labels[indices].to(device))


def _group(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }
