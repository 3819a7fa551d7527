"""Trains classifiers without a meta-network: one alone, or many heads at once."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call, vmap
from torch.nn import functional

from mts_core.augmentation import augment_images
from mts_core.axes import Inputs
from mts_core.classifiers import Classifier, InputScaling, build_classifier
from mts_core.config import Augmentation, ClassifierName
from mts_core.errors import NonFiniteError
from mts_core.optimisers import SgdRule, sgd_step
from mts_core.seeds import derive_generator
from mts_core.training_data import LabelledInputs

_ROWS_AT_ONCE = 2048
# The first layers of a large network hold a megabyte or more for each image.
_PRETRAINED_ROWS_AT_ONCE = 128


@dataclass(frozen=True, eq=False)
class TrainingRecipe:
    """How a classifier is built and trained, but for its seed and its data.

    Attributes:
        kind: Architecture.
        input_shape: Shape of one input.
        class_count: Number of classes.
        scaling: Scaling of the inputs.
        sgd: Optimiser.
        batch_size: Samples in a batch.
        augmentation: How the images of a batch are varied.
    """

    kind: ClassifierName
    input_shape: tuple[int, ...]
    class_count: int
    scaling: InputScaling
    sgd: SgdRule
    batch_size: int
    augmentation: Augmentation = Augmentation.NONE

    @property
    def rows_at_once(self) -> int:
        """Samples that are predicted in one call."""
        return _PRETRAINED_ROWS_AT_ONCE if self.kind.is_pretrained else _ROWS_AT_ONCE

    def build(self, generator: torch.Generator, device: torch.device) -> Classifier:
        """Return a freshly initialised classifier."""
        classifier = build_classifier(
            self.kind,
            input_shape=self.input_shape,
            class_count=self.class_count,
            generator=generator,
            scaling=self.scaling,
        )
        return classifier.to(device)


@dataclass(frozen=True, eq=False)
class JoinedInputs:
    """Two labelled sets that are read as one, without copying either.

    Attributes:
        first: The set that comes first.
        second: The set that follows.
    """

    first: LabelledInputs
    second: LabelledInputs

    def take(self, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Return inputs [*positions, ...] and labels [*positions] at positions of any shape.

        Args:
            positions: int64 in [0, number of samples of both).
        """
        flat = positions.flatten()
        size = self.first.sample_count
        is_second = flat >= size
        inside = flat.clamp_max(size - 1)
        inputs, labels = self.first.inputs[inside], self.first.labels[inside]
        inputs[is_second] = self.second.inputs[flat[is_second] - size]
        labels[is_second] = self.second.labels[flat[is_second] - size]
        shaped = inputs.reshape(*positions.shape, *inputs.shape[1:])
        return shaped, labels.reshape(positions.shape)


@dataclass(frozen=True, eq=False)
class TrainingRun:
    """One classifier to train: which samples it sees how often, and from which start.

    Attributes:
        weights: [sample] float64, not negative; a sample is drawn in proportion to its weight, so
            that weight zero equals removal.
        repetition: Runs of one repetition start from the same parameters and share their draws,
            which pairs the rows of a table.
    """

    weights: Tensor
    repetition: int


def train_runs(
    runs: Sequence[TrainingRun],
    samples: JoinedInputs,
    recipe: TrainingRecipe,
    *,
    steps: int,
    seed: int,
) -> Iterator[tuple[int, Callable[[Inputs], Tensor]]]:
    """Yield after each step: the steps done and a function that predicts with every run's model.

    Runs are trained side by side in one batched loop, which for small heads costs little more than
    training one.

    Args:
        runs: Classifiers to train.
        samples: Pool and reference set on the device; each run's weights say what it sees of them.
        recipe: How each classifier is built and trained.
        steps: Number of steps.
        seed: Seed of starts and draws.

    Yields:
        Steps done; and a function from inputs [query, ...] to logits [run, query, class].

    Raises:
        NonFiniteError: A loss is infinite or not a number.
    """
    device = samples.first.labels.device
    models = [recipe.build(_generator(seed, run, "start"), device) for run in runs]
    template = models[0]
    buffers = dict(template.named_buffers())
    parameters = {
        name: torch.stack([model.get_parameter(name).detach() for model in models])
        for name, _ in template.named_parameters()
    }
    velocities = {name: torch.zeros_like(value) for name, value in parameters.items()}
    draws = _draws(runs, steps, recipe.batch_size, seed)
    varying = [_generator(seed, run, "augmentation") for run in runs]

    def predict(queries: Inputs) -> Tensor:
        with torch.no_grad():
            chunks = [
                _logits(template, parameters, buffers, chunk, is_shared=True)
                for chunk in torch.split(queries, recipe.rows_at_once)
            ]
        return torch.cat(chunks, dim=1)

    for step in range(steps):
        taken, labels = samples.take(draws[step].to(device))
        inputs = _augmented(taken, recipe, varying)
        for value in parameters.values():
            value.requires_grad_()
        logits = _logits(template, parameters, buffers, inputs, is_shared=False)
        # Summed over runs: each run's gradient is then that of its own mean loss.
        loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum")
        gradients = torch.autograd.grad(loss / recipe.batch_size, list(parameters.values()))
        named = dict(zip(parameters, gradients, strict=True))
        if not bool(torch.isfinite(loss.detach())):
            raise NonFiniteError("loss of an evaluation classifier", step=step)
        for value in parameters.values():
            value.requires_grad_(False)
        sgd_step(parameters, named, velocities, recipe.sgd)
        yield step + 1, predict


def _augmented(
    inputs: Tensor, recipe: TrainingRecipe, generators: Sequence[torch.Generator]
) -> Tensor:
    """Return every run's batch, [run, batch, ...], varied by its own generator."""
    if recipe.augmentation is Augmentation.NONE:
        return inputs
    pairs = zip(inputs, generators, strict=True)
    return torch.stack([augment_images(rows, recipe.augmentation, own) for rows, own in pairs])


def _generator(seed: int, run: TrainingRun, purpose: str) -> torch.Generator:
    return derive_generator(seed, "repetition", run.repetition, purpose)


def _draws(runs: Sequence[TrainingRun], steps: int, batch_size: int, seed: int) -> Tensor:
    """Return the samples of every batch, [step, run, batch] int64."""
    drawn = []
    for run in runs:
        # Inverting the cumulative sum has no upper limit on the pool, unlike torch.multinomial.
        cumulative = run.weights.double().cumsum(0)
        uniform = torch.rand(
            (steps, batch_size), generator=_generator(seed, run, "draws"), dtype=torch.float64
        )
        positions = torch.searchsorted(cumulative, uniform * cumulative[-1], right=True)
        # Rounding can reach the very end, where trailing zero weights must not be drawn.
        last = int(torch.nonzero(run.weights)[-1])
        drawn.append(positions.clamp_max(last))
    return torch.stack(drawn, dim=1)


def _logits(
    template: Classifier,
    parameters: dict[str, Tensor],
    buffers: dict[str, Tensor],
    inputs: Tensor,
    *,
    is_shared: bool,
) -> Tensor:
    def call(own: dict[str, Tensor], batch: Tensor) -> Tensor:
        logits: Tensor = functional_call(template, (own, buffers), (batch,))
        return logits

    run_count = next(iter(parameters.values())).shape[0]
    if run_count == 1:
        # Without vmap: grouped convolutions would be slower than plain ones.
        own = {name: value[0] for name, value in parameters.items()}
        return call(own, inputs if is_shared else inputs[0]).unsqueeze(0)
    logits: Tensor = vmap(call, in_dims=(0, None if is_shared else 0))(parameters, inputs)
    return logits
