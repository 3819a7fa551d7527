"""The body of a 20-layer residual network with GroupNorm."""

from typing import Final, final

import torch
from torch import Tensor, nn
from torch.nn import functional

from mts_core.layers import allocate_convolution

RESIDUAL_UNITS: Final = 64
"""Penultimate units: the channels of the last stage."""

_STAGE_WIDTHS: Final = (16, 32, RESIDUAL_UNITS)
_BLOCKS_IN_STAGE: Final = 3
_NORM_GROUPS: Final = 8


@final
class ResidualBody(nn.Module):
    """A convolution, nine residual blocks in three stages, and the mean over the image.

    Source: [he2016deep], section 4.2, the network for CIFAR-10 with n = 3; its shortcuts take every
    second pixel and pad the new channels with zeros (option A).
    Deviation: GroupNorm [wu2018group] in place of BatchNorm, so that a sample's loss does not
    depend on its neighbours.
    """

    def __init__(self, channels: int, *, stride: int) -> None:
        super().__init__()
        self.first = allocate_convolution(channels, _STAGE_WIDTHS[0], stride=stride)
        self.first_norm = nn.GroupNorm(_NORM_GROUPS, _STAGE_WIDTHS[0])
        blocks: list[nn.Module] = []
        width = _STAGE_WIDTHS[0]
        for next_width in _STAGE_WIDTHS:
            for _ in range(_BLOCKS_IN_STAGE):
                blocks.append(_ResidualBlock(width, next_width))
                width = next_width
        self.blocks = nn.Sequential(*blocks)

    def forward(self, images: Tensor) -> Tensor:
        """Return ``[sample, 64]`` features of scaled images."""
        activations = torch.relu_(self.first_norm(self.first(images)))
        means: Tensor = self.blocks(activations).mean(dim=(2, 3))
        return means


class _ResidualBlock(nn.Module):
    """Two convolutions whose output is added to their input; halves the image to widen it."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self._stride = 1 if channels == width else 2
        self._missing = width - channels
        self.first = allocate_convolution(channels, width, stride=self._stride)
        self.first_norm = nn.GroupNorm(_NORM_GROUPS, width)
        self.second = allocate_convolution(width, width, stride=1)
        self.second_norm = nn.GroupNorm(_NORM_GROUPS, width)

    def forward(self, images: Tensor) -> Tensor:
        # ReLU may overwrite what the norms return: their derivatives read only what goes in.
        inner = torch.relu_(self.first_norm(self.first(images)))
        return torch.relu_(self.second_norm(self.second(inner)) + self._shortcut(images))

    def _shortcut(self, images: Tensor) -> Tensor:
        if not self._missing:
            return images
        half = self._missing // 2
        thinned = images[:, :, :: self._stride, :: self._stride]
        return functional.pad(thinned, (0, 0, 0, 0, half, self._missing - half))
