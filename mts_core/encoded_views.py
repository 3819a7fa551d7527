"""Encodes all sets in one or several views: the run's own encoder first, then others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, final, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mts_core.encoders import Conditioning
from mts_core.pool_encoding import PoolEncoding


@dataclass(frozen=True, eq=False)
class View:
    """A pool, or a part of it, and the reference set in one encoder's space.

    Attributes:
        pool: [sample, component] float32.
        reference: [reference, component] float32.
    """

    pool: NDArray[np.float32]
    reference: NDArray[np.float32]


@runtime_checkable
class EncodedVectors(Protocol):
    """Conditioned vectors of a pool, or of a part of it, and of the reference set."""

    @property
    def pool(self) -> NDArray[np.float32]:
        """Vectors of the pool by the run's own encoder, [sample, component]."""
        ...

    @property
    def reference(self) -> NDArray[np.float32]:
        """Vectors of the reference set by the same, [reference, component]."""
        ...

    @property
    def views(self) -> Mapping[str, View]:
        """Vectors by every encoder in use, the run's own first, by the encoder's name."""
        ...


@final
class EncodedViews:
    """Encoded vectors of all sets by several encoders, filled in one after the other."""

    def __init__(self, encodings: Mapping[str, PoolEncoding]) -> None:
        """Begin before the first vector.

        Args:
            encodings: What each encoder fills in, by its name; the run's own first.
        """
        self._encodings = dict(encodings)
        self._own = next(iter(self._encodings.values()))

    @property
    def done(self) -> int:
        """Vectors that are encoded, over all views."""
        return sum(encoding.done for encoding in self._encodings.values())

    @property
    def total(self) -> int:
        """Vectors to encode, over all views."""
        return sum(encoding.total for encoding in self._encodings.values())

    @property
    def pool(self) -> NDArray[np.float32]:
        """Vectors of the pool by the run's own encoder, [sample, component]."""
        return self._own.pool

    @property
    def reference(self) -> NDArray[np.float32]:
        """Vectors of the reference set by the same, [reference, component]."""
        return self._own.reference

    @property
    def conditioning(self) -> Conditioning:
        """The map from raw to conditioned vectors by the run's own encoder.

        Raises:
            MtsError: The vectors that it is fitted on are not all encoded yet.
        """
        return self._own.conditioning

    @property
    def test(self) -> NDArray[np.float32]:
        """Vectors of the test set by the same, [test, component]; empty without one."""
        return self._own.test

    @property
    def views(self) -> Mapping[str, View]:
        """Vectors by every encoder, by its name."""
        return {
            name: View(encoding.pool, encoding.reference)
            for name, encoding in self._encodings.items()
        }

    def advance(self) -> Iterator[int]:
        """Yield the number of encoded vectors after each chunk, until all are done.

        Raises:
            NonFiniteError: A vector is infinite or not a number.
        """
        for encoding in self._encodings.values():
            for _ in encoding.advance():
                yield self.done

    def capture(self) -> dict[str, Tensor]:
        """Return what has been encoded so far, by name."""
        return {
            f"{place}.{name}": value
            for place, encoding in enumerate(self._encodings.values())
            for name, value in encoding.capture().items()
        }

    def restore(self, captured: Mapping[str, Tensor]) -> None:
        """Go on from what was captured."""
        for place, encoding in enumerate(self._encodings.values()):
            prefix = f"{place}."
            own = {
                name.removeprefix(prefix): value
                for name, value in captured.items()
                if name.startswith(prefix)
            }
            encoding.restore(own)
