"""Chooses the samples without labels that a map is fitted on."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mts_core.curation_data import CurationData
from mts_core.seeds import derive_seed

FIT_LIMIT: Final = 8192
"""Pool samples that a map is fitted on, besides the reference set."""


def fit_positions(pool_size: int, seed: int) -> NDArray[np.int64]:
    """Return the positions of the pool's samples that a map is fitted on, in order.

    Args:
        pool_size: Samples in the pool.
        seed: Seed of the run.
    """
    if pool_size <= FIT_LIMIT:
        return np.arange(pool_size)
    generator = np.random.default_rng(derive_seed(seed, "conditioning"))
    return np.sort(generator.choice(pool_size, FIT_LIMIT, replace=False))


def fit_sample(data: CurationData, seed: int) -> NDArray[np.generic]:
    """Return the reference set's inputs and then a random part of the pool's, [sample, ...].

    Args:
        data: Inputs of the run; labels are not looked at.
        seed: Seed of the run.
    """
    pool = data.pool_inputs[fit_positions(len(data.pool_labels), seed)]
    return np.concatenate([data.reference_inputs, pool])
