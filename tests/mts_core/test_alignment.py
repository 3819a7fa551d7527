"""Sets every estimator of alignment against per-sample gradients taken one by one."""

import itertools
import math

import pytest
import torch
from torch.func import functional_call, grad, vmap
from torch.nn import functional

from mts_core.alignment import (
    TangentLine,
    exact_alignment,
    finite_difference_alignment,
    head_alignment,
    head_direction,
    loss_residuals,
)
from mts_core.classifiers import Classifier, build_classifier, measure_input_scaling
from mts_core.config import ClassifierKind
from mts_core.training_data import LabelledInputs

UNTRAINED = [kind for kind in ClassifierKind if not kind.is_pretrained]
# Two orders of summation of a few hundred products of order one, in float64.
ROUNDING = 1e-12


def make_batch(kind: ClassifierKind, generator: torch.Generator, count: int = 12) -> LabelledInputs:
    if kind.reads_images:
        inputs = torch.randint(
            0, 256, (count, 1, 9, 11), generator=generator, dtype=torch.int32
        ).to(torch.uint8)
    else:
        inputs = torch.randn(count, 5, generator=generator, dtype=torch.float64)
    return LabelledInputs(inputs, torch.randint(0, 3, (count,), generator=generator))


def make_line(
    kind: ClassifierKind, batch: LabelledInputs, generator: torch.Generator
) -> tuple[Classifier, TangentLine]:
    classifier = build_classifier(
        kind,
        input_shape=batch.inputs.shape[1:],
        class_count=3,
        generator=generator,
        scaling=measure_input_scaling(batch.inputs),
    ).double()
    point = {name: value.detach() for name, value in classifier.named_parameters()}
    direction = {
        name: torch.randn(value.shape, generator=generator, dtype=value.dtype)
        for name, value in point.items()
    }
    return classifier, TangentLine(point, direction)


def gradients_dotted(
    classifier: Classifier, batch: LabelledInputs, line: TangentLine
) -> torch.Tensor:
    """Return the inner products by one backward pass for each sample."""

    def loss(
        point: dict[str, torch.Tensor], sample: torch.Tensor, label: torch.Tensor
    ) -> torch.Tensor:
        logits = functional_call(classifier, point, (sample.unsqueeze(0),))
        return functional.cross_entropy(logits, label.unsqueeze(0))

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))(line.point, batch.inputs, batch.labels)
    return sum(
        (gradients[name] * line.direction[name]).flatten(1).sum(dim=1) for name in line.point
    )


@pytest.mark.parametrize("kind", UNTRAINED)
def test_exact_alignment_equals_per_sample_gradients(
    kind: ClassifierKind, generator: torch.Generator
) -> None:
    batch = make_batch(kind, generator)
    classifier, line = make_line(kind, batch, generator)
    expected = gradients_dotted(classifier, batch, line)
    torch.testing.assert_close(
        exact_alignment(classifier, batch, line), expected, rtol=ROUNDING, atol=ROUNDING
    )


@pytest.mark.parametrize("kind", UNTRAINED)
def test_exact_alignment_does_not_depend_on_micro_batches(
    kind: ClassifierKind, generator: torch.Generator
) -> None:
    batch = make_batch(kind, generator)
    classifier, line = make_line(kind, batch, generator)
    whole = exact_alignment(classifier, batch, line)
    parts = exact_alignment(classifier, batch, line, micro_batch_size=5)
    torch.testing.assert_close(parts, whole, rtol=ROUNDING, atol=ROUNDING)


def test_head_alignment_equals_exact_alignment_for_a_linear_classifier(
    generator: torch.Generator,
) -> None:
    batch = make_batch(ClassifierKind.LINEAR, generator)
    classifier, line = make_line(ClassifierKind.LINEAR, batch, generator)
    hidden = classifier.features(batch.inputs)
    residuals = loss_residuals(classifier.head(hidden).detach(), batch.labels)
    torch.testing.assert_close(
        head_alignment(hidden, residuals, line.direction),
        exact_alignment(classifier, batch, line),
        rtol=ROUNDING,
        atol=ROUNDING,
    )


