"""Sets the closed-form meta-gradient against autograd through the classifier's own step."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.func import functional_call
from torch.nn import functional

from mts_core.alignment import TangentLine, exact_alignment
from mts_core.classifiers import build_classifier
from mts_core.config import ClassifierKind
from mts_core.meta_gradient import meta_gradient, normalised_weights, weight_gradient
from mts_core.meta_network import MetaNetwork, score_from_logit
from mts_core.optimisers import SgdRule
from mts_core.training_data import LabelledInputs

# Two ways to the same sums of about a hundred products, in float64.
ROUNDING = 1e-12
FLOOR = 0.05
RULES = [
    SgdRule(0.3),
    SgdRule(0.3, momentum=0.9, weight_decay=0.01),
    SgdRule(0.3, momentum=0.9, weight_decay=0.01, is_nesterov=True),
]


class Step:
    """One weighted step of an MLP and what its reference loss depends on."""

    def __init__(self, rule: SgdRule, generator: torch.Generator) -> None:
        def draw(*shape: int) -> torch.Tensor:
            return torch.randn(*shape, generator=generator, dtype=torch.float64)

        self.rule = rule
        self.batch = LabelledInputs(draw(10, 4), torch.arange(10) % 3)
        self.reference = LabelledInputs(draw(6, 4), torch.arange(6) % 3)
        self.classifier = build_classifier(
            ClassifierKind.MLP, input_shape=(4,), class_count=3, generator=generator
        ).double()
        self.point = {name: value.detach() for name, value in self.classifier.named_parameters()}
        self.velocity = {name: draw(*value.shape) for name, value in self.point.items()}

    def losses(self, point: dict[str, torch.Tensor], batch: LabelledInputs) -> torch.Tensor:
        logits = functional_call(self.classifier, point, (batch.inputs,))
        return functional.cross_entropy(logits, batch.labels, reduction="none")

    def after(self, weights: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the parameters after the step, as a differentiable function of the weights."""
        leaves = {name: value.clone().requires_grad_() for name, value in self.point.items()}
        loss = (weights / weights.sum() * self.losses(leaves, self.batch)).sum()
        gradients = torch.autograd.grad(loss, list(leaves.values()), create_graph=True)
        moved = {}
        for (name, value), gradient in zip(self.point.items(), gradients, strict=True):
            decayed = gradient + self.rule.weight_decay * value
            velocity = self.rule.momentum * self.velocity[name] + decayed
            change = decayed + self.rule.momentum * velocity if self.rule.is_nesterov else velocity
            moved[name] = value - self.rule.learning_rate * change
        return moved

    def reference_loss(self, weights: torch.Tensor) -> torch.Tensor:
        return self.losses(self.after(weights), self.reference).mean()

    def alignment(self, weights: torch.Tensor) -> torch.Tensor:
        """Return a with look-ahead: v after the step, the samples' gradients before it."""
        ahead = {
            name: value.detach().requires_grad_() for name, value in self.after(weights).items()
        }
        loss = self.losses(ahead, self.reference).mean()
        direction = dict(zip(ahead, torch.autograd.grad(loss, list(ahead.values())), strict=True))
        return exact_alignment(self.classifier, self.batch, TangentLine(self.point, direction))


@pytest.mark.parametrize("rule", RULES, ids=["plain", "momentum", "nesterov"])
def test_weight_gradient_equals_autograd_through_the_step(
    rule: SgdRule, generator: torch.Generator
) -> None:
    step = Step(rule, generator)
    weights = torch.rand(10, generator=generator, dtype=torch.float64).add_(0.1).requires_grad_()
    (expected,) = torch.autograd.grad(step.reference_loss(weights), weights)
    found = weight_gradient(weights.detach(), step.alignment(weights), rule.step_scale)
    torch.testing.assert_close(found, expected, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("rule", RULES, ids=["plain", "momentum", "nesterov"])
def test_meta_gradient_equals_autograd_through_the_step(
    rule: SgdRule, generator: torch.Generator
) -> None:
    step = Step(rule, generator)
    meta_network = MetaNetwork(3, 17, generator).double()
    scalars = torch.randn(10, 17, generator=generator, dtype=torch.float64)
    logits = meta_network(scalars, step.batch.labels, step.batch.labels == 0)
    weights = score_from_logit(logits, FLOOR)
    parameters = list(meta_network.parameters())
    expected = torch.autograd.grad(step.reference_loss(weights), parameters, retain_graph=True)
    found = meta_gradient(
        weights,
        step.alignment(weights),
        step_scale=rule.step_scale,
        parameters=parameters,
    )
    for value, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(value, wanted, rtol=ROUNDING, atol=ROUNDING)


def test_weight_grows_exactly_where_alignment_beats_the_weighted_mean(
    generator: torch.Generator,
) -> None:
    weights = torch.rand(20, generator=generator, dtype=torch.float64)
    alignment = torch.randn(20, generator=generator, dtype=torch.float64)
    mean = (normalised_weights(weights) * alignment).sum()
    grows = weight_gradient(weights, alignment, 0.1) < 0
    assert torch.equal(grows, alignment > mean)


@given(seed=st.integers(0, 2**32), scale=st.floats(1e-3, 1e3))
def test_scaling_all_weights_together_changes_nothing(seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(8, generator=generator, dtype=torch.float64).add_(0.01)
    alignment = torch.randn(8, generator=generator, dtype=torch.float64)
    gradient = weight_gradient(weights, alignment, 1.0)
    # Normalised weights have no scale, so the gradient is orthogonal to the weights themselves.
    assert abs(float((gradient * weights).sum())) <= ROUNDING
    scaled = weight_gradient(scale * weights, alignment, 1.0) * scale
    torch.testing.assert_close(scaled, gradient, rtol=1e-9, atol=ROUNDING)


@given(seed=st.integers(0, 2**32))
def test_zero_weight_equals_removal(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    weights = torch.rand(8, generator=generator, dtype=torch.float64).add_(0.01)
    alignment = torch.randn(8, generator=generator, dtype=torch.float64)
    is_kept = torch.arange(8) % 3 != 0
    silenced = torch.where(is_kept, weights, 0.0)
    torch.testing.assert_close(
        weight_gradient(silenced, alignment, 1.0)[is_kept],
        weight_gradient(weights[is_kept], alignment[is_kept], 1.0),
        rtol=ROUNDING,
        atol=ROUNDING,
    )
