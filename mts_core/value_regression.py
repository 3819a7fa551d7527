"""Fits a small network to one value a sample by least squares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from mts_core.axes import FeatureColumns, PerSample
from mts_core.errors import CheckpointError, NonFiniteError
from mts_core.layers import allocate_linear, initialise_layer
from mts_core.optimisers import AdamWMoments, AdamWRule, adamw_step, zeros_like_parameters
from mts_core.seeds import derive_generator

_HIDDEN_UNITS: Final = 100
_LAST_LAYER_SHRINKAGE: Final = 0.1
_ROWS_AT_ONCE: Final = 16_384


@final
class ValueNetwork(nn.Module):
    """Two hidden layers of 100 ReLU units from feature columns to one number.

    The meta-network without its learned embeddings, which a sample of another pool would lack.
    """

    def __init__(self, column_count: int, generator: torch.Generator) -> None:
        super().__init__()
        self.first = allocate_linear(column_count, _HIDDEN_UNITS)
        self.second = allocate_linear(_HIDDEN_UNITS, _HIDDEN_UNITS)
        self.last = allocate_linear(_HIDDEN_UNITS, 1)
        for layer in (self.first, self.second, self.last):
            initialise_layer(layer, generator)
        with torch.no_grad():
            # The first residuals are then those of the mean, whatever the columns.
            self.last.weight.mul_(_LAST_LAYER_SHRINKAGE)

    def forward(self, columns: FeatureColumns) -> PerSample:
        """Return the value of each sample."""
        hidden = torch.relu(self.second(torch.relu(self.first(columns))))
        values: Tensor = self.last(hidden)
        return values.squeeze(1)


@dataclass(frozen=True)
class RegressionRule:
    """How a value network is fitted.

    Attributes:
        steps: Number of steps; the step size falls to zero along them in a straight line.
        batch_size: Samples in a batch, drawn with replacement.
        learning_rate: First step size of AdamW.
        weight_decay: Weight decay of matrices.
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float


@dataclass(eq=False)
class Regression:
    """A value network on its way; `advance_regression` changes it in place.

    Attributes:
        network: The network.
        moments: AdamW's running means.
        step: Steps done.
    """

    network: ValueNetwork
    moments: AdamWMoments
    step: int = 0

    def capture(self) -> dict[str, Tensor]:
        """Return copies of the whole state on the CPU, by name."""
        copies = {name: value.detach().cpu().clone() for name, value in self._tensors().items()}
        return copies | {"step": torch.tensor(self.step)}

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from a captured state.

        Raises:
            CheckpointError: The state belongs to another network.
        """
        try:
            with torch.no_grad():
                for name, value in self._tensors().items():
                    value.copy_(captured[name])
            self.step = int(captured["step"])
        except (KeyError, RuntimeError) as error:
            raise CheckpointError("The saved regression does not fit this run.") from error

    def _tensors(self) -> dict[str, Tensor]:
        groups = {
            "parameter": dict(self.network.named_parameters()),
            "first_moment": self.moments.first,
            "second_moment": self.moments.second,
        }
        return {
            f"{group}.{name}": value
            for group, values in groups.items()
            for name, value in values.items()
        }


def start_regression(
    column_count: int, *, generator: torch.Generator, device: torch.device
) -> Regression:
    """Return the state before the first step.

    Args:
        column_count: Feature columns of a sample.
        generator: CPU generator of the initial weights.
        device: Where the network lives.
    """
    network = ValueNetwork(column_count, generator).to(device)
    moments = AdamWMoments(zeros_like_parameters(network), zeros_like_parameters(network))
    return Regression(network, moments)


def advance_regression(
    regression: Regression,
    columns: FeatureColumns,
    values: PerSample,
    rule: RegressionRule,
    *,
    seed: int,
) -> float:
    """Take one step and return the batch's mean squared error before it.

    Args:
        regression: Changed in place.
        columns: ``[sample, column]`` float32 on the network's device.
        values: ``[sample]`` float32, what is to be predicted.
        rule: How it is fitted.
        seed: Seed of the batches; each depends on the seed and its own number alone.

    Raises:
        NonFiniteError: The error is infinite or not a number.
    """
    generator = derive_generator(seed, "regression", regression.step)
    size = min(rule.batch_size, len(values))
    drawn = torch.randint(len(values), (size,), generator=generator).to(values.device)
    parameters = dict(regression.network.named_parameters())
    loss = functional.mse_loss(regression.network(columns[drawn]), values[drawn])
    gradients = torch.autograd.grad(loss, list(parameters.values()))
    error = float(loss.detach())
    if not torch.isfinite(loss.detach()):
        raise NonFiniteError("selector's squared error", step=regression.step)
    left = 1.0 - regression.step / rule.steps
    regression.step += 1
    adamw_step(
        parameters,
        dict(zip(parameters, gradients, strict=True)),
        regression.moments,
        rule=AdamWRule(rule.learning_rate * left, rule.weight_decay),
        count=regression.step,
    )
    return error


def predict_values(network: ValueNetwork, columns: FeatureColumns) -> PerSample:
    """Return the predicted value of each sample, without a graph.

    Args:
        network: A fitted network.
        columns: ``[sample, column]`` float32 on the network's device.
    """
    with torch.no_grad():
        return torch.cat([network(rows) for rows in torch.split(columns, _ROWS_AT_ONCE)])
