"""Checks the classifiers' shapes, scaling and initialisation."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mts_core.classifiers import (
    Classifier,
    InputScaling,
    build_classifier,
    measure_input_scaling,
)
from mts_core.config import ClassifierKind
from mts_core.errors import ConfigError
from mts_core.layers import initialise_layer


def build(
    kind: ClassifierKind, shape: tuple[int, ...], seed: int = 0, scaling: InputScaling | None = None
) -> Classifier:
    return build_classifier(
        kind,
        input_shape=shape,
        class_count=4,
        generator=torch.Generator().manual_seed(seed),
        scaling=scaling,
    )


@pytest.mark.parametrize("kind", [ClassifierKind.CNN, ClassifierKind.RESNET20])
@given(
    channels=st.sampled_from([1, 3, 4]),
    height=st.integers(1, 70),
    width=st.integers(1, 70),
)
def test_networks_take_images_of_any_size(
    kind: ClassifierKind, channels: int, height: int, width: int
) -> None:
    images = torch.zeros(2, channels, height, width, dtype=torch.uint8)
    classifier = build(kind, (channels, height, width))
    assert classifier(images).shape == (2, 4)
    assert classifier.features(images).shape == (2, classifier.head.in_features)


@pytest.mark.parametrize("kind", [ClassifierKind.LINEAR, ClassifierKind.MLP])
@pytest.mark.parametrize("shape", [(5,), (3, 4, 2)])
def test_heads_take_embeddings_and_images(kind: ClassifierKind, shape: tuple[int, ...]) -> None:
    assert build(kind, shape)(torch.ones(2, *shape)).shape == (2, 4)


def test_same_generator_gives_the_same_classifier() -> None:
    first, again, other = (build(ClassifierKind.MLP, (5,), seed) for seed in (1, 1, 2))
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_initial_weights_have_variance_two_by_fan_in(generator: torch.Generator) -> None:
    layer = torch.nn.Linear(300, 200, device="meta").to_empty(device="cpu")
    initialise_layer(layer, generator)
    # Sixty thousand uniform draws fix a variance to about half a percent.
    assert layer.weight.detach().var().item() == pytest.approx(2 / 300, rel=0.03)
    assert torch.count_nonzero(layer.bias) == 0


def test_embeddings_are_scaled_by_root_of_own_and_mean_variance(generator: torch.Generator) -> None:
    spreads = torch.tensor([1.0, 10.0, 0.0], dtype=torch.float64)
    inputs = 1e6 + spreads * torch.randn(5000, 3, generator=generator, dtype=torch.float64)
    scaling = measure_input_scaling(inputs)
    variance = inputs.var(dim=0, correction=0)
    torch.testing.assert_close(scaling.shift, inputs.mean(dim=0))
    torch.testing.assert_close(scaling.gain, (variance + variance.mean()).rsqrt())


def test_images_are_standardised_by_channel(generator: torch.Generator) -> None:
    images = torch.randint(0, 256, (50, 3, 6, 6), generator=generator).to(torch.uint8)
    images[:, 1] //= 4
    scaling = measure_input_scaling(images)
    scaled = (images - scaling.shift) * scaling.gain
    torch.testing.assert_close(scaled.mean(dim=(0, 2, 3)), torch.zeros(3, dtype=torch.float64))
    torch.testing.assert_close(
        scaled.var(dim=(0, 2, 3), correction=0), torch.ones(3, dtype=torch.float64)
    )


def test_constant_images_become_zero() -> None:
    images = torch.full((4, 1, 5, 5), 7, dtype=torch.uint8)
    classifier = build(ClassifierKind.LINEAR, (1, 5, 5), scaling=measure_input_scaling(images))
    assert torch.count_nonzero(classifier.features(images)) == 0


@pytest.mark.parametrize("kind", [ClassifierKind.CNN, ClassifierKind.RESNET20])
def test_networks_refuse_embeddings_and_name_the_setting(kind: ClassifierKind) -> None:
    with pytest.raises(ConfigError) as caught:
        build(kind, (5,))
    assert caught.value.field == "classifier"


def test_resnet20_has_the_layers_and_parameters_of_its_source() -> None:
    classifier = build(ClassifierKind.RESNET20, (3, 32, 32))
    layers = [
        module
        for module in classifier.modules()
        if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)
    ]
    assert len(layers) == 20
    # He et al. 2016 count 0.27 million for ten classes; this one has a head for four.
    counts = {name: value.numel() for name, value in classifier.named_parameters()}
    assert sum(counts.values()) + 6 * 65 == 269_722


def test_resnet20_halves_its_images_twice() -> None:
    classifier = build(ClassifierKind.RESNET20, (3, 32, 32))
    sizes: list[torch.Size] = []
    for module in classifier.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda _layer, _inputs, output: sizes.append(output.shape))
    classifier(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert [tuple(size[1:]) for size in sizes] == (
        7 * [(16, 32, 32)] + 6 * [(32, 16, 16)] + 6 * [(64, 8, 8)]
    )
