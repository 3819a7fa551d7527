"""Sets the passes over batches against plain autograd on the whole batch."""

import pytest
import torch
from torch.nn import functional

from mts_core.classifier_passes import (
    PassSettings,
    forward_batch,
    hidden_features,
    reference_pass,
    weighted_gradient,
)
from mts_core.classifiers import Classifier, build_classifier, measure_input_scaling
from mts_core.config import ClassifierKind
from mts_core.training_data import LabelledInputs

# Sums of at most a few hundred float64 products in two orders.
ROUNDING = 1e-12
SETTINGS = [PassSettings(), PassSettings(micro_batch_size=7), PassSettings(micro_batch_size=200)]


@pytest.fixture
def batch(generator: torch.Generator) -> LabelledInputs:
    images = torch.randint(0, 256, (150, 1, 8, 8), generator=generator).to(torch.uint8)
    return LabelledInputs(images, torch.randint(0, 3, (150,), generator=generator))


@pytest.fixture
def classifier(batch: LabelledInputs, generator: torch.Generator) -> Classifier:
    return build_classifier(
        ClassifierKind.CNN,
        input_shape=(1, 8, 8),
        class_count=3,
        generator=generator,
        scaling=measure_input_scaling(batch.inputs),
    ).double()


@pytest.fixture
def shares(generator: torch.Generator) -> torch.Tensor:
    weights = torch.rand(150, generator=generator, dtype=torch.float64)
    return weights / weights.sum()


def whole_gradient(
    classifier: Classifier, batch: LabelledInputs, shares: torch.Tensor
) -> dict[str, torch.Tensor]:
    losses = functional.cross_entropy(classifier(batch.inputs), batch.labels, reduction="none")
    parameters = dict(classifier.named_parameters())
    gradients = torch.autograd.grad((shares * losses).sum(), list(parameters.values()))
    return dict(zip(parameters, gradients, strict=True))


@pytest.mark.parametrize("settings", SETTINGS, ids=["whole", "seven", "unused bound"])
def test_weighted_gradient_equals_the_whole_batch_s(
    settings: PassSettings, classifier: Classifier, batch: LabelledInputs, shares: torch.Tensor
) -> None:
    forward = forward_batch(classifier, batch, settings)
    found = weighted_gradient(
        classifier, batch, shares, settings, graph_losses=forward.graph_losses
    )
    expected = whole_gradient(classifier, batch, shares)
    torch.testing.assert_close(found, expected, rtol=ROUNDING, atol=ROUNDING)


def test_graph_is_kept_only_within_the_memory_bound(
    classifier: Classifier, batch: LabelledInputs
) -> None:
    assert forward_batch(classifier, batch, PassSettings()).graph_losses
    assert not forward_batch(classifier, batch, PassSettings(micro_batch_size=149)).graph_losses


def test_zero_weight_equals_removal(
    classifier: Classifier, batch: LabelledInputs, shares: torch.Tensor
) -> None:
    is_kept = torch.arange(150) % 4 != 0
    silenced = torch.where(is_kept, shares, 0.0)
    kept = LabelledInputs(batch.inputs[is_kept], batch.labels[is_kept])
    torch.testing.assert_close(
        weighted_gradient(classifier, batch, silenced, PassSettings()),
        weighted_gradient(classifier, kept, shares[is_kept], PassSettings()),
        rtol=ROUNDING,
        atol=ROUNDING,
    )


@pytest.mark.parametrize("settings", SETTINGS, ids=["whole", "seven", "unused bound"])
def test_reference_pass_equals_plain_autograd(
    settings: PassSettings, classifier: Classifier, batch: LabelledInputs
) -> None:
    logits = classifier(batch.inputs)
    found = reference_pass(classifier, batch, settings, is_head_only=False)
    shares = torch.full((150,), 1 / 150, dtype=torch.float64)
    torch.testing.assert_close(
        dict(found.direction),
        whole_gradient(classifier, batch, shares),
        rtol=ROUNDING,
        atol=ROUNDING,
    )
    assert found.loss.item() == pytest.approx(
        functional.cross_entropy(logits, batch.labels).item(), rel=ROUNDING
    )
    is_right = logits.argmax(dim=1) == batch.labels
    assert found.accuracy.item() == pytest.approx(is_right.double().mean().item())
    torch.testing.assert_close(
        found.hidden, hidden_features(classifier, batch, settings), rtol=ROUNDING, atol=ROUNDING
    )


def test_head_of_the_reference_gradient_needs_no_backward_pass(
    classifier: Classifier, batch: LabelledInputs
) -> None:
    head = reference_pass(classifier, batch, PassSettings(), is_head_only=True).direction
    whole = reference_pass(classifier, batch, PassSettings(), is_head_only=False).direction
    assert set(head) == {"head.weight", "head.bias"}
    for name, value in head.items():
        torch.testing.assert_close(value, whole[name], rtol=ROUNDING, atol=ROUNDING)


def test_autocast_stays_off_on_a_cpu() -> None:
    context = PassSettings(use_autocast=True).precision(torch.device("cpu"))
    with context:
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == torch.float32
