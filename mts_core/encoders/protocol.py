"""What an encoder is: a fixed map from inputs to raw vectors, chunk by chunk."""

from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray


@runtime_checkable
class Encoder(Protocol):
    """Maps each input to a vector, independently of the other inputs."""

    @property
    def name(self) -> str:
        """Name by which a job asks for it."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def encode(self, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return vectors of a chunk that fits in memory.

        Args:
            inputs: [sample, ...] a chunk of the inputs.

        Returns:
            [sample, dimension] float32.
        """
        ...
