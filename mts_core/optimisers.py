"""Takes one step of SGD with momentum or of AdamW, with all state in plain tensors."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mts_core.axes import ParameterTensors


@dataclass(frozen=True)
class SgdRule:
    """Settings of stochastic gradient descent with momentum.

    Attributes:
        learning_rate: Step size eta.
        momentum: Share of the last step that is kept.
        weight_decay: Multiple of the parameters that is added to the gradient.
        is_nesterov: Whether the gradient also counts at the place to which momentum leads.
    """

    learning_rate: float
    momentum: float = 0.0
    weight_decay: float = 0.0
    is_nesterov: bool = False

    @property
    def step_scale(self) -> float:
        """How far one step moves against the present gradient.

        Momentum adds earlier gradients, which the present weights do not change. What is left of
        the step's derivative by the present gradient is the learning rate, times ``1 + momentum``
        where the step is Nesterov's.

        Source: docs/mathematics.md, "The virtual step".
        """
        return self.learning_rate * (1.0 + self.momentum * self.is_nesterov)


@dataclass(frozen=True)
class AdamWRule:
    """Settings of Adam with decoupled weight decay.

    Attributes:
        learning_rate: Step size.
        weight_decay: Share of each matrix taken off for each unit of step size; biases keep theirs.
        first_decay: Decay of the mean gradient.
        second_decay: Decay of the mean squared gradient.
        epsilon: Added to the root of the mean squared gradient.
    """

    learning_rate: float
    weight_decay: float
    first_decay: float = 0.9
    second_decay: float = 0.999
    epsilon: float = 1e-8


@dataclass(frozen=True)
class AdamWMoments:
    """Running means of AdamW, changed in place by `adamw_step`.

    Attributes:
        first: Mean gradient of each parameter.
        second: Mean squared gradient of each parameter.
    """

    first: ParameterTensors
    second: ParameterTensors


def zeros_like_parameters(module: nn.Module) -> ParameterTensors:
    """Return one zero tensor for each parameter of a module."""
    return {name: torch.zeros_like(value.data) for name, value in module.named_parameters()}


def sgd_step(
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    velocities: Mapping[str, Tensor],
    rule: SgdRule,
) -> None:
    """Change parameters and velocities in place by one step of SGD.

    Args:
        parameters: Named parameters.
        gradients: Their gradients.
        velocities: Their momentum buffers, zero before the first step.
        rule: Settings.

    Source: [sutskever2013importance], in the form in which PyTorch writes it.
    """
    with torch.no_grad():
        for name, parameter in parameters.items():
            gradient = gradients[name].add(parameter, alpha=rule.weight_decay)
            velocity = velocities[name].mul_(rule.momentum).add_(gradient)
            change = gradient.add(velocity, alpha=rule.momentum) if rule.is_nesterov else velocity
            parameter.sub_(change, alpha=rule.learning_rate)


def adamw_step(
    parameters: Mapping[str, Tensor],
    gradients: Mapping[str, Tensor],
    moments: AdamWMoments,
    *,
    rule: AdamWRule,
    count: int,
) -> None:
    """Change parameters and moments in place by one step of AdamW.

    Args:
        parameters: Named parameters.
        gradients: Their gradients.
        moments: Running means, zero before the first step.
        rule: Settings.
        count: Number of this step, from 1.

    Source: [loshchilov2019decoupled], algorithm 2.
    """
    first_bias = 1.0 - rule.first_decay**count
    second_bias = 1.0 - rule.second_decay**count
    with torch.no_grad():
        for name, parameter in parameters.items():
            gradient = gradients[name]
            first = moments.first[name].lerp_(gradient, 1.0 - rule.first_decay)
            second = moments.second[name].mul_(rule.second_decay)
            second.addcmul_(gradient, gradient, value=1.0 - rule.second_decay)
            if parameter.dim() > 1:
                parameter.mul_(1.0 - rule.learning_rate * rule.weight_decay)
            scale = (second / second_bias).sqrt_().add_(rule.epsilon)
            parameter.addcdiv_(first, scale, value=-rule.learning_rate / first_bias)
