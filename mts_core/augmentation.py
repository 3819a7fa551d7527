"""Varies the images of a training batch at random, by draws of a generator of its own."""

import math
from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from mts_core.axes import Inputs
from mts_core.config import Augmentation

_SHIFT_SHARE: Final = 0.125
"""Farthest that an image is moved, as a share of its side: 4 pixels of 32."""

_LARGEST_ANGLE: Final = math.radians(10.0)
"""Farthest that an image is turned, in radians; a 6 is still no 9."""

_SHIFTS: Final = frozenset({Augmentation.SHIFT, Augmentation.SHIFT_FLIP})
_FLIPS: Final = frozenset({Augmentation.SHIFT_FLIP, Augmentation.AFFINE_FLIP})
_LARGEST_PIXEL: Final = 255


def augment_images(
    images: Inputs, augmentation: Augmentation, generator: torch.Generator
) -> Inputs:
    """Return the images of a batch, each varied by draws of its own; the batch is not changed.

    What comes into view at an edge repeats the edge, since no colour is every data set's
    background.

    shift: the image is padded by an eighth of its side and cropped to its size anywhere within.
    affine: it is turned by up to 10 degrees and moved by up to an eighth of its side, bilinearly.
    shift_flip and affine_flip: every other image is mirrored as well, left to right.

    Args:
        images: ``[sample, channel, height, width]``, uint8 or float in [0, 255].
        augmentation: How they are varied.
        generator: CPU generator of all draws; `none` draws nothing.

    Returns:
        Images of the same shape and dtype, on the same device.
    """
    if augmentation is Augmentation.NONE:
        return images
    count = images.shape[0]
    down, right, turn, mirror = 2.0 * torch.rand(4, count, generator=generator) - 1.0
    if augmentation in _SHIFTS:
        varied = _shifted(images, down, right)
    else:
        varied = _moved(images, down, right, turn * _LARGEST_ANGLE)
    if augmentation not in _FLIPS:
        return varied
    is_mirrored = (mirror > 0).to(images.device)
    return torch.where(is_mirrored.view(-1, 1, 1, 1), varied.flip(-1), varied)


def _shifted(images: Tensor, down: Tensor, right: Tensor) -> Tensor:
    """Return images moved by whole pixels; draws are in [-1, 1)."""
    height, width = images.shape[-2:]
    rows = _places(height, down).to(images.device)
    columns = _places(width, right).to(images.device)
    samples = torch.arange(images.shape[0], device=images.device)
    picked = images.movedim(1, -1)[samples[:, None, None], rows[:, :, None], columns[:, None, :]]
    return picked.movedim(-1, 1).contiguous()


def _places(side: int, draws: Tensor) -> Tensor:
    """Return which place each new one takes its pixel from, ``[sample, side]``."""
    padding = max(1, round(_SHIFT_SHARE * side))
    # Every offset from -padding to padding is equally likely.
    offsets = ((draws + 1.0) / 2.0 * (2 * padding + 1)).floor().long() - padding
    return (torch.arange(side) + offsets[:, None]).clamp_(0, side - 1)


def _moved(images: Tensor, down: Tensor, right: Tensor, angles: Tensor) -> Tensor:
    """Return images turned by angles and moved by draws in [-1, 1)."""
    height, width = images.shape[-2:]
    cosines, sines = angles.cos(), angles.sin()
    # Places are counted in half sides, so a turn of pixels scales by the sides' ratio.
    ratio = height / width
    shift = 2.0 * _SHIFT_SHARE
    across = torch.stack([cosines, -sines * ratio, right * shift], dim=1)
    along = torch.stack([sines / ratio, cosines, down * shift], dim=1)
    dtype = images.dtype if images.is_floating_point() else torch.float32
    theta = torch.stack([across, along], dim=1).to(images.device, dtype)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    sampled = functional.grid_sample(
        images.to(dtype), grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    if images.is_floating_point():
        return sampled
    return sampled.round_().clamp_(0, _LARGEST_PIXEL).to(images.dtype)
