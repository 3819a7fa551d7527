"""Loads pretrained image networks in the form in which a job's training can go on with them."""

from dataclasses import dataclass
from typing import Any, Final, final

import torch
from torch import Tensor, nn

from mts_core.config import ClassifierName
from mts_core.encoders.efficientnet_lite0 import (
    DIMENSION,
    INPUT_SCALE,
    INPUT_SHIFT,
    choose_resolution,
    load_model,
)
from mts_core.encoders.timm_images import ImageNetwork, load_timm_network
from mts_core.errors import ConfigError
from mts_core.library_models import LibraryModel

_LARGEST_PIXEL: Final = 255.0


@dataclass(frozen=True, eq=False)
class Backbone:
    """A pretrained network without its last layer.

    Attributes:
        network: The network, and the images that it was trained on.
        dimension: Features that it gives of an image.
    """

    network: ImageNetwork
    dimension: int


def load_backbone(name: ClassifierName, input_shape: tuple[int, int, int]) -> Backbone:
    """Return a pretrained network without its last layer, on the CPU in float32.

    Args:
        name: A pretrained classifier.
        input_shape: (channel, height, width) of the run's images; EfficientNet-Lite0 reads them at
            64 to 128 pixels a side, networks of timm at the size of their own training.

    Raises:
        ConfigError: The worker does not have it, or it has parameters that its output does not
            depend on, whose gradient would not exist.
    """
    if isinstance(name, LibraryModel):
        network = load_timm_network(name, field="classifier")
        return Backbone(network, measure_dimension(name, network))
    return Backbone(_efficientnet_lite0(choose_resolution(input_shape)), DIMENSION)


@final
class _MeanFeatures(nn.Module):
    """The mean of EfficientNet's last feature map over the image."""

    def __init__(self, model: Any) -> None:  # Any: the library is not typed.
        super().__init__()
        self.model: Any = model

    def forward(self, images: Tensor) -> Tensor:
        """Return ``[sample, 1280]`` features."""
        features: Tensor = self.model.extract_features(images).mean(dim=(2, 3))
        return features


def _efficientnet_lite0(resolution: int) -> ImageNetwork:
    model = load_model()
    # The classes of its own training, which nothing asks about here.
    model._fc = nn.Identity()  # noqa: SLF001  # The library names its layers so.
    with_plain_convolutions(model)
    mean, deviation = INPUT_SHIFT / _LARGEST_PIXEL, INPUT_SCALE / _LARGEST_PIXEL
    return ImageNetwork(
        _MeanFeatures(model), (resolution, resolution), (mean,) * 3, (deviation,) * 3
    )


def with_plain_convolutions(module: nn.Module) -> None:
    """Replace the convolutions that pad by themselves by torch's own, with the same output.

    The layers' inputs and output gradients say all about torch's own convolution, so that one
    training pass also serves the alignment; and padding inside of it saves a copy of its input.

    Args:
        module: EfficientNet, changed in place; its weights are shared, not copied.
    """
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Conv2d) and hasattr(child, "static_padding"):
            setattr(module, name, _plain_convolution(child))
        else:
            with_plain_convolutions(child)


def _plain_convolution(padded: nn.Conv2d) -> nn.Module:
    around = getattr(padded.static_padding, "padding", (0, 0, 0, 0))
    left, right, top, bottom = around
    is_even = left == right and top == bottom
    rows, columns = padded.kernel_size
    convolution = nn.Conv2d(
        padded.in_channels,
        padded.out_channels,
        (rows, columns),
        stride=(padded.stride[0], padded.stride[1]),
        padding=(top, left) if is_even else 0,
        groups=padded.groups,
        bias=padded.bias is not None,
        device="meta",
    )
    convolution.weight, convolution.bias = padded.weight, padded.bias
    return convolution if is_even else nn.Sequential(nn.ZeroPad2d(around), convolution)


def measure_dimension(name: LibraryModel, network: ImageNetwork) -> int:
    """Return how many features a network gives of an image; costs a pass there and back.

    Args:
        name: What the job calls it.
        network: The network.

    Raises:
        ConfigError: It has parameters that its features do not depend on, so that no gradient of
            theirs exists.
    """
    image = torch.zeros(1, 3, *network.size)
    parameters = dict(network.module.named_parameters())
    features = network.module.eval()(image)
    gradients = torch.autograd.grad(features.sum(), list(parameters.values()), allow_unused=True)
    idle = [key for key, value in zip(parameters, gradients, strict=True) if value is None]
    if idle:
        raise ConfigError(
            f"{name} cannot be fine-tuned: its features do not depend on {idle[0]}.",
            field="classifier",
        )
    return int(features.shape[1])
