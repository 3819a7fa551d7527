"""Sets the alignment out of a training pass against the one of a pass of its own."""

import pytest
import torch
from torch.nn import functional

from mts_core.alignment import TangentLine, exact_alignment
from mts_core.classifier_passes import PassSettings, forward_batch, weighted_gradient
from mts_core.classifiers import Classifier, build_classifier, measure_input_scaling
from mts_core.config import ClassifierKind
from mts_core.layer_taps import LayerTaps, can_be_tapped, tapped_alignment
from mts_core.training_data import LabelledInputs

COUNT = 150
UNTRAINED = [kind for kind in ClassifierKind if not kind.is_pretrained]
# Two orders of summation of a few thousand products of order one, in float64.
ROUNDING = 1e-11


def make_batch(generator: torch.Generator) -> LabelledInputs:
    images = torch.randint(0, 256, (COUNT, 2, 9, 8), generator=generator).to(torch.uint8)
    return LabelledInputs(images, torch.randint(0, 3, (COUNT,), generator=generator))


def make_classifier(
    kind: ClassifierKind, batch: LabelledInputs, generator: torch.Generator
) -> Classifier:
    return build_classifier(
        kind,
        input_shape=batch.inputs.shape[1:],
        class_count=3,
        generator=generator,
        scaling=measure_input_scaling(batch.inputs),
    ).double()


def make_line(classifier: Classifier, generator: torch.Generator) -> TangentLine:
    point = {name: value.detach().clone() for name, value in classifier.named_parameters()}
    direction = {
        name: torch.randn(value.shape, generator=generator, dtype=value.dtype)
        for name, value in point.items()
    }
    return TangentLine(point, direction)


def make_shares(generator: torch.Generator) -> torch.Tensor:
    weights = 0.05 + torch.rand(COUNT, generator=generator, dtype=torch.float64)
    return weights / weights.sum()


@pytest.mark.parametrize("kind", UNTRAINED)
def test_alignment_of_the_training_pass_equals_forward_mode_after_the_step(
    kind: ClassifierKind, generator: torch.Generator
) -> None:
    batch = make_batch(generator)
    classifier = make_classifier(kind, batch, generator)
    line = make_line(classifier, generator)
    shares = make_shares(generator)
    forward = forward_batch(classifier, batch, PassSettings(), is_tapped=True)
    weighted_gradient(classifier, batch, shares, PassSettings(), graph_losses=forward.graph_losses)
    with torch.no_grad():
        for value in classifier.parameters():
            value.add_(1.0)
    torch.testing.assert_close(
        tapped_alignment(forward.taps, line.direction, shares),
        exact_alignment(classifier, batch, line),
        rtol=ROUNDING,
        atol=ROUNDING,
    )


def test_zero_share_has_a_finite_alignment(generator: torch.Generator) -> None:
    batch = make_batch(generator)
    classifier = make_classifier(ClassifierKind.CNN, batch, generator)
    shares = make_shares(generator)
    shares[7] = 0.0
    forward = forward_batch(classifier, batch, PassSettings(), is_tapped=True)
    weighted_gradient(classifier, batch, shares, PassSettings(), graph_losses=forward.graph_losses)
    direction = make_line(classifier, generator).direction
    aligned = tapped_alignment(forward.taps, direction, shares)
    assert aligned[7] == 0.0
    assert bool(torch.isfinite(aligned).all())


@pytest.mark.parametrize("is_tapped", [True, False])
def test_nothing_is_recorded_unasked_or_beyond_memory(
    is_tapped: bool,  # noqa: FBT001  # A test's case.
    generator: torch.Generator,
) -> None:
    batch = make_batch(generator)
    classifier = make_classifier(ClassifierKind.CNN, batch, generator)
    bound = PassSettings(micro_batch_size=COUNT - 1 if is_tapped else None)
    assert not forward_batch(classifier, batch, bound, is_tapped=is_tapped).taps


def test_inner_products_are_summed_in_full_precision_under_autocast() -> None:
    width = 257  # The smallest count that eight bits round.
    layer = torch.nn.utils.skip_init(torch.nn.Linear, 1, width)
    direction = {"0.weight": torch.ones(width, 1), "0.bias": torch.zeros(width)}
    network = torch.nn.Sequential(layer)
    taps = LayerTaps()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with taps.listen(network):
            outputs = network(torch.ones(3, 1))
        outputs.sum().backward()
        aligned = taps.alignment(direction)
    assert aligned.tolist() == [width] * 3


def test_calls_after_the_recording_leave_no_trace(generator: torch.Generator) -> None:
    batch = make_batch(generator)
    classifier = make_classifier(ClassifierKind.CNN, batch, generator)
    direction = make_line(classifier, generator).direction
    taps = LayerTaps()
    with taps.listen(classifier):
        logits = classifier(batch.inputs)
    classifier(batch.inputs[:3])
    functional.cross_entropy(logits, batch.labels).backward()
    assert taps.alignment(direction).shape == (COUNT,)


def test_alignment_before_the_backward_pass_is_refused(generator: torch.Generator) -> None:
    batch = make_batch(generator)
    classifier = make_classifier(ClassifierKind.MLP, batch, generator)
    taps = LayerTaps()
    with taps.listen(classifier):
        classifier(batch.inputs)
    with pytest.raises(RuntimeError):
        taps.alignment(make_line(classifier, generator).direction)


@pytest.mark.parametrize("kind", UNTRAINED)
def test_every_classifier_can_be_tapped(kind: ClassifierKind, generator: torch.Generator) -> None:
    assert can_be_tapped(make_classifier(kind, make_batch(generator), generator))


def test_network_with_a_layer_of_another_kind_cannot_be_tapped(generator: torch.Generator) -> None:
    classifier = make_classifier(ClassifierKind.MLP, make_batch(generator), generator)
    assert not can_be_tapped(torch.nn.Sequential(classifier, torch.nn.PReLU()))
