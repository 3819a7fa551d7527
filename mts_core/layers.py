"""Makes the layers of networks without a draw from the global random state."""

import math

import torch
from torch import nn


def allocate_linear(input_size: int, output_size: int) -> nn.Linear:
    """Return a linear layer with memory but no values, so that no global randomness is drawn."""
    return nn.Linear(input_size, output_size, device="meta").to_empty(device="cpu")


def allocate_convolution(channels: int, width: int, *, stride: int) -> nn.Conv2d:
    """Return a 3×3 convolution with memory but no values, without a bias.

    Args:
        channels: Channels that come in.
        width: Channels that go out.
        stride: Pixels between two places; the border is padded so that stride 1 keeps the size.
    """
    return nn.Conv2d(
        channels, width, kernel_size=3, stride=stride, padding=1, bias=False, device="meta"
    ).to_empty(device="cpu")


def initialise_layer(layer: nn.Linear | nn.Conv2d, generator: torch.Generator) -> None:
    """Fill a layer with uniform weights of variance ``2 / fan_in`` and a zero bias.

    Source: [he2015delving], equation 10.
    """
    fan_in = layer.weight[0].numel()
    bound = math.sqrt(6.0 / fan_in)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        if layer.bias is not None:
            layer.bias.zero_()
