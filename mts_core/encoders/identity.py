"""Encodes embeddings as themselves."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class IdentityEncoder:
    """Takes the user's embeddings as they are.

    Attributes:
        dimension: Length of an embedding.
    """

    dimension: int
    name: str = "identity"

    def encode(self, inputs: NDArray[np.generic]) -> NDArray[np.float32]:
        """Return the embeddings, [sample, dimension] float32."""
        return np.asarray(inputs, dtype=np.float32)
