"""Encodes images by histograms of oriented gradients: outlines, whatever the ink and the light."""

import math
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from mts_core.encoders.image_batches import resize_images

SIDE: Final = 48
"""Pixels a side to which images are brought."""
CELL: Final = 8
"""Pixels a side of a cell, which has one histogram."""
BLOCK: Final = 2
"""Cells a side of a block, within which histograms are normalised."""
ORIENTATIONS: Final = 9
_LARGEST_SHARE: Final = 0.2
_TINY: Final = 1e-5


class GradientEncoder:
    """Describes an image by how strong its gradients of each direction are, cell by cell.

    Attributes:
        name: Name by which a job asks for it.
        dimension: Length of a vector.

    Source: [dalal2005hog], with unsigned gradients and blocks that overlap by a cell.

    Deviation: a gradient is shared between neighbouring orientations but not between
    neighbouring cells, and blocks are not weighted towards their middle.
    """

    name: str = "hog"
    dimension: int = (SIDE // CELL - BLOCK + 1) ** 2 * BLOCK**2 * ORIENTATIONS

    def encode(self, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return normalised histograms, [sample, dimension] float32 in [0, 1]."""
        images = torch.from_numpy(np.ascontiguousarray(inputs)).float() / 255.0
        votes = orientation_votes(resize_images(images, (SIDE, SIDE)))
        cells = functional.avg_pool2d(votes, CELL)
        # [sample, orientation * cell of the block, block]
        blocks = functional.unfold(cells, BLOCK)
        clipped = _normalised(blocks).clamp(max=_LARGEST_SHARE)
        return _normalised(clipped).flatten(1).numpy()


def orientation_votes(images: torch.Tensor) -> torch.Tensor:
    """Return the strength of each pixel's gradient, shared between the two nearest orientations.

    Of several channels, the one with the strongest gradient counts.

    Args:
        images: [sample, channel, height, width] float.

    Returns:
        [sample, orientation, height, width] float; orientations are those of multiples of
        180 / 9 degrees, shifted by half a step, and do not tell dark from light.
    """
    padded = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]
    down = padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]
    strength, channel = torch.hypot(across, down).max(dim=1, keepdim=True)
    angle = torch.atan2(down.gather(1, channel), across.gather(1, channel)) % math.pi
    place = angle * (ORIENTATIONS / math.pi) - 0.5
    bins = torch.arange(ORIENTATIONS, dtype=images.dtype).view(1, -1, 1, 1)
    # Orientations are a circle: the last one lies beside the first.
    apart = (place - bins) % ORIENTATIONS
    apart = torch.minimum(apart, ORIENTATIONS - apart)
    return strength * (1.0 - apart).clamp(min=0.0)


def _normalised(blocks: torch.Tensor) -> torch.Tensor:
    # A block without any gradient stays zero instead of becoming noise.
    return blocks / torch.sqrt((blocks**2).sum(dim=1, keepdim=True) + _TINY**2)
