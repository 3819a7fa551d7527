"""Measures how a classifier trained without selection learns each sample."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mts_core.classifiers import Classifier
from mts_core.errors import NonFiniteError
from mts_core.optimisers import sgd_step, zeros_like_parameters
from mts_core.plain_training import TrainingRecipe
from mts_core.seeds import derive_generator
from mts_core.training_data import LabelledInputs

DYNAMICS_FEATURE_NAMES: Final = ("gradient_norm", "error_norm", "forgetting_count")
"""Columns of the training dynamics, in order."""

_MOST_EPOCHS: Final = 10
_FEWEST_EPOCHS: Final = 3
_SAMPLE_PASSES: Final = 40_000


@dataclass(frozen=True, eq=False)
class DynamicsState:
    """A classifier on its way over the pool, and what was seen of each sample.

    The tensors change in place; `step` is in a tensor too, so that the state is one flat mapping.

    Attributes:
        classifier: The classifier.
        velocities: Its momentum buffers.
        records: gradient_norm, error_norm: [sample] float32 sums; forgetting_count: [sample]
            float32; is_correct: [sample] bool, of the last visit; step: [] int64.
    """

    classifier: Classifier
    velocities: Mapping[str, Tensor]
    records: dict[str, Tensor]

    @property
    def step(self) -> int:
        """Batches seen."""
        return int(self.records["step"])

    def capture(self) -> dict[str, Tensor]:
        """Return copies of all tensors, by name."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self._tensors().items()}

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Set all tensors to captured values, in place."""
        with torch.no_grad():
            for name, tensor in self._tensors().items():
                tensor.copy_(captured[name])

    def _tensors(self) -> dict[str, Tensor]:
        parts: dict[str, Mapping[str, Tensor]] = {
            "parameter": dict(self.classifier.named_parameters()),
            "velocity": self.velocities,
            "record": self.records,
        }
        return {
            f"{part}.{name}": tensor
            for part, tensors in parts.items()
            for name, tensor in tensors.items()
        }


def start_dynamics(
    recipe: TrainingRecipe, sample_count: int, *, seed: int, device: torch.device
) -> DynamicsState:
    """Return the state before the first batch.

    Args:
        recipe: How the classifier is built.
        sample_count: Samples in the pool.
        seed: Seed of the start.
        device: Where to train.
    """
    classifier = recipe.build(derive_generator(seed, "dynamics", "start"), device)
    records = {
        "gradient_norm": torch.zeros(sample_count, device=device),
        "error_norm": torch.zeros(sample_count, device=device),
        "forgetting_count": torch.zeros(sample_count, device=device),
        "is_correct": torch.zeros(sample_count, dtype=torch.bool, device=device),
        "step": torch.zeros((), dtype=torch.int64),
    }
    return DynamicsState(classifier, zeros_like_parameters(classifier), records)


def dynamics_steps(sample_count: int, batch_size: int) -> int:
    """Return how many batches the measurement takes: 3 to 10 passes over the pool.

    Args:
        sample_count: Samples in the pool.
        batch_size: Samples in a batch.
    """
    return _epochs(sample_count) * _epoch_steps(sample_count, batch_size)


def advance_dynamics(
    state: DynamicsState, samples: LabelledInputs, recipe: TrainingRecipe, *, seed: int
) -> None:
    """Train on the next batch and record what its samples showed before the step.

    Every pass visits each sample once, in an order that depends on the seed and the pass alone. The
    gradient norm is that of the last layer, in closed form; the error norm is the length of the
    softmax output minus the one-hot label; a sample is forgotten when it was right on one visit and
    wrong on the next.

    Args:
        state: Changed in place.
        samples: Inputs and labels of the pool on the device.
        recipe: Optimiser and batch size.
        seed: Seed of the orders.

    Raises:
        NonFiniteError: The loss is infinite or not a number.

    Source: [paul2021deep] for both norms, [toneva2019empirical] for forgetting. Deviation: averaged
    along one run instead of several short ones, with the last layer's gradient for the whole one.
    """
    inputs, labels = samples.inputs, samples.labels
    batch = _batch(len(labels), state.step, recipe.batch_size, seed).to(labels.device)
    hidden = state.classifier.features(inputs[batch])
    logits = state.classifier.head(hidden)
    loss = functional.cross_entropy(logits, labels[batch])
    if not bool(torch.isfinite(loss.detach())):
        raise NonFiniteError("loss of the training dynamics", step=state.step)
    _record(state.records, batch, labels[batch], logits=logits.detach(), hidden=hidden.detach())
    parameters = dict(state.classifier.named_parameters())
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    named = dict(zip(parameters, gradients, strict=True))
    sgd_step(parameters, named, state.velocities, recipe.sgd)
    state.records["step"] += 1


def dynamics_features(state: DynamicsState) -> NDArray[np.float32]:
    """Return [sample, 3] float32: mean gradient norm, mean error norm, times forgotten."""
    epochs = _epochs(len(state.records["error_norm"]))
    columns = [
        state.records["gradient_norm"] / epochs,
        state.records["error_norm"] / epochs,
        state.records["forgetting_count"],
    ]
    return torch.stack(columns, dim=1).cpu().numpy()


def unlearned(state: DynamicsState) -> NDArray[np.bool_]:
    """Return which samples were wrong on every visit, [sample] bool; they could not be forgotten.

    Args:
        state: A complete measurement.
    """
    # A sample that was right once and is wrong on the last visit has been forgotten in between.
    is_unlearned = ~state.records["is_correct"] & (state.records["forgetting_count"] == 0)
    return is_unlearned.cpu().numpy()


def _epochs(sample_count: int) -> int:
    return min(_MOST_EPOCHS, max(_FEWEST_EPOCHS, _SAMPLE_PASSES // sample_count))


def _epoch_steps(sample_count: int, batch_size: int) -> int:
    return -(-sample_count // batch_size)


def _batch(sample_count: int, step: int, batch_size: int, seed: int) -> Tensor:
    epoch, place = divmod(step, _epoch_steps(sample_count, batch_size))
    order = _order(sample_count, epoch, seed)
    return order[place * batch_size : (place + 1) * batch_size]


@functools.lru_cache(maxsize=1)
def _order(sample_count: int, epoch: int, seed: int) -> Tensor:
    # Kept for one pass: drawing a million places anew for each batch would dominate the cost.
    return torch.randperm(sample_count, generator=derive_generator(seed, "dynamics", epoch))


def _record(
    records: dict[str, Tensor], batch: Tensor, labels: Tensor, *, logits: Tensor, hidden: Tensor
) -> None:
    errors = logits.softmax(dim=1) - functional.one_hot(labels, logits.shape[1])
    error_norms = errors.norm(dim=1)
    # The bias counts as one more hidden unit that is always 1.
    hidden_norms = (hidden.square().sum(dim=1) + 1).sqrt()
    records["error_norm"][batch] += error_norms
    records["gradient_norm"][batch] += error_norms * hidden_norms
    is_correct = logits.argmax(dim=1) == labels
    is_forgotten = records["is_correct"][batch] & ~is_correct
    records["forgetting_count"][batch] += is_forgotten.float()
    records["is_correct"][batch] = is_correct
