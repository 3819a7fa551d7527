"""The samples that lie nearest to one sample in the space of the encoder."""

from dataclasses import dataclass

import numpy as np

from curation.objects import ObjectStore

NEIGHBOUR_COUNT = 8
# Rows compared at once: a few megabytes, whatever the number of samples.
_BLOCK_ROWS = 65_536


@dataclass(frozen=True)
class Neighbour:
    """A sample near another one.

    Attributes:
        position: Which sample.
        cosine: Of the angle between both, by the encoder's leading components.
    """

    position: int
    cosine: float


def nearest_samples(
    store: ObjectStore, vectors_digest: str, *, position: int, sample_count: int
) -> list[Neighbour]:
    """Return the nearest samples to the one at `position`, nearest first; linear in the pool.

    Args:
        store: Holds the vectors.
        vectors_digest: Raw float16, [sample, component], each of length one.
        position: The sample, from 0.
        sample_count: The number of samples.
    """
    with store.local_path(vectors_digest) as path:
        flat = np.memmap(path, dtype="<f2", mode="r")
        vectors = flat.reshape(sample_count, -1)
        own = vectors[position].astype(np.float32)
        cosines = np.concatenate(
            [
                vectors[start : start + _BLOCK_ROWS].astype(np.float32) @ own
                for start in range(0, sample_count, _BLOCK_ROWS)
            ]
        )
    cosines[position] = -np.inf
    count = min(NEIGHBOUR_COUNT, sample_count - 1)
    nearest = np.argpartition(-cosines, count - 1)[:count] if count else np.empty(0, np.int64)
    order = nearest[np.argsort(-cosines[nearest], kind="stable")]
    return [Neighbour(int(place), float(np.clip(cosines[place], -1, 1))) for place in order]
