"""Changes the size and the channels of image batches."""

from typing import Final

import torch
from torch.nn import functional

from mts_core.errors import MtsError

_COLOUR_CHANNELS: Final = 3


def resize_images(images: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return images of another size, smoothed before they are shrunk.

    Args:
        images: [sample, channel, height, width] float.
        size: New height and width.

    Returns:
        [sample, channel, *size] float.
    """
    if tuple(images.shape[-2:]) == size:
        return images
    return functional.interpolate(
        images, size=size, mode="bilinear", align_corners=False, antialias=True
    )


def as_colour(images: torch.Tensor) -> torch.Tensor:
    """Return images of three channels; grey is repeated.

    Args:
        images: [sample, channel, height, width], with one or three channels.

    Raises:
        MtsError: The images have another number of channels.
    """
    channels = images.shape[1]
    if channels == _COLOUR_CHANNELS:
        return images
    if channels == 1:
        return images.expand(-1, _COLOUR_CHANNELS, -1, -1)
    raise MtsError(f"Images have one or three channels, not {channels}.")