def test_head_alignment_is_the_head_part_of_the_exact_one(generator: torch.Generator) -> None:
    batch = make_batch(ClassifierKind.MLP, generator)
    classifier, line = make_line(ClassifierKind.MLP, batch, generator)
    hidden = classifier.features(batch.inputs).detach()
    residuals = loss_residuals(classifier.head(hidden).detach(), batch.labels)
    head_only = {
        name: value if name.startswith("head.") else torch.zeros_like(value)
        for name, value in line.direction.items()
    }
    torch.testing.assert_close(
        head_alignment(hidden, residuals, line.direction),
        gradients_dotted(classifier, batch, TangentLine(line.point, head_only)),
        rtol=ROUNDING,
        atol=ROUNDING,
    )


def test_head_direction_is_the_gradient_of_the_mean_loss(generator: torch.Generator) -> None:
    batch = make_batch(ClassifierKind.MLP, generator)
    classifier, _ = make_line(ClassifierKind.MLP, batch, generator)
    hidden = classifier.features(batch.inputs)
    logits = classifier.head(hidden)
    loss = functional.cross_entropy(logits, batch.labels)
    expected = torch.autograd.grad(loss, [classifier.head.weight, classifier.head.bias])
    found = head_direction(hidden.detach(), loss_residuals(logits.detach(), batch.labels))
    for name, value in zip(("head.weight", "head.bias"), expected, strict=True):
        torch.testing.assert_close(found[name], value, rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("kind", [ClassifierKind.LINEAR, ClassifierKind.CNN])
def test_finite_difference_converges_at_second_order(
    kind: ClassifierKind, generator: torch.Generator
) -> None:
    batch = make_batch(kind, generator)
    classifier, line = make_line(kind, batch, generator)
    exact = exact_alignment(classifier, batch, line)
    # Steps large enough for truncation to dwarf rounding, small enough for ReLUs to keep sides.
    steps = [2e-3, 1e-3, 5e-4]
    errors = [
        float((finite_difference_alignment(classifier, batch, line, epsilon=step) - exact).norm())
        for step in steps
    ]
    orders = [math.log2(coarse / fine) for coarse, fine in itertools.pairwise(errors)]
    assert orders == pytest.approx([2.0, 2.0], abs=0.1)


def test_finite_difference_does_not_depend_on_micro_batches(generator: torch.Generator) -> None:
    batch = make_batch(ClassifierKind.CNN, generator)
    classifier, line = make_line(ClassifierKind.CNN, batch, generator)
    whole = finite_difference_alignment(classifier, batch, line, epsilon=0.01)
    parts = finite_difference_alignment(classifier, batch, line, epsilon=0.01, micro_batch_size=5)
    # The difference of losses is divided by the step, which magnifies rounding a hundredfold.
    torch.testing.assert_close(parts, whole, rtol=1e-9, atol=1e-9)


def test_zero_direction_has_zero_alignment(generator: torch.Generator) -> None:
    batch = make_batch(ClassifierKind.MLP, generator)
    classifier, line = make_line(ClassifierKind.MLP, batch, generator)
    still = TangentLine(
        line.point, {name: torch.zeros_like(value) for name, value in line.direction.items()}
    )
    for aligned in (
        exact_alignment(classifier, batch, still),
        finite_difference_alignment(classifier, batch, still, epsilon=0.01),
    ):
        assert torch.equal(aligned, torch.zeros_like(aligned))


def test_exact_alignment_works_under_autocast(generator: torch.Generator) -> None:
    batch = make_batch(ClassifierKind.CNN, generator, count=40)
    classifier, line = make_line(ClassifierKind.CNN, batch, generator)
    classifier = classifier.float()
    single = TangentLine(
        {name: value.float() for name, value in line.point.items()},
        {name: value.float() for name, value in line.direction.items()},
    )
    exact = exact_alignment(classifier, batch, single)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = exact_alignment(classifier, batch, single)
    assert rounded.dtype == torch.float32
    # bfloat16 keeps eight bits, so every product is off by up to half a percent.
    assert float((rounded - exact).norm() / exact.norm()) < 0.05
