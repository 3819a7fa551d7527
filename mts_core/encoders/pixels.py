"""Encodes images by their pixels, shrunk to a small raster."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from mts_core.encoders.image_batches import resize_images

LARGEST_SIDE = 32
"""Pixels a side; a larger raster adds dimensions that the projection drops again."""


@dataclass(frozen=True)
class PixelEncoder:
    """Flattens an image; the conditioning's principal components follow.

    Attributes:
        input_shape: (channel, height, width) of the images.
    """

    input_shape: tuple[int, int, int]
    name: str = "pixels_pca"

    @property
    def raster(self) -> tuple[int, int]:
        """Height and width after shrinking."""
        _, height, width = self.input_shape
        return min(height, LARGEST_SIDE), min(width, LARGEST_SIDE)

    @property
    def dimension(self) -> int:
        """Values of one flattened image."""
        height, width = self.raster
        return self.input_shape[0] * height * width

    def encode(self, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return flattened images, [sample, dimension] float32 in [0, 1]."""
        images = torch.from_numpy(np.ascontiguousarray(inputs)).float() / 255.0
        return resize_images(images, self.raster).flatten(1).numpy()
