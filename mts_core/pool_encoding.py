"""Encodes pool, reference and test set chunk by chunk, and conditions the result."""

from collections.abc import Iterator, Mapping
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mts_core.curation_data import CurationData
from mts_core.encoders import Conditioning, Encoder, fit_conditioning
from mts_core.encoders.fit_sample import fit_positions
from mts_core.errors import MtsError

CHUNK: Final = 256
"""Samples encoded between two reports."""


class PoolEncoding:
    """Encoded vectors of all sets, filled in on the way.

    First come the reference set and a random part of the pool, whose raw vectors fit the
    conditioning; then everything else, so that raw vectors of a large pool are never all held.

    Attributes:
        done: Number of vectors that are encoded, in the order above.
        vectors: [all, component] float32 conditioned vectors: pool, reference, test. Complete once
            `done` equals `total`.
    """

    def __init__(self, data: CurationData, encoder: Encoder, *, seed: int) -> None:
        self._data = data
        self._encoder = encoder
        self._pool_size = len(data.pool_labels)
        self._reference_size = len(data.reference_labels)
        test_size = 0 if data.test_labels is None else len(data.test_labels)
        self.total = self._pool_size + self._reference_size + test_size
        fitted = fit_positions(self._pool_size, seed)
        rest = np.setdiff1d(np.arange(self._pool_size), fitted, assume_unique=True)
        reference = np.arange(self._pool_size, self._pool_size + self._reference_size)
        test = np.arange(self._pool_size + self._reference_size, self.total)
        self._order = np.concatenate([reference, fitted, rest, test])
        self._fit_size = len(reference) + len(fitted)
        self._raw = np.empty((self._fit_size, encoder.dimension), dtype=np.float32)
        self._conditioning: Conditioning | None = None
        self.vectors = np.empty((0, 0), dtype=np.float32)
        self.done = 0

    @property
    def conditioning(self) -> Conditioning:
        """The map from raw to conditioned vectors.

        Raises:
            MtsError: The vectors that it is fitted on are not all encoded yet.
        """
        if self._conditioning is None:
            raise MtsError("The conditioning is fitted once enough vectors are encoded.")
        return self._conditioning

    @property
    def pool(self) -> NDArray[np.float32]:
        """Conditioned vectors of the pool, [sample, component]."""
        return self.vectors[: self._pool_size]

    @property
    def reference(self) -> NDArray[np.float32]:
        """Conditioned vectors of the reference set, [reference, component]."""
        return self.vectors[self._pool_size : self._pool_size + self._reference_size]

    @property
    def test(self) -> NDArray[np.float32]:
        """Conditioned vectors of the test set, [test, component]; empty without one."""
        return self.vectors[self._pool_size + self._reference_size :]

    def advance(self) -> Iterator[int]:
        """Yield the number of encoded vectors after each chunk, until all are done.

        Raises:
            NonFiniteError: A vector is infinite or not a number.
        """
        while self.done < self.total:
            # No chunk straddles the end of the fitted part, which is needed whole.
            limit = self._fit_size if self.done < self._fit_size else self.total
            stop = min(self.done + CHUNK, limit)
            raw = self._encode(self._order[self.done : stop])
            if self._conditioning is None:
                self._raw[self.done : stop] = raw
            else:
                self._store(self._order[self.done : stop], self._conditioning.apply(raw))
            self.done = stop
            if self.done == self._fit_size:
                self._fit()
            yield self.done

    def capture(self) -> dict[str, Tensor]:
        """Return what has been encoded so far, by name."""
        if self._conditioning is None:
            return {"raw": torch.from_numpy(self._raw[: self.done].copy())}
        return {
            "mean": torch.from_numpy(self._conditioning.mean),
            "projection": torch.from_numpy(self._conditioning.projection),
            "vectors": torch.from_numpy(self.vectors[self._order[: self.done]]),
        }

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from what was captured."""
        if "raw" in captured:
            raw = captured["raw"].numpy()
            self._raw[: len(raw)] = raw
            self.done = len(raw)
            return
        self._conditioning = Conditioning(captured["mean"].numpy(), captured["projection"].numpy())
        vectors = captured["vectors"].numpy()
        self.done = len(vectors)
        self._allocate(vectors.shape[1])
        self.vectors[self._order[: self.done]] = vectors

    def _fit(self) -> None:
        self._conditioning = fit_conditioning(self._raw)
        fitted = self._conditioning.apply(self._raw)
        self._allocate(fitted.shape[1])
        self._store(self._order[: self._fit_size], fitted)
        self._raw = np.empty((0, 0), dtype=np.float32)

    def _allocate(self, dimension: int) -> None:
        self.vectors = np.empty((self.total, dimension), dtype=np.float32)

    def _store(self, positions: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        self.vectors[positions] = vectors

    def _encode(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return raw vectors of positions that count through pool, reference and test."""
        parts: list[tuple[int, NDArray[np.generic]]] = [
            (0, self._data.pool_inputs),
            (self._pool_size, self._data.reference_inputs),
        ]
        if self._data.test_inputs is not None:
            parts.append((self._pool_size + self._reference_size, self._data.test_inputs))
        raw = np.empty((len(positions), self._encoder.dimension), dtype=np.float32)
        for offset, inputs in parts:
            is_here = (positions >= offset) & (positions < offset + len(inputs))
            if is_here.any():
                raw[is_here] = self._encoder.encode(inputs[positions[is_here] - offset])
        return raw
