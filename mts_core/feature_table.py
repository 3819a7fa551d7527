"""Names the meta-network's 22 inputs and brings the offline ones to one scale."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from mts_core.dynamics_features import DYNAMICS_FEATURE_NAMES
from mts_core.meta_network import EMBEDDING_FEATURE_NAMES, ONLINE_FEATURE_NAMES
from mts_core.position_features import POSITION_FEATURE_NAMES

OFFLINE_FEATURE_NAMES: Final = POSITION_FEATURE_NAMES + DYNAMICS_FEATURE_NAMES
"""The 13 columns that are known before the weights are learned."""

FEATURE_NAMES: Final = OFFLINE_FEATURE_NAMES + ONLINE_FEATURE_NAMES + EMBEDDING_FEATURE_NAMES
"""All 22 columns, in order."""


def standardise(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return columns of mean 0 and variance 1 over the pool; a constant column becomes zero.

    Args:
        columns: [sample, column] float32.
    """
    values = columns.astype(np.float64)
    deviation = values.std(axis=0)
    # Rounding leaves a constant column a tiny spread, which must not be blown up to one.
    smallest = 1e-6 * np.maximum(np.abs(values).max(axis=0), 1e-6)
    is_constant = deviation <= smallest
    scaled = (values - values.mean(axis=0)) / np.where(is_constant, 1, deviation)
    return np.where(is_constant, 0, scaled).astype(np.float32)
