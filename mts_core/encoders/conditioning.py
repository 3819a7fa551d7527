"""Brings raw vectors of any encoder to one scale and to few dimensions."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from mts_core.errors import NonFiniteError

COMPONENTS: Final = 128
"""Principal components that are kept."""


@dataclass(frozen=True, eq=False)
class Conditioning:
    """An affine map, fitted once and applied chunk by chunk.

    Attributes:
        mean: [raw] float32, subtracted first.
        projection: [raw, component] float32: scales, rotates and normalises.
    """

    mean: NDArray[np.float32]
    projection: NDArray[np.float32]

    def apply(self, raw: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return conditioned vectors, [sample, component] float32.

        Raises:
            NonFiniteError: A vector is infinite or not a number.
        """
        conditioned = ((raw - self.mean) @ self.projection).astype(np.float32, copy=False)
        if not np.isfinite(conditioned).all():
            raise NonFiniteError("encoding")
        return conditioned


def fit_conditioning(raw: NDArray[np.float32]) -> Conditioning:
    """Return the map that suits a sample of raw vectors.

    Each dimension is divided by sqrt(var + mean var), which evens out scales without blowing up
    dimensions that hardly vary; the first principal components are kept without whitening; and the
    mean squared norm becomes 1.

    Args:
        raw: [sample, raw] float32; a few thousand samples are enough.

    Raises:
        NonFiniteError: A vector is infinite or not a number.
    """
    if not np.isfinite(raw).all():
        raise NonFiniteError("encoding")
    mean = raw.mean(axis=0, dtype=np.float64)
    centred = raw - mean
    variance = centred.var(axis=0)
    scale = 1.0 / np.sqrt(variance + variance.mean() + np.finfo(np.float32).tiny)
    scaled = centred * scale
    covariance = scaled.T @ scaled / len(raw)
    size = len(mean)
    kept = min(COMPONENTS, size)
    values, vectors = linalg.eigh(covariance, subset_by_index=(size - kept, size - 1))
    # Eigenvectors have no sign of their own; fixing it keeps results equal between libraries.
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(kept)])
    norm = np.sqrt(max(values.sum(), np.finfo(np.float32).tiny))
    projection = scale[:, None] * vectors[:, ::-1] / norm
    return Conditioning(
        mean=mean.astype(np.float32),
        projection=np.ascontiguousarray(projection, dtype=np.float32),
    )
