"""Sets the optimisers against PyTorch's own."""

from collections.abc import Callable

import pytest
import torch

from mts_core.optimisers import (
    AdamWMoments,
    AdamWRule,
    SgdRule,
    adamw_step,
    sgd_step,
    zeros_like_parameters,
)

Tensors = dict[str, torch.Tensor]
StepFunction = Callable[[Tensors, Tensors, int], None]


def make_module(generator: torch.Generator) -> torch.nn.Linear:
    module = torch.nn.Linear(4, 3, device="meta").to_empty(device="cpu").double()
    with torch.no_grad():
        for value in module.parameters():
            value.normal_(generator=generator)
    return module


def follow(
    module: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    step: StepFunction,
    generator: torch.Generator,
) -> None:
    """Take the same steps on copies of the parameters, theirs by `optimiser`, ours by `step`."""
    ours = {name: value.detach().clone() for name, value in module.named_parameters()}
    for number in range(1, 8):
        gradients = {}
        for name, value in module.named_parameters():
            value.grad = torch.randn(value.shape, generator=generator, dtype=value.dtype)
            gradients[name] = value.grad.clone()
        optimiser.step()
        step(ours, gradients, number)
    # The same arithmetic but for the order of a few products.
    theirs = {name: value.detach() for name, value in module.named_parameters()}
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("is_nesterov", [False, True])
def test_sgd_follows_pytorch(*, is_nesterov: bool, generator: torch.Generator) -> None:
    module = make_module(generator)
    rule = SgdRule(0.1, momentum=0.9, weight_decay=0.01, is_nesterov=is_nesterov)
    velocities = zeros_like_parameters(module)
    optimiser = torch.optim.SGD(
        module.parameters(), lr=0.1, momentum=0.9, weight_decay=0.01, nesterov=is_nesterov
    )
    follow(module, optimiser, lambda p, g, _: sgd_step(p, g, velocities, rule), generator)


def test_adamw_follows_pytorch_with_no_decay_of_biases(generator: torch.Generator) -> None:
    module = make_module(generator)
    rule = AdamWRule(0.1, weight_decay=0.3)
    moments = AdamWMoments(zeros_like_parameters(module), zeros_like_parameters(module))
    optimiser = torch.optim.AdamW(
        [
            {"params": [module.weight], "weight_decay": 0.3},
            {"params": [module.bias], "weight_decay": 0.0},
        ],
        lr=0.1,
    )
    follow(
        module,
        optimiser,
        lambda p, g, number: adamw_step(p, g, moments, rule=rule, count=number),
        generator,
    )
