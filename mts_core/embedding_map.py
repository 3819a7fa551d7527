"""Two coordinates for each sample, and short vectors for finding what lies near it."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

NEIGHBOUR_COMPONENTS: Final = 32
"""Leading components by which neighbours are found."""

_MAP_AXES: Final = 2


def map_coordinates(encoded: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the first two principal components of each sample, [sample, 2] float32.

    The encoder space is already rotated onto its principal components, largest variance first, so
    its first two columns are the map. With one component the second coordinate is 0.

    Args:
        encoded: [sample, component] float32, conditioned.
    """
    axes = encoded[:, :_MAP_AXES]
    missing = _MAP_AXES - axes.shape[1]
    return np.pad(axes, ((0, 0), (0, missing))).astype(np.float32, copy=False)


def neighbour_vectors(encoded: NDArray[np.float32]) -> NDArray[np.float16]:
    """Return the leading components of each sample at length one, [sample, component] float16.

    Half precision moves a cosine by less than 0.001, far below what tells neighbours apart for a
    person who looks at them. A zero vector stays zero.

    Args:
        encoded: [sample, component] float32, conditioned.
    """
    leading = encoded[:, :NEIGHBOUR_COMPONENTS]
    lengths = np.linalg.norm(leading, axis=1, keepdims=True)
    return (leading / np.where(lengths > 0, lengths, 1)).astype(np.float16)
